"""http_cases.py - the cases of tests/lab/corners/requests.txt and responses.txt; how they are written
is said there."""
import re

HOST = b"Host: corpus.example\r\n"
SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", "E": b"\r\n", "H": HOST,
          "C": b"Transfer-Encoding: chunked\r\n"}
ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|\*(\d+)\{((?:[^{}]|\{[^{}]*\})*)\}|(.))",
                    re.S)


class Case:
    def __init__(self, name, kind, section, note, text):
        self.name, self.section, self.note = name, section, note
        self.kind, _, self.method = kind.partition(" ")
        self.method = self.method or "GET"
        target = b"/c/" + name.encode()
        hidden = b"GET %s/hidden HTTP/1.1\r\n%s\r\n" % (target, HOST)
        words = {**SIMPLE, "T": target, "S": hidden, "N": b"%d" % len(hidden),
                 "X": b"%x" % len(hidden), "G": b"GET %s HTTP/1.1\r\n%s" % (target, HOST),
                 "P": b"POST %s HTTP/1.1\r\n%s" % (target, HOST),
                 "O": b"HTTP/1.1 200 OK\r\n", "M": b"made for %s\n" % target,
                 "L": b"%d" % len(b"made for %s\n" % target)}
        self.words = words
        self.end = b"GET %s/end HTTP/1.1\r\n%sConnection: close\r\n\r\n" % (target, HOST)
        # \W divides: what is behind it is sent when asked for. \Q at the end: the sender closes.
        self.closes = text.endswith("\\Q")
        self.parts = [self.bytes_of(part) for part in
                      (text[:-2] if self.closes else text).split("\\W")]
        self.data = self.parts[0]

    def bytes_of(self, text):
        out, at = b"", 0
        for found in ESCAPE.finditer(text):
            out += text[at:found.start()].encode("latin-1")
            at = found.end()
            if found[1]:
                out += bytes([int(found[1], 16)])
            elif found[2]:
                out += self.bytes_of(found[3]) * int(found[2])
            else:
                out += self.words[found[4]]
        return out + text[at:].encode("latin-1")


def read(path):
    cases, head, lines = [], None, []
    with open(path, encoding="latin-1") as file:
        for line in [*file.read().split("\n"), ""]:
            if head is None:
                if line and not line.startswith("#"):
                    head = line.split(" | ")
            elif line:
                lines.append(line)
            else:
                cases.append(Case(*head, "".join(lines)))
                head, lines = None, []
    if len({case.name for case in cases}) != len(cases):
        raise ValueError("a name is there twice")
    return cases
