"""udp_ttl.py ADDRESS PORT: a socket that has an echo server answer 50 datagrams, then sends one that
must not get there, with a TTL of 1, then 50 more. Prints "back N expired N"; fails unless all hundred
came back and the one was answered by "time exceeded"."""
import errno
import socket
import struct
import sys

IP_RECVERR, IPV6_RECVERR = 11, 25
address, port = sys.argv[1], int(sys.argv[2])
v6 = ":" in address
sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
sock.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
sock.connect((address, port))
sock.settimeout(3)


def ttl(value):
    sock.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, value)


def ask(number):
    data = struct.pack("!I", number) * 16
    sock.send(data)
    return sock.recv(2048) == data


back = sum(ask(number) for number in range(50))
ttl(1)
expired = 0
try:
    back += ask(99)
except OSError as error:
    expired = error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
ttl(64)
back += sum(ask(number) for number in range(50, 100))
print(f"back {back} expired {int(expired)}")
sys.exit(0 if back == 100 and expired else 1)
