"""probe.py udp|tcp ADDRESS PORT FILE [PER_SECOND]: to an echo server, one numbered block every
millisecond, over one flow, until SIGTERM. Then FILE has one line of JSON: how many were sent, came
back, came back changed or twice, and the longest time (ms) in which nothing came back.

By TCP what comes back is compared with what was sent, byte for byte; status 1 when it differs or the
connection broke."""
import json
import select
import signal
import socket
import sys
import time

kind, address, port, name = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
step = 1 / (float(sys.argv[5]) if len(sys.argv) > 5 else 1000)
size = 64 if kind == "udp" else 512
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))

family = socket.AF_INET6 if ":" in address else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
if kind == "tcp":
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
sock.settimeout(5)
sock.connect((address, port))
sock.setblocking(False)
sent = back = wrong = doubled = refused = 0
seen = set()
rest, unsent = b"", b""
begin = last = time.monotonic()
gap, gaps, error = 0.0, [], ""


def block(number):
    return b"%015d\n" % number * (size // 16)


def check(data):
    """A block that came back."""
    global back, wrong, doubled
    number = int(data[:15]) if data[:15].isdigit() else -1
    if data != block(number) or (kind == "tcp" and number != back):
        wrong += 1
    elif number in seen:
        doubled += 1
    if kind == "udp":
        seen.add(number)
    back += 1


def arrived():
    global last, gap
    now = time.monotonic()
    if now - last > gap:
        gap = now - last
    if now - last > 0.05:
        gaps.append(round((now - last) * 1000))
    last = now


def read():
    global rest
    while True:
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return
        if not data:
            raise OSError("closed by the other side")
        arrived()
        if kind == "udp":
            check(data)
            continue
        rest += data
        while len(rest) >= size:
            check(rest[:size])
            rest = rest[size:]


def write():
    global sent, unsent, refused
    while begin + sent * step <= time.monotonic() and len(unsent) < 1 << 20:
        data = block(sent)
        sent += 1
        if kind == "tcp":
            unsent += data
            continue
        try:
            sock.send(data)
        except BlockingIOError:
            refused += 1
    if unsent:
        try:
            unsent = unsent[sock.send(unsent):]
        except BlockingIOError:
            pass


try:
    while not stop:
        select.select([sock], [], [], max(0, begin + sent * step - time.monotonic()))
        read()
        write()
    end = time.monotonic() + 5
    while time.monotonic() < end and back < sent and not (kind == "udp" and time.monotonic() > end - 4):
        if select.select([sock], [], [], 0.1)[0]:
            read()
        write()
except OSError as e:
    error = str(e)
with open(name, "w") as file:
    print(json.dumps({"sent": sent, "back": back, "lost": sent - back, "wrong": wrong,
                      "doubled": doubled, "gap_ms": round(gap * 1000, 1), "gaps_ms": gaps,
                      "error": error}), file=file)
sys.exit(1 if error or wrong or (kind == "tcp" and back != sent) else 0)
