#!/usr/bin/env python3
"""Write the seed inputs of fuzz_stamp and fuzz_nat into the directory that is named, which is
called after its target: seed_frames.py tests/fuzz/corpus/stamp"""
import importlib.util
import os
import struct
import sys

here = os.path.dirname(os.path.abspath(__file__))
source = os.path.join(here, "seed_decode.py")
spec = importlib.util.spec_from_file_location("seed_decode", source)
seed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seed)

MSS = bytes.fromhex("020405b4")
USUAL = bytes.fromhex("020405b40402080a000000090000000001030307")
STAMP = bytes.fromhex("fd0646570003")
NOP, END = b"\1", b"\0"
SYN, SYN_ACK = 2, 0x12
ENDS = bytes(range(0x40, 0x64))
IP_OPTIONS = bytes.fromhex("0194040000010009")


def ip4(body, **kw):
    return seed.eth(0x0800, body, **kw)


def ip6(body, **kw):
    return seed.eth(0x86DD, body, **kw)


def tcp6(flags, **kw):
    return seed.tcp(flags, src=seed.A6, dst=seed.B6, **kw)


def stamps():
    def v4(options, flags=SYN, **kw):
        return ip4(seed.ip4(6, seed.tcp(flags, options, **kw)))

    def head(choice=1, **kw):
        return seed.vnet(choice=choice, **kw)

    yield "none", head() + v4(b"")
    yield "usual", head() + v4(USUAL)
    yield "usual6", head() + ip6(seed.ip6(6, tcp6(SYN, options=USUAL)))
    yield "small-mtu", head(2) + v4(USUAL)
    yield "no-room", head() + v4(NOP * 36)
    yield "fast-open", head() + v4(MSS, data=b"GET / HTTP/1.0\r\n\r\n")
    yield "end-early", head() + v4(MSS + END + b"\xfd\x06FW" + bytes(3))
    yield "end-odd", head() + v4(b"\3\3\7" + END + bytes(4))
    yield "stamp", head() + v4(USUAL + STAMP + NOP * 2)
    yield "stamp-answer", head() + v4(MSS + STAMP + NOP * 2, SYN_ACK)
    yield "stamp-first", head() + v4(STAMP + MSS + NOP * 2)
    yield "stamp-middle", head() + v4(MSS + STAMP + b"\4\2" + NOP * 4)
    yield "stamp-twice", head() + v4(STAMP + NOP * 2 + MSS + STAMP + NOP * 2)
    yield "stamp-full", head() + v4(STAMP * 6 + NOP * 4)
    yield "stamp-bare", head() + v4(b"\xfd\4FW")
    yield "stamp-short", head() + v4(b"\xfd\5FW\1" + NOP * 3)
    yield "stamp-long", head() + v4(b"\xfd\x0bFW\1\2\3\4\5\6\7" + NOP)
    yield "stamp-cut", head() + v4(MSS + b"\xfd\6FW")
    yield "stamp-ack", head() + v4(STAMP + NOP * 2, 0x10)
    yield "other-exid", head() + v4(b"\xfd\6FX\0\1" + NOP * 2)
    yield "other-kind", head() + v4(b"\xfe\6FW\0\1" + NOP * 2)
    yield "no-exid", head() + v4(b"\xfd\3F" + NOP)
    yield "vlan", head() + ip4(seed.ip4(6, seed.tcp(SYN, STAMP + NOP * 2)), vlan=7)
    yield "ip-options", head() + ip4(seed.ip4(6, seed.tcp(SYN, STAMP + NOP * 2),
                                              options=IP_OPTIONS))
    yield "fragment", head() + ip4(seed.ip4(6, seed.tcp(SYN, STAMP + NOP * 2, bytes(36)),
                                            frag=0x2000))
    atomic = struct.pack("!BBHI", 6, 0, 0, 9)
    yield "atomic6", head() + ip6(seed.ip6(44, atomic + tcp6(SYN, options=STAMP + NOP * 2)))
    yield "partial", head(flags=1, start=34, offset=16) + v4(STAMP + NOP * 2)
    yield "super", head(flags=1, gso=1, size=100, start=34, offset=16) + v4(MSS, data=bytes(300))
    yield "udp", head() + ip4(seed.ip4(17, seed.udp(b"x" * 30)))


def nats():
    def head(**kw):
        return seed.vnet(**kw)[:10] + ENDS

    data = bytes(range(200))
    yield "tcp4", head() + ip4(seed.ip4(6, seed.tcp(0x18, seed.STAMPS, data)))
    yield "tcp6", head() + ip6(seed.ip6(6, tcp6(0x18, options=seed.STAMPS, data=data)))
    yield "udp4-vlan", head() + ip4(seed.ip4(17, seed.udp(data)), vlan=7)
    yield "udp6", head() + ip6(seed.ip6(17, seed.udp(data, seed.A6, seed.B6)))
    zero = seed.udp(data)
    yield "udp4-no-sum", head() + ip4(seed.ip4(17, zero[:6] + bytes(2) + zero[8:]))
    yield "udp4-options", head() + ip4(seed.ip4(17, seed.udp(data), options=IP_OPTIONS))
    yield "echo4", head() + ip4(seed.ip4(1, seed.icmp4(8, 0, 7, data)))
    yield "echo6", head() + ip6(seed.ip6(58, seed.icmp6(128, 0, 7, data)))
    yield "gre", head() + ip4(seed.ip4(47, data))
    yield "frag4-first", head() + ip4(seed.ip4(17, seed.udp(data)[:64], frag=0x2000))
    yield "frag4-last", head() + ip4(seed.ip4(17, data[:99], frag=8))
    frag = struct.pack("!BBHI", 17, 0, 64, 9)
    yield "frag6-last", head() + ip6(seed.ip6(44, frag + data[:99]))
    yield "partial", head(flags=1, start=34, offset=16) + ip4(seed.ip4(6, seed.tcp(0x18, b"", data)))
    yield "super", head(flags=1, gso=1, size=50, start=34, offset=16) + ip4(
        seed.ip4(6, seed.tcp(0x18, b"", data)))
    back = {"src": seed.B4, "dst": seed.A4}
    back6 = {"src": seed.B6, "dst": seed.A6}
    quotes = {"tcp": seed.ip4(6, seed.tcp(0x18, b"", data, **back), **back),
              "udp": seed.ip4(17, seed.udp(data, **back), **back),
              "echo": seed.ip4(1, seed.icmp4(8, 0, 7, data), **back),
              "fragment": seed.ip4(17, data, frag=9, **back)}
    for name, quote in quotes.items():
        yield "error4-" + name, head() + ip4(seed.ip4(1, seed.icmp4(3, 1, 0, quote)))
        yield "error4-short-" + name, head() + ip4(seed.ip4(1, seed.icmp4(11, 0, 0, quote[:28])))
    extended = quotes["udp"][:28] + bytes(100) + bytes.fromhex("2000a55a00040101")
    yield "error4-extended", head() + ip4(seed.ip4(1, seed.icmp4(3, 1, 0x00200000, extended)))
    quotes = {"tcp": seed.ip6(6, tcp6_back(data), **back6),
              "udp": seed.ip6(17, seed.udp(data, **back6), **back6),
              "echo": seed.ip6(58, seed.icmp6(128, 0, 7, data, **back6), **back6)}
    for name, quote in quotes.items():
        yield "error6-" + name, head() + ip6(seed.ip6(58, seed.icmp6(1, 0, 0, quote)))
        yield "error6-short-" + name, head() + ip6(seed.ip6(58, seed.icmp6(3, 0, 0, quote[:48])))


def tcp6_back(data):
    return seed.tcp(0x18, b"", data, src=seed.B6, dst=seed.A6)


def main():
    where = sys.argv[1].rstrip("/")
    seeds = {"stamp": stamps, "nat": nats}[os.path.basename(where)]
    for name, data in seeds():
        with open(os.path.join(where, name), "wb") as out:
            out.write(data)


main()
