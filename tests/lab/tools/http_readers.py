"""http_readers.py - how HTTP/1.x is read: as RFC 9112 says and not otherwise, and as programs do that
are kind to what they are sent. Used by http_corpus.py and http_recorder.py.

A reader takes the bytes of one direction of a connection and gives the messages that it finds whole,
and why it stopped: "" at the end, "cut" in the middle of a message, else what is wrong."""
import re

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/(\d)\.(\d)")
STATUS_LINE = re.compile(rb"HTTP/(1)\.(\d) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
QUOTED = rb'"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
EXTENSION = rb"[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|" + QUOTED + rb"))?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + EXTENSION + rb")*")
HOST = re.compile(r"(?:[\w.~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?", re.A)
FRAMING = {"content-length", "transfer-encoding", "host", "trailer"}
HOPS = {"connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"}


class Wrong(Exception):
    pass


class Cut(Exception):
    pass


class Message:
    """A request has method and target, a response a status."""

    def __init__(self, first, second, minor, fields):
        self.method, self.target = first, second
        self.status = second if isinstance(second, int) else 0
        self.minor, self.fields = minor, fields
        self.body, self.trailers, self.framing, self.end = b"", [], "none", 0

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def options(self):
        return {word.strip(" \t").lower() for value in self.all("connection")
                for word in value.split(",") if word.strip(" \t")}

    def ends(self):
        """The connection carries nothing behind it."""
        options = self.options()
        return "close" in options or (self.minor == 0 and "keep-alive" not in options)

    def meaning(self):
        """What must be the same on the other side of a gateway."""
        target, host, gone = self.target, self.all("host"), HOPS | self.options()
        if isinstance(target, str) and (found := re.fullmatch(r"(?i)http://([^/?]*)(.*)", target)):
            host, target = [found[1]], found[2] or "/"
            target = "/" + target if target[0] == "?" else target
        fields = [(name, value) for name, value in self.fields
                  if name not in gone and name not in ("host", "content-length",
                                                       "transfer-encoding", "expect")]
        return (self.method, target, self.minor, [h.lower() for h in host], fields, self.body,
                self.trailers)


def line_at(data, at):
    end = data.find(b"\r\n", at)
    if end < 0:
        # A byte that no line can hold is wrong before the line is whole.
        if re.search(rb"[\x00-\x08\x0a-\x0c\x0e-\x1f\x7f]|\r[^\n]", data[at:]):
            raise Wrong("byte that no line can hold")
        raise Cut
    return data[at:end], end + 2


def fields_at(data, at):
    fields = []
    while True:
        line, at = line_at(data, at)
        if not line:
            return fields, at
        found = FIELD.fullmatch(line)
        if not found:
            raise Wrong("field line")
        fields.append((found[1].decode().lower(), found[2].decode("latin-1")))


def chunks_at(data, at):
    pieces = []
    while True:
        line, at = line_at(data, at)
        found = CHUNK_LINE.fullmatch(line)
        if not found:
            raise Wrong("chunk size")
        size = int(found[1], 16)
        if size == 0:
            break
        if len(data) < at + size + 2:
            if data[at + size:] not in (b"", b"\r"):
                raise Wrong("chunk end")
            raise Cut
        if data[at + size:at + size + 2] != b"\r\n":
            raise Wrong("chunk end")
        pieces.append(data[at:at + size])
        at += size + 2
    trailers, at = fields_at(data, at)
    if any(name in FRAMING for name, _ in trailers):
        raise Wrong("trailer field")
    return b"".join(pieces), trailers, at


def framing(message):
    """None, a length, or "chunked"."""
    lengths, codings = message.all("content-length"), message.all("transfer-encoding")
    if lengths and codings:
        raise Wrong("length and coding")
    if codings:
        names = [word.strip(" \t").lower() for value in codings for word in value.split(",")]
        if [name for name in names if name] != ["chunked"] or message.minor == 0:
            raise Wrong("coding")
        return "chunked"
    if len(lengths) > 1 or (lengths and not re.fullmatch(r"[0-9]+", lengths[0])):
        raise Wrong("length")
    return int(lengths[0]) if lengths else None


def content_at(message, how, data, at):
    if how == "chunked":
        message.framing = "chunked"
        message.body, message.trailers, at = chunks_at(data, at)
    elif how:
        message.framing = "length"
        if len(data) < at + how:
            raise Cut
        message.body, at = data[at:at + how], at + how
    return at


def request_at(data, at):
    while data.startswith(b"\r\n", at):
        at += 2
    if at == len(data):
        return None, at
    line, at = line_at(data, at)
    found = REQUEST_LINE.fullmatch(line)
    if not found:
        raise Wrong("request line")
    if found[3] != b"1":
        raise Wrong("version")
    fields, at = fields_at(data, at)
    message = Message(found[1].decode(), found[2].decode("latin-1"), int(found[4] > b"0"), fields)
    hosts = message.all("host")
    if len(hosts) > 1 or (not hosts and message.minor) or \
            not all(HOST.fullmatch(host) for host in hosts):
        raise Wrong("Host")
    if message.options() & {"host", "content-length", "transfer-encoding"}:
        raise Wrong("Connection")
    if message.method == "CONNECT":
        raise Wrong("CONNECT")
    return message, content_at(message, framing(message), data, at)


def strict(data):
    """As RFC 9112 says, where it leaves a choice the stricter one."""
    found, at = [], 0
    try:
        while at < len(data) and not (found and found[-1].ends()):
            message, at = request_at(data, at)
            if message:
                message.end = at
                found.append(message)
    except Wrong as wrong:
        return found, str(wrong)
    except Cut:
        return found, "cut"
    return found, ""


def response_at(data, at, method, is_end):
    """The response that begins there, final or not, and where it ends."""
    line, at = line_at(data, at)
    found = STATUS_LINE.fullmatch(line)
    if not found:
        raise Wrong("status line")
    fields, at = fields_at(data, at)
    message = Message(method, int(found[3]), int(found[2] > b"0"), fields)
    how = framing(message)
    if message.status == 101:
        raise Wrong("101 that nobody asked for")
    if message.status < 200 or message.status == 204:
        if how:
            raise Wrong("content where there can be none")
        return message, at
    if message.status == 304 or method == "HEAD":
        return message, at
    if how is None:
        message.framing = "close"
        if not is_end:
            raise Cut
        message.body, at = data[at:], len(data)
        return message, at
    return message, content_at(message, how, data, at)


def responses(data, methods, is_end):
    """The final ones, those between, why reading stopped, and what lies behind the last."""
    found, interim, at = [], [], 0
    try:
        while len(found) < len(methods):
            message, at = response_at(data, at, methods[len(found)], is_end)
            (found if message.status >= 200 else interim).append(message)
    except Wrong as wrong:
        return found, interim, str(wrong), data[at:]
    except Cut:
        return found, interim, "cut", data[at:]
    return found, interim, "", data[at:]


# --- kind readers ------------------------------------------------------------------------------

class Kind:
    """One that takes nearly everything. `prefer`: where there are length and coding, "te" the
    coding, "cl" the first length; "exact" the coding only where its last field says just that.
    `cr`: a carriage return alone ends a line, too."""

    def __init__(self, data, prefer, cr=False):
        self.data, self.at, self.prefer, self.cr = data, 0, prefer, cr

    def line(self):
        ends = [e for e in (self.data.find(b"\n", self.at),
                            self.data.find(b"\r", self.at) if self.cr else -1) if e >= 0]
        if not ends:
            raise Cut
        line = self.data[self.at:min(ends)]
        self.at = min(ends) + 1
        if self.cr and self.data[self.at - 1:self.at + 1] == b"\r\n":
            self.at += 1
        return line.rstrip(b"\r")

    def fields(self):
        fields = []
        while (line := self.line()):
            if line[:1] in b" \t" and fields:
                fields[-1] = (fields[-1][0], fields[-1][1] + line)
                continue
            name, _, value = line.partition(b":")
            fields.append((name.strip(b" \t\x0b\x0c\0").decode("latin-1").lower(), value))
        return [(name, value.strip(b" \t\x0b\x0c\0\xa0").decode("latin-1"))
                for name, value in fields]

    def take(self, size):
        if len(self.data) < self.at + size:
            raise Cut
        self.at += size
        return self.data[self.at - size:self.at]

    def chunks(self):
        pieces = []
        while True:
            found = re.match(rb"[ \t]*(?:0[xX])?([0-9A-Fa-f]*)", self.line())
            size = int(found[1] or b"0", 16)
            if size == 0:
                break
            pieces.append(self.take(size))
            self.take(2 if self.data.startswith(b"\r\n", self.at) else 1)
        self.fields()
        return b"".join(pieces)

    def request(self):
        while self.data[self.at:self.at + 1] in (b"\r", b"\n", b" "):
            self.at += 1
        if self.at >= len(self.data):
            return None
        words = self.line().split() + [b"", b""]
        message = Message(words[0].decode("latin-1"), words[1].decode("latin-1"), 1, self.fields())
        lengths = [re.match(r"\D*(\d+)", value) for value in message.all("content-length")]
        lengths = [int(found[1]) for found in lengths if found]
        codings = [value.lower() for value in message.all("transfer-encoding")]
        chunked = any("chunked" in value for value in codings)
        if self.prefer == "exact":
            chunked = codings[-1:] == ["chunked"]
        if chunked and not (self.prefer == "cl" and lengths):
            message.body = self.chunks()
        elif lengths:
            message.body = self.take(lengths[0 if self.prefer == "cl" else -1])
        return message


def kind(prefer, cr=False):
    def read(data):
        reader, found = Kind(data, prefer, cr), []
        try:
            while message := reader.request():
                found.append(message)
        except Cut:
            return found, "cut"
        return found, ""
    return read


READERS = {"strict": strict, "coding first": kind("te"), "length first": kind("cl"),
           "exact coding": kind("exact"), "CR ends lines": kind("te", True)}
