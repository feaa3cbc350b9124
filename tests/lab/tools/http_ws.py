"""http_ws.py ADDRESS PORT PATH COUNT [HOLD]: a WebSocket to an echo server: COUNT frames of many
sizes, several on the way at once, must come back as they were; then, for HOLD seconds, a frame
every half second, and says "open". Prints the name of the server (X-Server)."""
import asyncio
import base64
import os
import random
import sys


def frame(kind, data):
    size, mask = len(data), os.urandom(4)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 65536:
        head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + size.to_bytes(8, "big")
    stream = (mask * (size // 4 + 1))[:size]
    data = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
    return head + mask + data


async def receive(reader):
    kind, size = await reader.readexactly(2)
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return kind & 15, await reader.readexactly(size)


async def send_all(writer, frames):
    for data in frames:
        writer.write(frame(2, data))
        await writer.drain()


async def main():
    address, port, path, count = sys.argv[1:5]
    reader, writer = await asyncio.open_connection(address, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    cookie = os.environ.get("HTTP_COOKIE")
    cookie = f"Cookie: {cookie}\r\n" if cookie else ""
    writer.write((f"GET {path} HTTP/1.1\r\nHost: web.example\r\n{cookie}Upgrade: websocket\r\n"
                  f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    if not head.startswith("HTTP/1.1 101 "):
        sys.exit(head)
    sizes = random.Random(1)
    frames = [os.urandom(sizes.choice([0, 1, 125, 126, 4000, 65535, 65536, 200000]))
              for _ in range(int(count))]
    sender = asyncio.create_task(send_all(writer, frames))
    for data in frames:
        if await receive(reader) != (2, data):
            sys.exit("a frame came back differently")
    await sender
    print(next((line[10:].strip() for line in head.split("\r\n")
                if line.lower().startswith("x-server:")), "?"), flush=True)
    if len(sys.argv) > 5:
        for n in range(int(float(sys.argv[5]) * 2)):
            writer.write(frame(1, b"still %d" % n))
            if await receive(reader) != (1, b"still %d" % n):
                sys.exit("a frame came back differently")
            print("open", n, flush=True)
            await asyncio.sleep(0.5)
    writer.write(frame(8, b"\x03\xe8"))
    if (await receive(reader))[0] != 8 or await reader.read():
        sys.exit("no proper end")


asyncio.run(asyncio.wait_for(main(), 120))
