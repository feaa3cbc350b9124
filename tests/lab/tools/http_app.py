"""http_app.py NAME PORT [-control PORT]: a web server with all corners of HTTP/1.1, and which says
what it was asked.

/name                  NAME
/head                  the request's head as it came, behind a line "NAME ADDRESS PORT"
/tag/ID/SIZE           SIZE bytes made of ID; with ?chunked in chunks, with ?trailer with a trailer
                       behind them (for HTTP/1.0 both as ?close), with ?close up to the end of
                       the connection
/sum/ID                "ID HASH SIZE FRAMING TRAILERS" of the request's body
/slow/MS               NAME, after a while
/hints                 103, then 200
/early                 413 without reading the body
/status/CODE           that status
/cookie/VALUE          NAME, and a cookie SESSION=VALUE
/once                  NAME, and the connection is closed without a word about it
/die                   half of a response, then a reset
/mute                  the end instead of a response
/garbage               what is no response
/ws                    WebSocket: each frame comes back
A first element /app is left out. What follows the head of a request with "Expect: 100-continue" is
asked for. Each request is a line of output: number of the connection, of the request on it, request
line. On the control port, to any line: {"connections", "connections_peak", "requests",
"requests_peak", "total"}, as JSON, and the peaks begin anew."""
import argparse
import asyncio
import base64
import hashlib
import json
import socket
import struct

parser = argparse.ArgumentParser(prefix_chars="-")
parser.add_argument("name")
parser.add_argument("port", type=int)
parser.add_argument("-control", type=int, default=0)
args = parser.parse_args()

counts = {"connections": 0, "connections_peak": 0, "requests": 0, "requests_peak": 0, "total": 0,
          "connections_total": 0}


class Bad(Exception):
    """No request; the connection ends."""


class Gone(Exception):
    """The response ends the connection, one way or the other."""


def enter(what):
    counts[what] += 1
    counts[what + "_peak"] = max(counts[what + "_peak"], counts[what])


def made_of(name, size):
    piece = (name + " ").encode()
    return (piece * (size // len(piece) + 1))[:size]


class Request:
    def __init__(self, head, reader, writer):
        self.head, self.reader, self.writer = head, reader, writer
        lines = head.decode("latin-1").split("\r\n")
        try:
            self.method, self.target, self.version = lines[0].split(" ")
            self.fields = [(name.lower(), value.strip()) for name, value in
                           (line.split(":", 1) for line in lines[1:] if line)]
        except ValueError as error:
            raise Bad(lines[0]) from error
        self.path, _, self.query = self.target.partition("?")
        if self.path.startswith("/app/"):
            self.path = self.path[4:]
        self.words = self.path.strip("/").split("/")
        words = (self.field("connection") or "").lower()
        self.is_old = self.version == "HTTP/1.0"
        self.ends = "keep-alive" not in words if self.is_old else "close" in words
        self.framing, self.trailers, self.was_read = "none", 0, False
        if self.field("transfer-encoding"):
            self.framing = "chunked"
        elif self.field("content-length"):
            self.framing = "length"

    def field(self, name):
        return next((value for key, value in self.fields if key == name), None)

    async def body(self):
        """Its pieces."""
        self.was_read = True
        if self.framing != "none" and (self.field("expect") or "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.framing == "length":
            rest = int(self.field("content-length"))
            while rest > 0:
                piece = await self.reader.read(min(rest, 262144))
                if not piece:
                    raise Bad("a body is cut short")
                rest -= len(piece)
                yield piece
        elif self.framing == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                while size > 0:
                    piece = await self.reader.read(min(size, 262144))
                    if not piece:
                        raise Bad("a chunk is cut short")
                    size -= len(piece)
                    yield piece
                if await self.reader.readexactly(2) != b"\r\n":
                    raise Bad("chunk too long")
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                self.trailers += 1

    async def answer(self, content, status="200 OK", more=()):
        if not self.was_read:
            async for _ in self.body():
                pass
        if self.is_old and not self.ends:
            more = [*more, "Connection: keep-alive"]
        lines = [f"HTTP/1.1 {status}", f"X-Server: {args.name}", "Content-Type: text/plain", *more]
        has_none = status[:3] in ("204", "304")
        if not has_none:
            lines.append(f"Content-Length: {len(content)}")
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        if self.method != "HEAD" and not has_none:
            self.writer.write(content)
        await self.writer.drain()

    async def answer_chunked(self, content, has_trailer):
        trailer = f"X-Sum: {hashlib.sha256(content).hexdigest()}\r\n" if has_trailer else ""
        self.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" +
                          (b"Trailer: X-Sum\r\n" if has_trailer else b"") + b"\r\n")
        if self.method == "HEAD":
            return
        size, at = 1, 0
        while at < len(content):
            piece = content[at:at + size]
            self.writer.write(b"%x;part=%d\r\n%s\r\n" % (len(piece), at, piece))
            at += len(piece)
            size = size * 3 % 70001 + 1
            await self.writer.drain()
        self.writer.write(f"0\r\n{trailer}\r\n".encode())


async def do_name(request):
    await request.answer(f"{args.name}\n".encode())


async def do_head(request):
    peer = request.writer.get_extra_info("peername")
    await request.answer(f"{args.name} {peer[0]} {peer[1]}\n".encode() + request.head)


async def do_tag(request):
    content = made_of(request.words[1], int(request.words[2]))
    if request.query in ("chunked", "trailer") and not request.is_old:
        await request.answer_chunked(content, request.query == "trailer")
    elif request.query:
        request.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content)
        raise Gone
    else:
        await request.answer(content, more=[f"X-Tag: {request.words[1]}"])


async def do_sum(request):
    hash_, size = hashlib.sha256(), 0
    async for piece in request.body():
        hash_.update(piece)
        size += len(piece)
    text = f"{request.words[1]} {hash_.hexdigest()} {size} {request.framing} {request.trailers}\n"
    await request.answer(text.encode(), more=[f"X-Tag: {request.words[1]}"])


async def do_slow(request):
    await asyncio.sleep(int(request.words[1]) / 1000)
    await do_name(request)


async def do_hints(request):
    request.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style>; rel=preload\r\n\r\n")
    await do_name(request)


async def do_early(request):
    request.was_read = True
    await request.answer(b"too much\n", "413 Content Too Large", ["Connection: close"])
    raise Gone


async def do_status(request):
    await request.answer(f"{args.name}\n".encode(), f"{request.words[1]} As Asked")


async def do_cookie(request):
    await request.answer(f"{args.name}\n".encode(),
                         more=[f"Set-Cookie: SESSION={request.words[1]}; Path=/; HttpOnly"])


async def do_once(request):
    await do_name(request)
    raise Gone


async def do_die(request):
    request.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"half " * 10000)
    await request.writer.drain()
    # With nothing to wait for, close becomes a reset.
    request.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                       struct.pack("ii", 1, 0))
    raise Gone


async def do_mute(_request):
    raise Gone


async def do_garbage(request):
    request.writer.write(b"this is no response of HTTP\r\nat: all\r\n\r\n")
    raise Gone


async def do_ws(request):
    key = (request.field("sec-websocket-key") or "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    token = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    request.writer.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          f"Connection: Upgrade\r\nX-Server: {args.name}\r\n"
                          f"Sec-WebSocket-Accept: {token}\r\n\r\n").encode())
    kind = 0
    while kind != 8: # close
        kind, size = await request.reader.readexactly(2)
        kind, size = kind & 15, size & 127
        if size >= 126:
            wide = await request.reader.readexactly(2 if size == 126 else 8)
            size = int.from_bytes(wide, "big")
        mask = await request.reader.readexactly(4)
        data = await request.reader.readexactly(size)
        stream = (mask * (size // 4 + 1))[:size]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        if size < 126:
            head = bytes([0x80 | kind, size])
        elif size < 65536:
            head = bytes([0x80 | kind, 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | kind, 127]) + size.to_bytes(8, "big")
        request.writer.write(head + data)
        await request.writer.drain()
    raise Gone


async def one(reader, writer, connection, number):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            print(connection, number, "cut", error.partial, flush=True)
        raise Gone from error
    print(connection, number, head.split(b"\r\n")[0].decode("latin-1"), flush=True)
    counts["total"] += 1
    enter("requests")
    try:
        request = Request(head, reader, writer)
        action = globals().get("do_" + request.words[0])
        if action:
            await action(request)
        else:
            await request.answer(b"not here\n", "404 Not Found")
        if request.ends:
            raise Gone
    finally:
        counts["requests"] -= 1


async def serve(reader, writer):
    enter("connections")
    counts["connections_total"] += 1
    connection, number = counts["connections_total"], 0
    try:
        while True:
            number += 1
            await one(reader, writer, connection, number)
    except Bad as error:
        print(connection, number, "BAD", error, flush=True)
    except (Gone, OSError, ValueError, asyncio.IncompleteReadError):
        pass
    finally:
        counts["connections"] -= 1
        writer.close()


async def control(reader, writer):
    await reader.readline()
    writer.write(json.dumps(counts).encode() + b"\n")
    for what in ("connections", "requests"):
        counts[what + "_peak"] = counts[what]
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, None, args.port, backlog=1024, limit=1 << 20)
    if args.control:
        await asyncio.start_server(control, None, args.control)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
