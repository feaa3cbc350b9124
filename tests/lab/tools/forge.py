"""forge.py DEVICE SOURCE SPORT DESTINATION DPORT COUNT: watches that connection's packets on DEVICE, then
sends COUNT resets and COUNT data segments of it that lie a gigabyte out of its window, on either side.
The data says "forged". IPv4 or IPv6; the kernel routes them."""
import socket
import struct
import sys

from stray import segment

RST, ACK, PSH = 4, 16, 8


def numbers(device, family, sport, dport):
    """Sequence and acknowledgement number of a segment from sport to dport."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((device, 0))
    sock.settimeout(10)
    kind, header = (0x0800, 20) if family == socket.AF_INET else (0x86DD, 40)
    while True:
        frame = sock.recv(65535)
        if len(frame) < 14 + header + 20 or struct.unpack("!H", frame[12:14])[0] != kind:
            continue
        if struct.unpack("!HH", frame[14 + header:18 + header]) == (sport, dport):
            return struct.unpack("!II", frame[18 + header:26 + header])


def main():
    device, source, sport, destination, dport, count = sys.argv[1:]
    sport, dport, count = int(sport), int(dport), int(count)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    seq, ack = numbers(device, family, sport, dport)
    sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    sock.bind((source, 0))
    sent = 0
    for number in range(count):
        for away in (1 << 30, -(1 << 30)):
            for flags, payload in ((RST, b""), (RST | ACK, b""), (ACK | PSH, b"forged")):
                forged = (seq + away + number * 100) % (1 << 32)
                data = segment(family, source, sport, destination, dport, payload, flags, forged, ack)
                sock.sendto(data, (destination, 0))
                sent += 1
    print(f"sent {sent}")


main()
