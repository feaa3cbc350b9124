"""stamped.py DEVICE MAC SOURCE SPORT DESTINATION DPORT KIND [PATH]: sends one SYN with chosen TCP options
as a frame to MAC. KIND is
  stamp   a dispatcher's path option that says PATH
  full    40 bytes of options: no room for one
  twice   two path options, of the right and of a wrong length
  tfo     a stamp, and data in the SYN"""
import sys

from scapy.all import IP, TCP, Ether, IPv6, get_if_hwaddr, sendp  # pylint: disable=E0611

device, mac, source, sport, destination, dport, kind = sys.argv[1:8]
path = int(sys.argv[8]) if len(sys.argv) > 8 else 0
stamp = (253, b"FW" + path.to_bytes(2, "big"))
options = {
    "stamp": [("MSS", 1460), stamp, ("NOP", None), ("NOP", None)],
    "full": [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0))] + [("NOP", None)] * 24,
    "twice": [stamp, (253, b"FW" + path.to_bytes(2, "big") + b"\0\0"), ("NOP", None), ("NOP", None)],
    "tfo": [("MSS", 1460), stamp, ("NOP", None), ("NOP", None)],
}[kind]
ip = IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)
frame = Ether(src=get_if_hwaddr(device), dst=mac) / ip / TCP(
    sport=int(sport), dport=int(dport), flags="S", seq=1000, options=options)
if kind == "tfo":
    frame = frame / b"GET /name HTTP/1.0\r\n\r\n"
sendp(frame, iface=device, verbose=False)
