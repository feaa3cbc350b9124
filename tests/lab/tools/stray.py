"""stray.py SOURCE SPORT DESTINATION DPORT [COUNT [BYTES]]: sends TCP segments (ACK, in the middle of a
connection that does not exist) by a raw socket; the kernel routes them. IPv4 or IPv6."""
import socket
import struct
import sys


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(family, source, sport, destination, dport, payload, flags=0x10, seq=1000, ack=2000):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 1024, 0, 0)
    src, dst = socket.inet_pton(family, source), socket.inet_pton(family, destination)
    size = len(head) + len(payload)
    if family == socket.AF_INET:
        pseudo = src + dst + struct.pack("!BBH", 0, 6, size)
    else:
        pseudo = src + dst + struct.pack("!IHBB", size, 0, 0, 6)
    value = checksum(pseudo + head + payload)
    return head[:16] + struct.pack("!H", value) + head[18:] + payload


def main():
    source, sport, destination, dport = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    payload = bytes(int(sys.argv[6]) if len(sys.argv) > 6 else 0)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    sock.bind((source, 0))
    for _ in range(count):
        sock.sendto(segment(family, source, sport, destination, dport, payload), (destination, 0))


if __name__ == "__main__":
    main()
