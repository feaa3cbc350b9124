"""udp_ask.py ADDRESS PORT COUNT [SIZE [SOURCE_PORT]]: COUNT numbered datagrams to an echo server on one
socket, one after the other, each sent once. Prints "sent N back N twice N strange N refused N"; fails
unless each came back exactly once and unchanged."""
import os
import socket
import sys

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
size = int(sys.argv[4]) if len(sys.argv) > 4 else 64
family = socket.AF_INET6 if ":" in address else socket.AF_INET
sock = socket.socket(family, socket.SOCK_DGRAM)
if len(sys.argv) > 5:
    sock.bind(("", int(sys.argv[5])))
sock.connect((address, port))
sock.settimeout(3)
sent, back, twice, strange, refused = {}, set(), 0, 0, 0
for number in range(count):
    data = number.to_bytes(4, "big") + os.urandom(max(0, size - 4))
    sent[number] = data
    sock.send(data)
    try:
        answer = sock.recv(65535)
    except TimeoutError:
        continue
    except OSError:  # an ICMP error came back
        refused += 1
        continue
    which = int.from_bytes(answer[:4], "big")
    if sent.get(which) != answer:
        strange += 1
    elif which in back:
        twice += 1
    else:
        back.add(which)
sock.settimeout(0.2)
try:  # what comes now comes a second time
    while sock.recv(65535):
        twice += 1
except OSError:
    pass
print(f"sent {count} back {len(back)} twice {twice} strange {strange} refused {refused}")
sys.exit(0 if len(back) == count and not twice and not strange else 1)
