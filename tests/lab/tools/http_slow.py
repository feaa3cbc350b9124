"""http_slow.py ADDRESS COUNT KIND SECONDS: so many connections at once of a client that takes its
time: KIND is
	head	a request's head, a byte every half second
	idle	one request and its response, then nothing
	mute	nothing at all
	body	a head with a length, then a byte of the body every half second
	read	asks for 50 MB and reads a byte every half second
Says "open" when all are. At the end: how many connections were still open."""
import socket
import sys
import time

from http_raw import Client

address, count, kind, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
HEAD = b"GET /app/name HTTP/1.1\r\nHost: web.example\r\nX-Slow: " + b"x" * 2000
clients = []
for n in range(count):
    c = Client(address, timeout=10)
    if kind == "idle":
        if c.ask("/app/name").status != 200:
            sys.exit("no answer")
    elif kind == "body":
        c.send("POST /app/sum/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
    elif kind == "read":
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send("GET /app/tag/slow/50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    clients.append(c)
print("open", flush=True)

at, end = 0, time.monotonic() + seconds
is_open = dict.fromkeys(range(count), True)
while time.monotonic() < end:
    for n, c in enumerate(clients):
        if not is_open[n]:
            continue
        try:
            if kind == "head":
                c.send(HEAD[at:at + 1])
            elif kind == "body":
                c.send(b"x")
            elif kind == "read":
                c.socket.recv(1)
                continue
            c.socket.setblocking(False)
            try:
                is_open[n] = bool(c.socket.recv(4096))
            except BlockingIOError:
                pass
            c.socket.setblocking(True)
        except OSError:
            is_open[n] = False
    at += 1
    time.sleep(0.5)
print(sum(is_open.values()), flush=True)
