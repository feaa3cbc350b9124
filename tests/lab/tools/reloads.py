"""reloads.py SOCKET COUNT: so many reloads in a row by the control socket; each has to succeed."""
import json
import socket
import sys

path, count = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(20)
    sock.connect(path)
    lines = sock.makefile("rw", encoding="utf-8")
    for i in range(count):
        lines.write('{"verb":"reload"}\n')
        lines.flush()
        answer = json.loads(lines.readline())
        if not answer.get("reload") or not answer["reload"][0]["ok"]:
            sys.exit(f"reload {i}: {answer}")
print(count)
