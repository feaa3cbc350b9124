"""tcp_reset.py ADDRESS PORT SOURCE_PORT: 200 lines to an echo server and back, then a reset."""
import socket
import struct
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10,
                                source_address=("", int(sys.argv[3])))
for number in range(200):
    line = b"%012d\n" % number
    sock.sendall(line)
    back = b""
    while len(back) < len(line):
        back += sock.recv(len(line) - len(back))
    assert back == line
sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
sock.close()
