"""service.py PIDFILE [--no-store] PROGRAM ARGUMENT...: what systemd does for a service that hands
descriptors over (FileDescriptorStoreMax=, RestartKillSignal=).

SIGHUP: restart, by SIGRTMIN. SIGUSR1: kill -9 and start again. SIGTERM: stop in order; its status is
ours. PIDFILE holds the number of the process that runs. With --no-store there is no socket for
notifications, as without systemd. What it does is said on standard error."""
import array
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

pidfile = sys.argv[1]
words = sys.argv[2:]
stores = words[0] != "--no-store"
if not stores:
    words = words[1:]

orders = []
for sig in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD):
    signal.signal(sig, lambda number, _: orders.append(number))
signal.set_wakeup_fd(-1)

path = os.path.join(tempfile.mkdtemp(prefix="service."), "notify")
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(path)
sock.settimeout(0.02)
kept = []  # (name, descriptor)


def say(text):
    print(f"service: {text}", file=sys.stderr, flush=True)


def hear():
    """One notification, if there is one."""
    global kept
    try:
        data, control, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(16 * 4))
    except (TimeoutError, InterruptedError, BlockingIOError):
        return False
    fds = array.array("i")
    for level, kind, cdata in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(cdata[: len(cdata) - len(cdata) % fds.itemsize])
    fields = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
    name = fields.get("FDNAME", "stored")
    if fields.get("FDSTORE") == "1":
        say(f"keeps {name}, {os.fstat(fds[0]).st_size} bytes")
        kept += [(name, fd) for fd in fds]
        return True
    if fields.get("FDSTOREREMOVE") == "1":
        say(f"forgets {name}")
        for other, fd in kept:
            if other == name:
                os.close(fd)
        kept = [k for k in kept if k[0] != name]
    for fd in fds:  # a barrier: closing it is the answer
        os.close(fd)
    return True


def start():
    env = dict(os.environ)
    fds = [os.dup(fd) for _, fd in kept]
    if stores:
        env["NOTIFY_SOCKET"] = path
    if fds:
        env["LISTEN_FDS"] = str(len(fds))
        env["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
    say(f"starts with {len(fds)} descriptors")
    pid = os.fork()
    if pid == 0:
        # Out of the way first: 3, 4, ... may be in use for the very descriptors.
        high = [os.dup2(fd, 500 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
            os.close(fd)
        if fds:
            env["LISTEN_PID"] = str(os.getpid())
        os.closerange(3 + len(fds), 600)
        os.execve(words[0], words, env)
    for fd in fds:
        os.close(fd)
    with open(pidfile, "w") as file:
        print(pid, file=file)
    return pid


def wait(pid):
    """For the end of the process; what it says meanwhile is heard."""
    while True:
        hear()
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            while hear():
                pass
            return os.waitstatus_to_exitcode(status)


def restart(pid, number):
    begin = time.monotonic()
    os.kill(pid, number)
    status = wait(pid)
    say(f"ended with status {status} after {(time.monotonic() - begin) * 1000:.1f} ms")
    return start()


pid = start()
while True:
    hear()
    while orders:
        order = orders.pop(0)
        if order == signal.SIGHUP:
            pid = restart(pid, signal.SIGRTMIN)
        elif order == signal.SIGUSR1:
            pid = restart(pid, signal.SIGKILL)
        elif order == signal.SIGTERM:
            os.kill(pid, signal.SIGTERM)
            sys.exit(wait(pid))
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(status)
        say(f"ended by itself with status {status}")
        sys.exit(status if status >= 0 else 1)
