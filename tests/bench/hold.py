"""hold.py ADDRESS PORT COUNT FILE: COUNT connections, one request for /1k on each, held open; then
writes their number to FILE and waits for its end."""
import signal
import socket
import sys

address, port, count, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
request = b"GET /1k HTTP/1.1\r\nHost: hold\r\n\r\n"
held = []
for _ in range(count):
    s = socket.create_connection((address, port), timeout=5)
    s.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1024:
        piece = s.recv(65536)
        if not piece:
            sys.exit("closed")
        got += piece
    held.append(s)
with open(path, "w", encoding="ascii") as out:
    out.write(f"{len(held)}\n")
signal.pause()
