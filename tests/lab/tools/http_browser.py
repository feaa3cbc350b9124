"""http_browser.py make DIRECTORY
    Makes a site: page.json and the 60 files it names, with the hash of each.
http_browser.py load N ADDRESS...
    N clients at once, taking turns at the addresses, load the page as browsers do: six connections
    that are kept for each host, cookies, compressed files, a second visit that asks only for what
    has changed, a WebSocket, and an upload. Everything is compared by its hash; all of a client must
    come from the same server. Prints a line for each client, and fails when anything was wrong."""
import asyncio
import base64
import gzip
import hashlib
import json
import os
import random
import sys

FILES, CONNECTIONS = 60, 6
KINDS = ("css", "js", "png", "html")


class Wrong(Exception):
    pass


def make(directory):
    chance, page = random.Random(60), {}
    os.makedirs(directory + "/files", exist_ok=True)
    for n in range(FILES):
        kind = KINDS[n % len(KINDS)]
        size = chance.choice([0, 1, 200, 3000, 17000, 70000, 300000])
        data = chance.randbytes(size) if kind == "png" else \
            b"".join(b"line %d of %d\n" % (i, n) for i in range(size // 12))
        name = "/files/%d.%s" % (n, kind)
        with open(directory + name, "wb") as file:
            file.write(data)
        page[name] = hashlib.sha256(data).hexdigest()
    with open(directory + "/page.json", "w", encoding="ascii") as file:
        json.dump(page, file)


class Response:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.fields = [(name.lower(), value.strip()) for name, _, value in
                       (line.partition(":") for line in lines[1:] if line)]
        self.body = b""

    def field(self, name):
        return next((value for key, value in self.fields if key == name), "")


class Connection:
    """One that is kept; opened again when the server has closed it."""

    def __init__(self, browser):
        self.browser, self.reader, self.writer, self.opened = browser, None, None, 0

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(self.browser.address, 80)
        self.opened += 1

    async def ask(self, method, path, fields=(), body=b""):
        if self.writer is None:
            await self.open()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.browser.host}",
                 "User-Agent: http_browser", "Accept: */*", "Accept-Encoding: gzip",
                 "Connection: keep-alive", *fields]
        if self.browser.cookies:
            lines.append("Cookie: " + "; ".join(f"{k}={v}" for k, v in self.browser.cookies.items()))
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()
        response = await self.read(method)
        self.browser.note(response)
        if response.field("connection").lower() == "close":
            self.close()
        return response

    async def read(self, method):
        response = Response(await self.reader.readuntil(b"\r\n\r\n"))
        if response.status in (101, 204, 304) or method == "HEAD":
            return response
        if response.field("transfer-encoding").lower() == "chunked":
            pieces = []
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                pieces.append((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readuntil(b"\r\n")
            response.body = b"".join(pieces)
        else:
            response.body = await self.reader.readexactly(int(response.field("content-length")))
        return response

    def close(self):
        if self.writer:
            self.writer.close()
        self.writer = None


class Browser:
    def __init__(self, address, number):
        self.address, self.number = address, number
        self.host = f"site{number}.example"
        self.cookies, self.servers, self.tags = {"mine": str(number)}, set(), {}
        self.counts = {"requests": 0, "gzip": 0, "unchanged": 0}
        self.connections = [Connection(self) for _ in range(CONNECTIONS)]

    def note(self, response):
        self.counts["requests"] += 1
        self.servers.add(response.field("x-server"))
        for name, value in response.fields:
            if name == "set-cookie":
                key, _, rest = value.split(";")[0].partition("=")
                self.cookies[key] = rest

    async def load(self, connection, path, digest):
        tag = self.tags.get(path)
        fields = ["If-None-Match: " + tag] if tag else []
        response = await connection.ask("GET", path, fields)
        if tag:
            if response.status != 304:
                raise Wrong(f"{path}: {response.status}, though it has not changed")
            self.counts["unchanged"] += 1
            return
        body = response.body
        if response.field("content-encoding") == "gzip":
            self.counts["gzip"] += 1
            body = gzip.decompress(body)
        if response.status != 200 or hashlib.sha256(body).hexdigest() != digest:
            raise Wrong(f"{path}: {response.status}, other content ({len(body)} bytes)")
        self.tags[path] = response.field("etag")

    async def visit(self, page):
        """All files, over all connections."""
        paths = list(page)
        random.Random(self.number).shuffle(paths)

        async def work(connection):
            while paths:
                path = paths.pop()
                await self.load(connection, path, page[path])
        await asyncio.gather(*(work(connection) for connection in self.connections))

    async def upload(self, connection):
        body = random.Random(self.number).randbytes(700001)
        response = await connection.ask("POST", f"/app/sum/b{self.number}",
                                        [f"Content-Length: {len(body)}"], body)
        want = f"b{self.number} {hashlib.sha256(body).hexdigest()} {len(body)}"
        if not response.body.decode().startswith(want):
            raise Wrong(f"upload: {response.status} {response.body[:100]}")

    async def websocket(self):
        connection = Connection(self)
        await connection.open()
        key = base64.b64encode(os.urandom(16)).decode()
        cookies = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        connection.writer.write((
            f"GET /app/ws HTTP/1.1\r\nHost: {self.host}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Cookie: {cookies}\r\n\r\n").encode())
        response = await connection.read("GET")
        token = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if response.status != 101 or \
                response.field("sec-websocket-accept") != base64.b64encode(token).decode():
            raise Wrong(f"WebSocket: {response.status}")
        self.note(response)
        for size in (0, 5, 125):
            data = os.urandom(size)
            # The mask is zero: what is sent is what comes back.
            connection.writer.write(bytes([0x82, 0x80 | size]) + bytes(4) + data)
            if await connection.reader.readexactly(2 + size) != bytes([0x82, size]) + data:
                raise Wrong("WebSocket: a frame came back differently")
        connection.writer.write(b"\x88\x82" + bytes(4) + b"\x03\xe8")
        if await connection.reader.read() != b"\x88\x02\x03\xe8":
            raise Wrong("WebSocket: no proper end")
        connection.close()

    async def run(self):
        response = await self.connections[0].ask("GET", "/page.json")
        page = json.loads(gzip.decompress(response.body)
                          if response.field("content-encoding") == "gzip" else response.body)
        if len(page) != FILES or len(self.cookies) != 2:
            raise Wrong(f"{len(page)} files, {len(self.cookies)} cookies")
        await asyncio.gather(self.visit(page), self.websocket())
        await asyncio.gather(*(self.upload(c) for c in self.connections[:2]))
        await self.visit(page)
        opened = sum(connection.opened for connection in self.connections)
        for connection in self.connections:
            connection.close()
        if len(self.servers) != 1 or len(self.cookies) != 2:
            raise Wrong(f"came from {self.servers}, {len(self.cookies)} cookies")
        if opened != CONNECTIONS:
            raise Wrong(f"{opened} connections were opened")
        if self.counts["unchanged"] != FILES or self.counts["gzip"] < 10:
            raise Wrong(str(self.counts))


async def load(n, addresses):
    browsers = [Browser(addresses[i % len(addresses)], i) for i in range(n)]
    results = await asyncio.gather(*(asyncio.wait_for(b.run(), 60) for b in browsers),
                                   return_exceptions=True)
    for browser, result in zip(browsers, results):
        print(browser.number, browser.address, *sorted(browser.servers), browser.counts,
              repr(result) if result else "well", flush=True)
    return not any(results) and len(set().union(*(b.servers for b in browsers))) > 1


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    sys.exit(0 if asyncio.run(load(int(sys.argv[2]), sys.argv[3:])) else 1)
