"""udp_echo.py PORT: answers every datagram with itself, over IPv4 and IPv6, from the address that was
asked: a host may have many."""
import socket
import struct
import sys

sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
sock.bind(("::", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, ancillary, _, peer = sock.recvmsg(65535, socket.CMSG_SPACE(20))
    # the address alone: routes say by which interface
    own = [(level, kind, info[:16] + struct.pack("i", 0)) for level, kind, info in ancillary
           if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
    try:
        sock.sendmsg([data], own, 0, peer)
    except OSError:
        pass  # no way back
