"""udp_echo.py PORT: answers every datagram with itself, over IPv4 and IPv6."""
import socket
import sys

sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
sock.bind(("::", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, peer = sock.recvfrom(65535)
    sock.sendto(data, peer)
