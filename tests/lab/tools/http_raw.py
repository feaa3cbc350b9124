"""http_raw.py - HTTP/1.1 as a client that looks at everything itself: what is sent are bytes, and
what comes back is taken apart here. Used by the other http_*.py.

HTTP_COOKIE=NAME=VALUE in the environment: every request has that cookie."""
import os
import socket

COOKIE = os.environ.get("HTTP_COOKIE")


class Broken(Exception):
    """What came is no response, or not all of one."""


class Response:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.version, self.status = lines[0].split(" ")[0], int(lines[0].split(" ")[1])
        self.fields = [(name.lower(), value.strip()) for name, _, value in
                       (line.partition(":") for line in lines[1:] if line)]
        self.body, self.trailers, self.framing = b"", [], "none"

    def field(self, name):
        return next((value for key, value in self.fields if key == name), None)

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def text(self):
        return self.body.decode("latin-1").strip()


class Client:
    """One connection."""

    def __init__(self, address, port=80, source=None, timeout=20):
        bind = (source, 0) if source else None
        self.socket = socket.create_connection((address, port), timeout, bind)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = "[%s]" % address if ":" in address else address
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        if COOKIE:
            field = b"\r\nCookie: %s\r\nHost: " % COOKIE.encode()
            data = data.replace(b"\r\nHost: ", field)
        self.socket.sendall(data)

    def more(self):
        """False: the server has ended the connection."""
        data = self.socket.recv(262144)
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.more():
                raise Broken("ended with %r" % self.buffer[-200:])
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def exactly(self, size):
        pieces, have = [self.buffer], len(self.buffer)
        while have < size:
            data = self.socket.recv(262144)
            if not data:
                raise Broken("ended %d bytes early" % (size - have))
            pieces.append(data)
            have += len(data)
        everything = b"".join(pieces)
        self.buffer = everything[size:]
        return everything[:size]

    def at_end(self):
        """Nothing more comes: the connection has been ended in an orderly way."""
        while self.more():
            pass
        return self.buffer == b""

    def head(self):
        return Response(self.until(b"\r\n\r\n"))

    def response(self, method="GET"):
        """The next one that is final; those before it are in `interim`."""
        self.interim = []
        while True:
            found = self.head()
            if found.status >= 200 or found.status == 101:
                break
            self.interim.append(found)
        self.content(found, method)
        return found

    def content(self, found, method):
        if method == "HEAD" or found.status in (101, 204, 304):
            return
        if (found.field("transfer-encoding") or "").lower() == "chunked":
            found.framing = "chunked"
            pieces = []
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                pieces.append(self.exactly(size))
                if self.exactly(2) != b"\r\n":
                    raise Broken("a chunk does not end where it should")
            while line := self.until(b"\r\n"):
                found.trailers.append(line.decode("latin-1"))
            found.body = b"".join(pieces)
        elif found.field("content-length") is not None:
            found.framing = "length"
            found.body = self.exactly(int(found.field("content-length")))
        else:
            found.framing = "close"
            while self.more():
                pass
            found.body, self.buffer = self.buffer, b""

    def ask(self, path, method="GET", fields="", body=b"", version="1.1"):
        """One request and its response."""
        if body and "ransfer-" not in fields:
            fields += "Content-Length: %d\r\n" % len(body)
        host = "" if "Host:" in fields else "Host: %s\r\n" % self.host
        self.send(("%s %s HTTP/%s\r\n%s%s\r\n" % (method, path, version, host, fields)).encode()
                  + body)
        return self.response(method)


def made_of(name, size):
    piece = (name + " ").encode()
    return (piece * (size // len(piece) + 1))[:size]


def in_chunks(data, size, extension=b"", trailers=b""):
    out = []
    for at in range(0, len(data), size):
        piece = data[at:at + size]
        out.append(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece))
    return b"".join(out) + b"0\r\n" + trailers + b"\r\n"
