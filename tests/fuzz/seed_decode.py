#!/usr/bin/env python3
"""Write the seed inputs of fuzz_decode into the directory that is named."""
import os
import struct
import sys
from ipaddress import ip_address

A4, B4, A6, B6 = "192.0.2.1", "198.51.100.2", "2001:db8::1", "2001:db8:f::2"


def csum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def addr(text):
    return ip_address(text).packed


def eth(kind, body, vlan=None):
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return bytes.fromhex("02000000000d020000000005") + tag + struct.pack("!H", kind) + body


def ip4(proto, body, src=A4, dst=B4, options=b"", frag=0, ttl=64):
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body),
                       0x1234, frag, ttl, proto, 0) + addr(src) + addr(dst) + options
    return head[:10] + struct.pack("!H", csum(head)) + head[12:] + body


def ip6(proto, body, src=A6, dst=B6, ttl=64):
    return struct.pack("!IHBB", 6 << 28, len(body), proto, ttl) + addr(src) + addr(dst) + body


def summed(proto, at, body, src, dst):
    pseudo = b"" if proto == 1 else addr(src) + addr(dst) + struct.pack("!II", len(body), proto)
    return body[:at] + struct.pack("!H", csum(pseudo + body)) + body[at + 2:]


def tcp(flags, options=b"", data=b"", src=A4, dst=B4):
    body = struct.pack("!HHIIBBHHH", 40000, 443, 0x01020304, 0x0A0B0C0D,
                       (5 + len(options) // 4) << 4, flags, 0x7000, 0, 0) + options + data
    return summed(6, 16, body, src, dst)


def udp(data, src=A4, dst=B4):
    return summed(17, 6, struct.pack("!HHHH", 5353, 53, 8 + len(data), 0) + data, src, dst)


def icmp4(kind, code, rest, data=b""):
    return summed(1, 2, struct.pack("!BBHI", kind, code, 0, rest) + data, A4, B4)


def icmp6(kind, code, rest, data=b"", src=A6, dst=B6):
    return summed(58, 2, struct.pack("!BBHI", kind, code, 0, rest) + data, src, dst)


def vnet(flags=0, gso=0, size=0, start=0, offset=0, choice=0):
    return struct.pack("<BBHHHHB", flags, gso, 54 if gso else 0, size, start, offset, choice)


SYN = bytes.fromhex("020405b40402080a0102030400000000010303070000")[:20]
STAMPS = bytes.fromhex("0101080a0102030405060708")


def seeds():
    data = bytes(range(256)) * 4
    plain, cut = vnet(), vnet(choice=0x35)
    e4, e6 = (lambda b, **k: eth(0x0800, b, **k)), (lambda b, **k: eth(0x86DD, b, **k))
    t6 = lambda flags, **k: tcp(flags, src=A6, dst=B6, **k)
    yield "syn4", plain + e4(ip4(6, tcp(2, SYN)))
    yield "syn4-ecn-data", plain + e4(ip4(6, tcp(0xC2, SYN, b"fast open")))
    yield "synack4", plain + e4(ip4(6, tcp(0x12, SYN)))
    yield "ack4-vlan", cut + e4(ip4(6, tcp(0x10, STAMPS)), vlan=7)
    yield "ack4-priority", cut + e4(ip4(6, tcp(0x10)), vlan=0xE000)
    yield "data4-cut", cut + e4(ip4(6, tcp(0x18, STAMPS, data)))
    yield "fin4", plain + e4(ip4(6, tcp(0x11)))
    yield "rst4", plain + e4(ip4(6, tcp(4)))
    yield "null4", plain + e4(ip4(6, tcp(0)))
    yield "tcp4-padded", plain + e4(ip4(6, tcp(0x10))) + bytes(6)
    yield "udp4-cut", cut + e4(ip4(17, udp(data)))
    yield "udp4-options", cut + e4(ip4(17, udp(data), options=bytes.fromhex("0707040000000094040000 00")))
    yield "udp4-route", plain + e4(ip4(17, udp(b"x"), options=bytes.fromhex("8307040102030400")))
    yield "frag4-first", cut + e4(ip4(17, udp(data[:192]), frag=0x2000))
    yield "frag4-last", cut + e4(ip4(17, data[:300], frag=100))
    yield "frag4-tiny", plain + e4(ip4(6, tcp(2, SYN)[:16], frag=0x2000))
    yield "echo4", plain + e4(ip4(1, icmp4(8, 0, 0x77010002, data[:56])))
    inner4 = ip4(6, tcp(0x10), src=B4, dst=A4)
    yield "unreach4", plain + e4(ip4(1, icmp4(3, 4, 1400, inner4[:28])))
    yield "exceeded4-echo", plain + e4(ip4(1, icmp4(11, 0, 0, ip4(1, icmp4(8, 0, 5), src=B4, dst=A4))))
    yield "redirect4", plain + e4(ip4(1, icmp4(5, 1, 0, inner4)))
    yield "gre4", plain + e4(ip4(47, data[:40]))
    yield "multicast4", plain + e4(ip4(17, udp(b"x", dst="224.0.0.251"), dst="224.0.0.251"))
    yield "syn6", plain + e6(ip6(6, t6(2, options=SYN)))
    yield "data6-vlan", cut + e6(ip6(6, t6(0x18, options=STAMPS, data=data)), vlan=9)
    yield "udp6", plain + e6(ip6(17, udp(data[:99], A6, B6)))
    chain = bytes.fromhex("3c00010400000000" "2b01000000010100" "0106000000000000"
                          "3300030000000000" "1104") + bytes(22)
    yield "chain6", plain + e6(ip6(0, chain + udp(b"data", A6, B6)))
    yield "routing6", plain + e6(ip6(43, bytes.fromhex("1100000100000000") + udp(b"x", A6, B6)))
    frag = lambda nxt, field: struct.pack("!BBHI", nxt, 0, field, 0xDEADBEEF)
    yield "frag6-first", plain + e6(ip6(44, frag(17, 1) + udp(data[:64], A6, B6)))
    yield "frag6-last", plain + e6(ip6(44, frag(17, 72) + data[:33]))
    yield "frag6-atomic", plain + e6(ip6(44, frag(17, 0) + udp(data[:33], A6, B6)))
    yield "frag6-twice", plain + e6(ip6(44, frag(44, 0) + frag(17, 0) + udp(b"x", A6, B6)))
    yield "echo6", plain + e6(ip6(58, icmp6(128, 0, 0x77010002, data[:40])))
    inner6 = ip6(6, t6(0x10), src=B6, dst=A6)
    yield "toobig6", plain + e6(ip6(58, icmp6(2, 0, 1280, inner6)))
    yield "no-next6", plain + e6(ip6(59, b""))
    host, group = "fe80::5", "ff02::1:ff00:1"
    ns = icmp6(135, 0, 0, addr(A6) + bytes.fromhex("0101020000000007"), host, group)
    yield "ns6", plain + e6(ip6(58, ns, host, group, 255))
    na = icmp6(136, 0, 0xE0000000, addr(A6) + bytes.fromhex("0201020000000007"), host, "fe80::9")
    yield "na6", plain + e6(ip6(58, na, host, "fe80::9", 255))
    yield "mld6", plain + e6(ip6(0, bytes.fromhex("3a00050200000100")
                                 + icmp6(143, 0, 0, b"", "::", "ff02::16"), "::", "ff02::16", 1))
    arp = bytes.fromhex("000108000604000102000000000" "5c0000201000000000000c00002fe")
    yield "arp", plain + eth(0x0806, arp)
    yield "lldp", plain + eth(0x88CC, data[:40])
    yield "stp", plain + eth(0x0026, data[:38])
    yield "qinq", plain + eth(0x88A8, data[:60])
    yield "gso-tcp4", vnet(1, 1, 200, 34, 16, 0x31) + e4(ip4(6, tcp(0x99, STAMPS, data)))
    yield "gso-tcp4-ecn", vnet(1, 0x81, 100, 34, 16) + e4(ip4(6, tcp(0xD8, b"", data)))
    yield "gso-tcp6", vnet(1, 4, 333, 54, 16, 2) + e6(ip6(6, t6(0x19, data=data)))
    yield "gso-udp4", vnet(1, 5, 100, 38, 6) + e4(ip4(17, udp(data)), vlan=5)
    yield "gso-udp6", vnet(1, 5, 512, 54, 6) + e6(ip6(17, udp(data, A6, B6)))
    yield "partial-udp4", vnet(1, 0, 0, 34, 6, 0x20) + e4(ip4(17, udp(data)))
    yield "partial-outside", vnet(1, 0, 0, 60000, 60000) + e4(ip4(17, udp(b"x")))
    yield "partial-over-ethernet", vnet(3, 0, 0, 0, 0, 14) + e4(ip4(6, tcp(2, SYN)))
    yield "partial-over-udp-length", vnet(1, 0, 0, 37, 0) + e4(ip4(17, udp(b"x")))
    yield "empty", plain
    yield "one-byte", plain + b"\x02"


def main():
    for name, data in seeds():
        with open(os.path.join(sys.argv[1], name), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
