"""tcp_drip.py ADDRESS PORT FILE [SOURCE_PORT [SOURCE_ADDRESS]]: one connection to an echo server that says a number every 20 ms
and waits for it to come back; writes the last number that did to FILE. Ends when the connection
does: status 0 after SIGTERM (closed in order), 1 when it broke."""
import os
import signal
import socket
import sys
import time

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
source = (sys.argv[5] if len(sys.argv) > 5 else "", int(sys.argv[4])) if len(sys.argv) > 4 else None
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60, source_address=source)
number = 0
try:
    while not stop:
        number += 1
        line = b"%012d\n" % number
        sock.sendall(line)
        back = b""
        while len(back) < len(line):
            data = sock.recv(len(line) - len(back))
            if not data:
                raise OSError("closed by the other side")
            back += data
        if back != line:
            raise OSError("not what was sent")
        with open(sys.argv[3] + ".new", "w") as file:
            print(number, file=file)
        os.rename(sys.argv[3] + ".new", sys.argv[3])
        time.sleep(0.02)
except OSError as error:
    print(f"broke after {number}: {error}", flush=True)
    sys.exit(1)
sock.close()
