"""steady.py tcp|udp ADDRESS PORT FILE [INTERVAL_MS]: sends a number every millisecond to an echo server
and notes when each comes back. After SIGTERM it waits for the last ones, writes
"sent N lost N longest-gap MILLISECONDS" to FILE and ends with status 0; 1 when the connection broke.
The gap is the longest time between two that came back, less the longest between two that were sent:
what the machine itself was late with does not count."""
import os
import select
import signal
import socket
import struct
import sys
import time

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
kind, address, port, file = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
interval = float(sys.argv[5]) / 1000 if len(sys.argv) > 5 else 0.001
family = socket.AF_INET6 if ":" in address else socket.AF_INET
sock = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
sock.settimeout(10)
sock.connect((address, port))
if kind == "tcp":
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
sock.setblocking(False)
sent, pending, back = [], b"", {}


def take(now):
    global pending
    try:
        data = sock.recv(65536)
    except BlockingIOError:
        return
    if kind == "tcp":
        if not data:
            raise OSError("closed by the other side")
        pending += data
        while len(pending) >= 8:
            back[struct.unpack(">Q", pending[:8])[0]] = now
            pending = pending[8:]
    else:
        back[struct.unpack(">Q", data[:8])[0]] = now


def longest(times):
    return max((b - a for a, b in zip(times, times[1:])), default=0)


try:
    due = time.monotonic()
    end = None
    while end is None or (time.monotonic() < end and len(back) < len(sent)):
        now = time.monotonic()
        if stop and end is None:
            end = now + 2
        if end is None and now >= due:
            sock.send(struct.pack(">Q", len(sent)))
            sent.append(now)
            due = max(due + interval, now)
        if select.select([sock], [], [], 0.0005)[0]:
            take(time.monotonic())
except OSError as error:
    print(f"broke after {len(back)}: {error}", flush=True)
    sys.exit(1)
came = sorted(back.values())
gap = max(0, longest(came) - longest(sent)) * 1000
with open(file + ".new", "w") as out:
    print(f"sent {len(sent)} lost {len(sent) - len(back)} longest-gap {gap:.1f}", file=out)
os.rename(file + ".new", file)
