#!/usr/bin/python3
"""make.py - makes the input captures of golden.sh again: CASE/inside.pcap and CASE/outside.pcap.

The captures are kept in the tree; this is how they came about, and the place to add to them. Needs
scapy (Debian: python3-scapy). Everything in them is fixed: no random ids, ports or times.
"""
import os
import sys

from scapy.all import (ARP, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoReply,
                       ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IP, IPOption, IPv6,
                       IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                       IPv6ExtHdrRouting, LLC, Raw, RawPcapWriter, TCP, UDP, raw)

START = 1767225600 * 10**9  # 2026-01-01, a whole second
MS = 10**6

HOST, WEB = '10.1.0.10', '10.1.0.80'
PEER, FAR = '192.0.2.80', '198.51.100.7'
HOST6, WEB6, PEER6 = 'fd00:1::10', 'fd00:1::80', '2001:db8:2::80'
OWN, OWN6 = '10.1.0.1', 'fd00:1::1'
HOST_MAC, PEER_MAC = '02:00:00:00:10:10', '02:00:00:00:20:80'
FW_MAC = {'inside': '02:00:00:00:00:01', 'outside': '02:00:00:00:00:02'}


class Case:
    """One conversation in two captures, a frame each millisecond unless time is let pass."""

    def __init__(self, name):
        self.name, self.now, self.ident = name, START, 0
        self.frames = {'inside': [], 'outside': []}

    def frame(self, side, data):
        self.frames[side].append((self.now, bytes(data)))
        self.now += MS

    def wait(self, seconds):
        self.now += int(seconds * 10**9)

    def ether(self, side, **fields):
        mac = HOST_MAC if side == 'inside' else PEER_MAC
        return Ether(**{'src': mac, 'dst': FW_MAC[side], **fields})

    def packet(self, side, ip):
        """An IP packet; IPv4 ones without an id get the next one."""
        if isinstance(ip, IP) and ip.id == 1:
            self.ident += 1
            ip.id = 0x1000 + self.ident
        self.frame(side, self.ether(side) / ip)

    def out(self, ip):
        self.packet('inside', ip)

    def in_(self, ip):
        self.packet('outside', ip)

    def fragment4(self, side, src, dst, proto, ident, pieces, order):
        """`pieces`: [(offset in bytes, data)]; the one with the highest offset is the last."""
        last = max(offset for offset, _ in pieces)
        for i in order:
            offset, data = pieces[i]
            self.packet(side, IP(src=src, dst=dst, proto=proto, id=ident, frag=offset // 8,
                                 flags='MF' if offset != last else 0) / Raw(data))

    def fragment6(self, side, src, dst, proto, ident, pieces, order):
        last = max(offset for offset, _ in pieces)
        for i in order:
            offset, data = pieces[i]
            self.packet(side, IPv6(src=src, dst=dst, hlim=64)
                        / IPv6ExtHdrFragment(nh=proto, id=ident, offset=offset // 8,
                                             m=int(offset != last)) / Raw(data))

    def write(self, top):
        os.makedirs(os.path.join(top, self.name), exist_ok=True)
        for side, frames in self.frames.items():
            writer = RawPcapWriter(os.path.join(top, self.name, side + '.pcap'), linktype=1,
                                   nano=True, endianness='<')
            writer.write_header(None)
            for when, data in frames:
                writer._write_packet(data, sec=when // 10**9, usec=when % 10**9,
                                     caplen=len(data), wirelen=len(data))
            writer.close()


class Connection:
    """TCP between a client and a server; `ip` is IP or IPv6, `side` that of the client."""

    def __init__(self, case, side, ip, client, server, sport, dport, isn=(1000, 500000)):
        self.case, self.ip, self.ends, self.ports = case, ip, (client, server), (sport, dport)
        self.sides = (side, 'outside' if side == 'inside' else 'inside')
        self.seq = list(isn)

    def segment(self, who, flags, data=b'', seq=None, ack=None, **fields):
        other = 1 - who
        tcp = TCP(sport=self.ports[who], dport=self.ports[other], flags=flags, window=8192,
                  seq=self.seq[who] if seq is None else seq, **fields)
        if 'A' in flags:
            tcp.ack = self.seq[other] if ack is None else ack
        self.case.packet(self.sides[who],
                         self.ip(src=self.ends[who], dst=self.ends[other]) / tcp / Raw(data))
        if seq is None:
            self.seq[who] = (self.seq[who] + len(data) + ('S' in flags) + ('F' in flags)) % 2**32

    def open(self):
        self.segment(0, 'S', options=[('MSS', 1220), ('SAckOK', b''), ('NOP', None),
                                      ('NOP', None), ('WScale', 2)] if self.ip is IP
                     else [('MSS', 1220)])
        self.segment(1, 'SA', options=[('MSS', 1220)])
        self.segment(0, 'A')

    def close(self):
        self.segment(0, 'FA')
        self.segment(1, 'FA')
        self.segment(0, 'A')


def web():
    c = Case('web')
    for ip, host, peer in (IP, HOST, PEER), (IPv6, HOST6, PEER6):
        t = Connection(c, 'inside', ip, host, peer, 40000, 80)
        t.open()
        t.segment(0, 'PA', b'GET / HTTP/1.0\r\n\r\n')
        t.segment(1, 'A')
        t.segment(1, 'PA', b'HTTP/1.0 200 OK\r\n\r\n')
        t.segment(1, 'PA', b'hello')
        t.segment(1, 'PA', b'hello', seq=t.seq[1] - 5)  # sent again: passes
        t.segment(0, 'A')
        t.close()
        t.segment(1, 'FA', seq=t.seq[1] - 1)            # its end once more: passes
        c.wait(400)
        t.segment(1, 'PA', b'late')                     # long over: no-flow
    for ip, peer, host in (IP, FAR, WEB), (IPv6, PEER6, WEB6):
        t = Connection(c, 'outside', ip, peer, host, 50000, 443, (2**32 - 3, 7))
        t.open()                                        # sequence numbers wrap within
        t.segment(0, 'PA', b'request')
        t.segment(1, 'PA', b'answer')
        t.segment(0, 'PA', b'forged', seq=(t.seq[0] + 10**6) % 2**32)                # tcp-window
        t.segment(0, 'R', seq=(t.seq[0] + 10**8) % 2**32)                  # tcp-reset
        t.segment(0, 'R')                               # a valid one: passes and ends it
    c.wait(2)
    t = Connection(c, 'inside', IP, HOST, PEER, 40001, 81)
    t.segment(0, 'S')
    t.segment(1, 'RA')                                  # refused by the server: passes
    t = Connection(c, 'outside', IP, FAR, WEB, 50001, 80)
    t.segment(0, 'S')
    t.segment(0, 'A', b'blind', seq=5)                  # before the answer: tcp-state
    return c


def refused_tcp(c):
    for ip, peer, host in (IP, FAR, WEB), (IPv6, PEER6, WEB6):
        head = ip(src=peer, dst=host)
        for port in 22, 113:                            # policy, rejected
            c.in_(head / TCP(sport=1024, dport=port, flags='S', seq=1))
        c.in_(head / TCP(sport=1025, dport=80, flags='A', seq=1, ack=1))   # no-flow
        c.in_(head / TCP(sport=1025, dport=80, flags='R', seq=1))
        c.in_(head / TCP(sport=1025, dport=80, flags='SA', seq=1, ack=1))
        for flags in 'SF', 'SR', '', 'FPU':             # tcp-flags
            c.in_(head / TCP(sport=1026, dport=80, flags=flags, seq=1))
        c.in_(head / TCP(sport=1027, dport=80, flags='S', chksum=0xbad))   # l4-checksum
        c.in_(head / TCP(sport=1028, dport=80, flags='S', dataofs=4))      # l4-header
        c.in_(head / TCP(sport=1028, dport=80, flags='S', dataofs=15))
        c.in_(head / Raw(b'\0\x50\0\x50short') if ip is IPv6 else
              IP(src=peer, dst=host, proto=6) / Raw(b'\0\x50\0\x50short'))
        c.in_(head / UDP(sport=1029, dport=53) / b'query')                 # policy
        c.in_(head / UDP(sport=1029, dport=33434) / b'probe')              # rejected
        c.in_(head / UDP(sport=1029, dport=53, len=4) / b'query')          # l4-header


def refused_icmp(c):
    """No flow is known here, so every error is forged."""
    inner = IP(src=HOST, dst=PEER, id=7) / TCP(sport=40000, dport=80, seq=1)
    inner6 = IPv6(src=HOST6, dst=PEER6) / UDP(sport=1, dport=2)
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=3, code=4, nexthopmtu=68) / inner)  # icmp-unrelated
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=11) / inner)
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=3, code=1) / raw(inner)[:20])       # cut short
    c.in_(IPv6(src=PEER6, dst=HOST6) / ICMPv6DestUnreach(code=4) / inner6)
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=5, code=1, gw=FAR) / inner)         # redirect
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=8, id=1, seq=1) / b'ping')          # policy
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=0, id=1, seq=1) / b'pong')          # no-flow
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=8, id=1, seq=1, chksum=1) / b'x')   # l4-checksum


def refused_addresses(c):
    syn = TCP(sport=1030, dport=80, flags='S')
    for src, dst in (('127.0.0.1', WEB), ('0.0.0.0', WEB), ('224.0.0.5', WEB), ('240.0.0.1', WEB),
                     ('255.255.255.255', WEB), (FAR, '127.0.0.1'), (FAR, '0.1.2.3'),    # martian
                     ('169.254.1.1', WEB), (FAR, '169.254.1.1'),                        # link-local
                     (WEB, WEB), ('192.0.2.1', WEB), (OWN, WEB),            # land, spoofed
                     (FAR, '224.0.0.9'), (FAR, '255.255.255.255')):         # link-control
        c.in_(IP(src=src, dst=dst) / syn)
    for src, dst in (('::1', WEB6), ('::', WEB6), ('ff02::1', WEB6), ('::ffff:10.1.0.10', WEB6),
                     (PEER6, '::1'), (PEER6, '::ffff:10.1.0.80'),           # martian
                     ('fe80::1', WEB6), (PEER6, 'fe80::2'),                 # link-local
                     (WEB6, WEB6), (OWN6, WEB6), (PEER6, 'ff02::1')):
        c.in_(IPv6(src=src, dst=dst) / syn)
    good = IP(src=FAR, dst=WEB, id=9) / syn
    c.frame('outside', c.ether('outside', src=FW_MAC['outside']) / good)    # spoofed MAC
    c.frame('outside', c.ether('outside', dst='ff:ff:ff:ff:ff:ff') / good)  # link-control


def refused_headers(c):
    syn = TCP(sport=1031, dport=80, flags='S')
    head = {'src': FAR, 'dst': WEB}
    c.in_(IP(**head, chksum=0xbad) / syn)                                   # ip-checksum
    c.in_(IP(**head, ihl=4) / syn)                                          # ip-header
    c.in_(IP(**head, version=5) / syn)
    c.in_(IP(**head, len=400) / syn)                                        # ip-length
    c.in_(IP(**head, len=19) / syn)
    c.in_(IP(**head, options=[IPOption(b'\x83\x07\x04\xc0\x00\x02\x01\x00')]) / syn)  # ip-option
    c.in_(IP(**head, options=[IPOption(b'\x89\x07\x04\xc0\x00\x02\x01\x00')]) / syn)
    c.in_(IP(**head, proto=99) / b'nobody knows')                           # policy
    six = {'src': PEER6, 'dst': WEB6}
    c.in_(IPv6(**six) / IPv6ExtHdrRouting(type=0, addresses=[HOST6]) / syn)  # ip-option
    c.in_(IPv6(**six) / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / syn)   # ip6-chain
    c.in_(IPv6(**six, plen=2000) / syn)                                     # ip-length
    c.in_(IPv6(**six, nh=60) / b'\x06\xff')                                 # ip6-chain
    c.frame('outside', raw(c.ether('outside', type=0x800))[:14] + b'\x45\0')  # short-frame
    c.frame('outside', c.ether('outside', type=0x8100) / Dot1Q(vlan=5)
            / IP(**head, id=9) / syn)                                       # bad-vlan
    c.frame('outside', Ether(src=PEER_MAC, dst='01:80:c2:00:00:00') / LLC(dsap=66, ssap=66, ctrl=3)
            / b'spanning tree')                                             # link-control
    c.frame('outside', c.ether('outside', type=0x88cc) / b'lldp')


def refused_fragments(c):
    """To a port that policy admits: what is wrong is only how it is cut."""
    syn = raw(IP(src=FAR, dst=WEB) / TCP(sport=1032, dport=80, flags='S', seq=1) / Raw(b'x' * 44))
    syn = syn[20:]
    c.fragment4('outside', FAR, WEB, 6, 0x2001, [(0, syn[:16]), (16, syn[16:])], (0, 1))  # tiny
    c.fragment4('outside', FAR, WEB, 6, 0x2002, [(0, syn[:32]), (24, syn[24:])], (0, 1))  # overlap
    c.fragment4('outside', FAR, WEB, 6, 0x2003, [(8, syn[8:])], (0,))       # the flags overwritten
    c.fragment4('outside', FAR, WEB, 6, 0x2004, [(65528, syn[:16])], (0,))  # beyond 65535
    c.in_(IP(src=FAR, dst=WEB, proto=6, id=0x2005, flags='MF', frag=10) / Raw(b'13 not of 8 x'))
    six = raw(IPv6(src=PEER6, dst=WEB6) / TCP(sport=1032, dport=80, flags='S', seq=1)
              / Raw(b'x' * 44))[40:]
    c.fragment6('outside', PEER6, WEB6, 6, 0x2006, [(0, six[:32]), (24, six[24:])], (0, 1))
    c.fragment6('outside', PEER6, WEB6, 6, 0x2007, [(0, six[:16]), (16, six[16:])], (0, 1))
    c.wait(40)
    c.in_(IP(src=FAR, dst=WEB) / TCP(sport=1033, dport=22, flags='S'))      # time for the timeout


def refused():
    c = Case('refused')
    refused_tcp(c)
    refused_icmp(c)
    refused_addresses(c)
    refused_headers(c)
    refused_fragments(c)
    return c


def udp_fragments(c):
    text = bytes(range(256)) * 2
    for n, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 2, 0))):
        sport = 5100 + n
        data = raw(IP(src=HOST, dst=PEER) / UDP(sport=sport, dport=9) / Raw(text))[20:]
        pieces = [(0, data[:200]), (200, data[200:400]), (400, data[400:])]
        c.fragment4('inside', HOST, PEER, 17, 0x3000 + n, pieces, order)
        back = raw(IP(src=PEER, dst=HOST) / UDP(sport=9, dport=sport) / Raw(text))[20:]
        pieces = [(0, back[:200]), (200, back[200:400]), (400, back[400:])]
        c.fragment4('outside', PEER, HOST, 17, 0x3100 + n, pieces, order)
        data = raw(IPv6(src=HOST6, dst=PEER6) / UDP(sport=sport, dport=9) / Raw(text))[40:]
        pieces = [(0, data[:200]), (200, data[200:400]), (400, data[400:])]
        c.fragment6('inside', HOST6, PEER6, 17, 0x3000 + n, pieces, order)
    ping = raw(IP(src=HOST, dst=PEER) / ICMP(type=8, id=77, seq=1) / Raw(text))[20:]
    c.fragment4('inside', HOST, PEER, 1, 0x3200, [(0, ping[:400]), (400, ping[400:])], (0, 1))
    # The first one never comes, and the time for it runs out.
    c.fragment4('inside', HOST, PEER, 17, 0x3300, [(0, data[:200]), (200, data[200:400])], (1,))
    c.wait(40)


def udp():
    c = Case('udp')
    for ip, host, peer in (IP, HOST, PEER), (IPv6, HOST6, PEER6):
        c.out(ip(src=host, dst=peer) / UDP(sport=5000, dport=53) / b'question')
        c.in_(ip(src=peer, dst=host) / UDP(sport=53, dport=5000) / b'answer')
        c.in_(ip(src=peer, dst=host) / UDP(sport=53, dport=5001) / b'other port')   # policy
        c.out(ip(src=host, dst=peer) / UDP(sport=5000, dport=53))   # no data
    c.out(IP(src=HOST, dst=PEER) / UDP(sport=5002, dport=53, chksum=0) / b'no checksum')
    c.out(IP(src=HOST, dst=PEER) / UDP(sport=5002, dport=53, chksum=0xbad) / b'wrong, and kept so')
    c.out(IP(src=HOST, dst=PEER, tos=0xb8, options=[IPOption(b'\x94\x04\0\0')])
          / UDP(sport=5003, dport=53) / b'router alert, DSCP EF')
    c.out(IP(src=HOST, dst=PEER) / ICMP(type=8, id=7, seq=1) / b'ping')
    c.in_(IP(src=PEER, dst=HOST) / ICMP(type=0, id=7, seq=1) / b'ping')
    c.in_(IP(src=PEER, dst=HOST) / ICMP(type=0, id=8, seq=1) / b'not asked for')    # no-flow
    c.out(IPv6(src=HOST6, dst=PEER6) / ICMPv6EchoRequest(id=7, seq=1, data=b'ping'))
    c.in_(IPv6(src=PEER6, dst=HOST6) / ICMPv6EchoReply(id=7, seq=1, data=b'ping'))
    c.in_(IPv6(src=PEER6, dst=HOST6) / ICMPv6EchoReply(id=8, seq=1, data=b'not asked for'))
    c.out(IPv6(src=HOST6, dst=PEER6, tc=0xb8, fl=0x12345)
          / IPv6ExtHdrDestOpt() / UDP(sport=5003, dport=53) / b'options')
    udp_fragments(c)
    c.wait(170)
    c.in_(IP(src=PEER, dst=HOST) / UDP(sport=53, dport=5000) / b'too late')         # policy
    return c


def router_limits(c):
    """Time to live and MTU; that of the outside port is 1280."""
    data = bytes(range(256)) * 5
    for ttl in 1, 2:
        c.out(IP(src=HOST, dst=PEER, ttl=ttl) / UDP(sport=6000, dport=9) / b'ttl')
        c.out(IPv6(src=HOST6, dst=PEER6, hlim=ttl) / UDP(sport=6000, dport=9) / b'hop limit')
    c.out(IP(src=HOST, dst=PEER, ttl=1) / ICMP(type=11) / IP(src=PEER, dst=HOST)
          / UDP(sport=9, dport=6000))                       # no error about an error
    c.out(IP(src=HOST, dst=PEER, flags='DF') / UDP(sport=6000, dport=9) / Raw(data))
    c.out(IPv6(src=HOST6, dst=PEER6) / UDP(sport=6000, dport=9) / Raw(data))
    c.out(IP(src=HOST, dst=PEER) / UDP(sport=6000, dport=9) / Raw(data))    # cut in two
    c.out(IP(src=HOST, dst='203.0.113.9') / UDP(sport=6000, dport=9) / b'?')    # no rule, no route


def router_errors(c):
    """Errors about flows that are known, and about none."""
    sent = IP(src=HOST, dst=PEER, ttl=1, id=0x55) / UDP(sport=6000, dport=9) / b'ttl'
    sent6 = IPv6(src=HOST6, dst=PEER6, hlim=1) / UDP(sport=6000, dport=9) / b'hop limit'
    other = IP(src=HOST, dst=PEER, ttl=1, id=0x55) / UDP(sport=6001, dport=9) / b'not sent'
    c.in_(IP(src=PEER, dst=HOST) / ICMP(type=3, code=3) / sent)
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=11) / sent)     # from a router between
    c.in_(IPv6(src=PEER6, dst=HOST6) / ICMPv6DestUnreach(code=4) / sent6)
    c.in_(IP(src=FAR, dst=HOST) / ICMP(type=11) / other)    # icmp-unrelated
    t = Connection(c, 'inside', IP, HOST, FAR, 40002, 80)
    t.open()
    t.segment(0, 'PA', b'x' * 100)
    for seq in t.seq[0] - 100, t.seq[0] + 10**8:            # the second one cannot be about it
        c.in_(IP(src=FAR, dst=HOST) / ICMP(type=3, code=4, nexthopmtu=1000)
              / IP(src=HOST, dst=FAR, ttl=60, id=0x77)
              / TCP(sport=40002, dport=80, flags='PA', seq=seq, ack=t.seq[1]))


def router_link(c):
    """What is for the firewall itself; what it learns changes where frames go."""
    ping = IP(src=HOST, dst=PEER) / UDP(sport=6002, dport=9) / b'to an unknown MAC, then a known'
    c.out(ping.copy())
    c.frame('outside', Ether(src=PEER_MAC, dst='ff:ff:ff:ff:ff:ff')
            / ARP(op=1, hwsrc=PEER_MAC, psrc=PEER, pdst='192.0.2.1'))           # answered
    c.out(ping.copy())
    c.frame('inside', Ether(src=HOST_MAC, dst='ff:ff:ff:ff:ff:ff')
            / ARP(op=1, hwsrc=HOST_MAC, psrc=HOST, pdst='10.1.0.2'))            # not ours
    c.frame('inside', Ether(src=HOST_MAC, dst='33:33:ff:00:00:01')
            / IPv6(src=HOST6, dst='ff02::1:ff00:1', hlim=255)
            / ICMPv6ND_NS(tgt=OWN6) / ICMPv6NDOptSrcLLAddr(lladdr=HOST_MAC))    # answered
    c.out(IP(src=HOST, dst=OWN) / ICMP(type=8, id=9, seq=1) / b'ping the router')
    c.out(IPv6(src=HOST6, dst=OWN6) / ICMPv6EchoRequest(id=9, seq=1, data=b'ping the router'))
    c.out(IP(src=HOST, dst=OWN) / TCP(sport=40003, dport=22, flags='S'))        # to-host
    c.out(IP(src=HOST, dst='224.0.0.251') / UDP(sport=5353, dport=5353))        # link-control


def router():
    c = Case('router')
    router_limits(c)
    router_errors(c)
    router_link(c)
    return c


def main():
    top = os.path.dirname(os.path.abspath(sys.argv[0]))
    for case in web(), refused(), udp(), router():
        case.write(top)


if __name__ == '__main__':
    main()
