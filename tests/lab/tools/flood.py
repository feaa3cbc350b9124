"""flood.py DEVICE MAC ADDRESS PORT KIND [PER_SECOND]: frames to MAC, from random addresses (IPv4:
20.0.0.0/6, IPv6: 2001:db8:f::/48) and ports (below 24000, where no test has its own) to ADDRESS and
PORT, as fast as they go or PER_SECOND, until SIGTERM; prints how many. KIND is what a source sends:
  syn     one SYN
  stamp   one SYN with a dispatcher's path option, at one of two places in the header
  reset   a SYN, and at once a reset
  ack     a SYN, and at once an ACK, as if it had been answered
  late    a SYN, and an ACK of a guessed number when the answer must have passed
  udp     two datagrams"""
import collections
import random
import signal
import socket
import struct
import sys
import time

SYN, RST, ACK = 0x02, 0x04, 0x10
LATE = 512  # frames between a SYN and its late ACK
STAMP = b"\xfd\x06FW"  # kind 253, length, identifier; the path follows
MSS = b"\x02\x04\x05\xb4"

device, mac, address, port, kind = sys.argv[1:6]
rate = int(sys.argv[6]) if len(sys.argv) > 6 else 0
six = ":" in address
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))


def words(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def folded(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Frame:
    """All of a frame but its source, of which the checksums are made without the rest."""

    def __init__(self, protocol, payload, checksum_at):
        source = bytes(16 if six else 4)
        if six:
            ip = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + source
            ip += socket.inet_pton(socket.AF_INET6, address)
        else:
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0)
            ip += source + socket.inet_aton(address)
        ether = bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x01"
        self.ether = ether + (b"\x86\xdd" if six else b"\x08\0")
        self.ip, self.payload, self.at = ip, payload, checksum_at
        self.ip_sum = words(ip)
        self.sum = words(payload) + words(ip[-16:] if six else ip[-4:]) + protocol + len(payload)

    def of(self, source, sport):
        more = words(source)
        if six:
            ip = self.ip[:8] + source + self.ip[24:]
        else:
            ip = self.ip[:10] + struct.pack("!H", folded(self.ip_sum + more)) + source + self.ip[16:]
        value = struct.pack("!H", folded(self.sum + more + sport))
        return (self.ether + ip + struct.pack("!H", sport) + self.payload[2:self.at] + value +
                self.payload[self.at + 2:])


def tcp(flags, options=b"", ack=0):
    head = struct.pack("!HHIIBBHHH", 0, int(port), 1000 + (flags & SYN == 0), ack,
                       (5 + len(options) // 4) << 4, flags, 64240, 0, 0)
    return Frame(6, head + options, 16)


def udp():
    return Frame(17, struct.pack("!HHHH", 0, int(port), 16, 0) + b"flooding", 6)


path = struct.pack("!H", 2)
sequences = {
    "syn": [[tcp(SYN, MSS)]],
    "stamp": [[tcp(SYN, STAMP + path + b"\x01\x01" + MSS)], [tcp(SYN, MSS + STAMP + path + b"\x01\x01")]],
    "reset": [[tcp(SYN, MSS), tcp(RST)]],
    "ack": [[tcp(SYN, MSS), tcp(ACK, b"", 2000)]],
    "late": [[tcp(SYN, MSS)]],
    "udp": [[udp(), udp()]],
}[kind]
guess = tcp(ACK, b"", 2000)

sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sock.bind((device, 0))
begin, sent, turn, later = time.monotonic(), 0, 0, collections.deque()


def send(frame):
    global sent
    try:
        sock.send(frame)
        sent += 1
    except OSError:  # no room at the device
        time.sleep(0.001)


while not stop:
    if rate and sent >= (time.monotonic() - begin) * rate:
        time.sleep(0.001)
        continue
    bits = random.getrandbits(96)
    sport = 1024 + (bits & 0xFFFF) % 22976
    if six:
        source = b"\x20\x01\x0d\xb8\0\x0f" + struct.pack("!HQ", bits >> 80, bits >> 16 & (1 << 64) - 1)
    else:
        source = struct.pack("!I", 20 << 24 | bits >> 16 & 0x3FFFFFF)
    for frame in sequences[turn % len(sequences)]:
        send(frame.of(source, sport))
    if kind == "late":
        later.append((source, sport))
        if len(later) > LATE:
            send(guess.of(*later.popleft()))
    turn += 1
print(f"flood {sent}", flush=True)
