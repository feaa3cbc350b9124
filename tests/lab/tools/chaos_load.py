"""The traffic of the chaos run, and the judgement of what became of it.

chaos_load.py serve PORT NAME
    A TCP server: says its NAME in a line of its own, then echoes.
chaos_load.py load PREFIX SEED PLAN
    Keeps connections of all kinds going until SIGTERM. PLAN is JSON: {"drip": {"n": 20, "to":
    [["198.51.100.80", "l4/2"], …]}, …}. Kinds: drip (a line each 0.2 s to `serve`), idle (a line each
    20 s, and at SIGUSR1), udp (numbered datagrams, 20 a second, to an echo server on port 7007),
    download (HTTP, read slowly, compared by hash with "sha256" of PLAN), request (short HTTP requests,
    `n` a second), l7 (the same as download, by a service that reads requests).
    PREFIX.ends: a line of JSON for each connection that ended; PREFIX.gaps: for each time longer than
    0.1 s in which an answer was waited for; PREFIX.now: how things stand, four times a second.
chaos_load.py judge PREFIX,… FROM_MS YOUNG_MS SERVERS L7
    Judges what ended since the last call: prints one line of JSON. Connections begun between YOUNG_MS
    before FROM_MS and now may be lost if they have no answer later than now (later than what has come
    already, when they are read slowly), also when that is found out much later; those that are older than the last call with their server in SERVERS (a,b), and
    those by L7 that are older than the last call with L7 = 1.
chaos_load.py account PREFIX,… EVENTS
    The table at the end, from all that was written; EVENTS has a line of JSON for each event.

Times are milliseconds of the clock, UNIX epoch."""
import asyncio
import hashlib
import json
import os
import random
import signal
import statistics
import struct
import sys
import time

SILENT_S = 60  # without an answer a connection counts as lost
SLOWLY_MS = 20_000  # what a kernel may hold for one who reads slowly
RATE = 150_000  # bytes a second that a download is read with


def now_ms():
    return round(time.time() * 1000)


# --- server ---------------------------------------------------------------------------------------


async def serve(port, name):
    async def talk(reader, writer):
        try:
            writer.write(name.encode() + b"\n")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(talk, None, port, backlog=512)
    print("ready", flush=True)
    await server.serve_forever()


# --- load -----------------------------------------------------------------------------------------


class Connection:
    """One, from its beginning to its end; what is written of it then."""

    def __init__(self, load, kind, to):
        self.load, self.kind = load, kind
        self.address, self.service = to
        self.begin = self.last = now_ms()
        self.server, self.port = "", 0
        self.bytes = self.lost = self.doubled = 0
        self.open = self.waits = False
        self.nudge = asyncio.Event()
        load.alive.add(self)

    def label(self):
        return f"{self.kind} by {self.service} to {self.address} from port {self.port}"

    def answered(self, since):
        now = now_ms()
        if now - since > 100:
            self.load.write("gaps", {"kind": self.kind, "service": self.service, "end": now,
                                     "ms": now - since})
        self.last = now

    def ends(self, how, detail=""):
        self.load.alive.discard(self)
        self.load.ended += 1
        self.load.bytes += self.bytes
        self.load.write("ends", {
            "kind": self.kind, "service": self.service, "address": self.address, "port": self.port,
            "server": self.server, "begin": self.begin, "last": self.last, "end": now_ms(),
            "bytes": self.bytes,
            "how": how, "detail": detail, "lost": self.lost, "doubled": self.doubled,
            "open": self.open})


class Wrong(Exception):
    pass


class Load:
    def __init__(self, prefix, seed, plan):
        self.plan, self.prefix = plan, prefix
        self.dice = random.Random(seed)
        self.alive, self.opened, self.ended, self.bytes = set(), {}, 0, 0
        self.stop = asyncio.Event()
        self.files = {name: open(f"{prefix}.{name}", "w", buffering=1) for name in ("ends", "gaps")}

    def write(self, name, record):
        print(json.dumps(record), file=self.files[name])

    def new(self, kind):
        self.opened[kind] = self.opened.get(kind, 0) + 1
        return Connection(self, kind, self.dice.choice(self.plan[kind]["to"]))

    async def guarded(self, connection, coroutine):
        """Runs it to its end, and says how that was."""
        try:
            await coroutine
            connection.ends("order")
        except Wrong as e:
            connection.ends("wrong", str(e))
        except (asyncio.TimeoutError, TimeoutError):
            connection.ends("silent", f"no answer for {now_ms() - connection.last} ms")
        except ConnectionResetError:
            connection.ends("reset")
        except (OSError, asyncio.IncompleteReadError, ValueError) as e:
            connection.ends("broken", f"{type(e).__name__} {e}")

    async def pause(self, seconds):
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def connect(self, c, port, limit=SILENT_S):
        c.waits = True
        reader, writer = await asyncio.wait_for(asyncio.open_connection(c.address, port), limit)
        c.port = writer.get_extra_info("sockname")[1]
        c.open = True
        c.answered(c.begin)
        c.waits = False
        return reader, writer

    async def lines(self, c, interval, life):
        """A line, its echo, a pause, until its life is over."""
        reader, writer = await self.connect(c, 8000)
        try:
            c.server = (await asyncio.wait_for(reader.readline(), SILENT_S)).decode().strip()
            number, end = 0, time.monotonic() + life
            while time.monotonic() < end and not self.stop.is_set():
                number += 1
                line = b"%d %s\n" % (number, b"x" * self.dice.randrange(400))
                since, c.waits = now_ms(), True
                writer.write(line)
                back = await asyncio.wait_for(reader.readexactly(len(line)), SILENT_S)
                c.waits = False
                if back != line:
                    raise Wrong(f"line {number} came back changed")
                c.answered(since)
                c.bytes += len(line)
                c.nudge.clear()
                waits = [asyncio.ensure_future(e.wait()) for e in (self.stop, c.nudge)]
                await asyncio.wait(waits, timeout=min(interval, max(0, end - time.monotonic())),
                                   return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
            writer.write_eof()
            if await asyncio.wait_for(reader.read(1), SILENT_S):
                raise Wrong("bytes that nobody sent")
        finally:
            writer.close()

    async def http(self, c, path, slowly):
        reader, writer = await self.connect(c, 80)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n".encode())
            c.waits = True
            since = now_ms()
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SILENT_S)).decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            c.server = fields.get("x-server", "")
            if not head[0].startswith("HTTP/1.1 200"):
                raise ValueError(head[0])
            size, digest = int(fields["content-length"]), hashlib.sha256()
            while c.bytes < size:
                data = await asyncio.wait_for(reader.read(RATE // 10 if slowly else 65536), SILENT_S)
                if not data:
                    raise ConnectionError(f"ends after {c.bytes} of {size} bytes")
                c.answered(since)
                c.bytes += len(data)
                digest.update(data)
                if slowly:
                    await asyncio.sleep(len(data) / RATE)
                since = now_ms()
            c.waits = False
            if slowly and digest.hexdigest() != self.plan["sha256"]:
                raise Wrong("another hash")
            if not slowly and not c.server:
                raise Wrong("no server's name")
        finally:
            writer.close()

    async def datagrams(self, c, life):
        """Numbered datagrams; each comes back once or not at all."""
        loop, seen = asyncio.get_running_loop(), set()
        sent = {}

        class Echo(asyncio.DatagramProtocol):
            def datagram_received(_, data, __):
                number = struct.unpack(">Q", data[:8])[0]
                if number not in sent or data != sent[number]:
                    c.wrong = True
                elif number in seen:
                    c.doubled += 1
                seen.add(number)
                c.answered(max(c.last, c.begin))
                c.open = True
                c.bytes += len(data)

            def error_received(_, error):
                pass  # an ICMP error; datagrams go on

        c.wrong = False
        transport, _ = await loop.create_datagram_endpoint(Echo, remote_addr=(c.address, 7007))
        try:
            c.port = transport.get_extra_info("sockname")[1]
            end, number, c.waits = time.monotonic() + life, 0, True
            while time.monotonic() < end and not self.stop.is_set():
                number += 1
                sent[number] = struct.pack(">Q", number) + os.urandom(self.dice.randrange(300))
                transport.sendto(sent[number])
                await self.pause(0.05)
                if now_ms() - c.last > SILENT_S * 1000:
                    raise TimeoutError
            c.waits = False
            await asyncio.sleep(0.5)
        finally:
            transport.close()
        c.lost = number - len(seen)
        if c.wrong:
            raise Wrong("a datagram came back changed")

    async def keep(self, kind):
        """One place of a kind: as soon as one ends another begins."""
        d = self.dice
        await self.pause(d.random() * 2)
        while not self.stop.is_set():
            c = self.new(kind)
            if kind == "udp":
                await self.guarded(c, self.datagrams(c, d.uniform(30, 90)))
            elif kind in ("download", "l7"):
                await self.guarded(c, self.http(c, "/files/chaos", True))
            else:
                await self.guarded(c, self.lines(c, 20 if kind == "idle" else 0.2,
                                                 d.uniform(60, 240) if kind == "idle" else d.uniform(20, 90)))
            await self.pause(0.2)

    async def requests(self, per_second):
        running = set()
        while not self.stop.is_set():
            c = self.new("request")
            task = asyncio.ensure_future(self.guarded(c, self.http(c, "/name", False)))
            running.add(task)
            task.add_done_callback(running.discard)
            await self.pause(1 / per_second)
        if running:
            await asyncio.wait(running, timeout=10)

    def status(self):
        kinds = {}
        for c in self.alive:
            kinds[c.kind] = kinds.get(c.kind, 0) + 1
        return {"alive": kinds, "n_alive": len(self.alive),
                "all": [[c.begin, c.last, c.label(), c.server] for c in self.alive]}

    async def say(self):
        while True:
            with open(self.prefix + ".now.new", "w") as file:
                json.dump(self.status(), file)
            os.rename(self.prefix + ".now.new", self.prefix + ".now")
            await asyncio.sleep(0.25)

    def nudge(self):
        for c in self.alive:
            c.nudge.set()

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self.nudge)
        said = asyncio.ensure_future(self.say())
        tasks = []
        for kind, what in self.plan.items():
            if kind == "request":
                tasks.append(asyncio.ensure_future(self.requests(what["n"])))
            elif kind != "sha256":
                tasks += [asyncio.ensure_future(self.keep(kind)) for _ in range(what["n"])]
        await self.stop.wait()
        await asyncio.wait(tasks, timeout=40)
        for c in list(self.alive):
            c.ends("silent", "at the end of the run")
        said.cancel()


# --- judgement ------------------------------------------------------------------------------------


def lines_of(file, position=0):
    try:
        with open(file) as f:
            f.seek(position)
            text = f.read()
    except FileNotFoundError:
        return [], position
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], position + len(whole.encode())


def judged(record, at):
    """Why it may end like that; "" = it ended in order, None = it may not. `at` says when those were
    young that may be lost, and when a node that reads requests and each server was lost last: who
    reads slowly finds out late that the connection was reset."""
    if record["how"] == "order":
        return None if record["doubled"] else ""
    if record["how"] == "wrong":
        return None
    slow = SLOWLY_MS if record["kind"] in ("l7", "download") else 0
    if any(a < record["begin"] <= b and record["last"] <= b + slow for a, b in at["young"]):
        return "young"
    if record["begin"] < at["servers"].get(record["server"], 0):
        return "its server was lost"
    if record["service"] == "l7/3" and record["begin"] < at["l7_lost"]:
        return "read by the node that was lost"
    return None


def judge(prefixes, begin, young, servers, l7):
    out = {"order": 0, "allowed": {}, "failed": [], "failed_kinds": {}, "gap": {}, "alive": 0}
    for prefix in prefixes:
        with open(prefix + ".at") as file:
            at = json.load(file)
        at["young"].append([begin - young, now_ms()])
        if l7:
            at["l7_lost"] = now_ms()
        at["servers"].update((server, now_ms()) for server in servers)
        ends, at["ends"] = lines_of(prefix + ".ends", at["ends"])
        gaps, at["gaps"] = lines_of(prefix + ".gaps", at["gaps"])
        with open(prefix + ".at", "w") as file:
            json.dump(at, file)
        for r in ends:
            why = judged(r, at)
            if why is None:
                out["failed_kinds"][r["kind"]] = out["failed_kinds"].get(r["kind"], 0) + 1
                age = (r["end"] - r["begin"]) / 1000
                twice = f", {r['doubled']} datagrams came twice" if r["doubled"] else ""
                out["failed"].append(
                    f"{r['kind']} by {r['service']} to {r['address']} from port {r['port']}, server "
                    f"{r['server'] or '?'}, {age:.1f} s old, {(r['end'] - begin) / 1000:+.1f} s: "
                    f"{r['how']} {r['detail']}{twice}")
            elif why:
                out["allowed"][why] = out["allowed"].get(why, 0) + 1
            else:
                out["order"] += 1
        for g in gaps:
            kind = "udp" if g["kind"] == "udp" else "tcp"
            if g["end"] >= begin:
                out["gap"][kind] = max(out["gap"].get(kind, 0), g["ms"])
        with open(prefix + ".now") as file:
            out["alive"] += json.load(file)["n_alive"]
    print(json.dumps(out))


def account(prefixes, events_file):
    ends = [r for p in prefixes for r in lines_of(p + ".ends")[0]]
    events = lines_of(events_file)[0]
    print("   connections            opened   in order   lost, allowed   lost, not allowed   MB compared")
    lost = {}
    for e in events:
        for why, n in e["allowed"].items():
            lost[why] = lost.get(why, 0) + n
    for kind in ("drip", "idle", "download", "l7", "request", "udp", "out"):
        mine = [r for r in ends if r["kind"] == kind]
        if not mine:
            continue
        order = sum(r["how"] == "order" and not r["doubled"] for r in mine)
        failed = sum(e["failed_kinds"].get(kind, 0) for e in events)
        print(f"   {kind:20} {len(mine):8} {order:10} {len(mine) - order - failed:15} {failed:19}"
              f" {sum(r['bytes'] for r in mine) / 1e6:13.1f}")
    udp = [r for r in ends if r["kind"] == "udp"]
    print(f"   datagrams: {sum(r['lost'] for r in udp)} lost, {sum(r['doubled'] for r in udp)} came twice")
    for why, n in sorted(lost.items()):
        print(f"   allowed, {why}: {n}")
    print("\n   events               times   settled after, s          longest gap UDP, ms     longest gap TCP, ms")
    kinds = {}
    for e in events:
        kinds.setdefault(e["what"], []).append(e)
    for what, some in sorted(kinds.items()):
        def figures(values):
            return f"median {statistics.median(values):6.0f}, most {max(values):6.0f}"
        print(f"   {what:20} {len(some):5}   median {statistics.median([e['settled'] / 1000 for e in some]):5.1f},"
              f" most {max(e['settled'] / 1000 for e in some):5.1f}"
              f"   {figures([e['gap'].get('udp', 0) for e in some])}"
              f"   {figures([e['gap'].get('tcp', 0) for e in some])}")


def main():
    what, *words = sys.argv[1:]
    if what == "serve":
        asyncio.run(serve(int(words[0]), words[1]))
    elif what == "load":
        async def run():
            await Load(words[0], int(words[1]), json.loads(words[2])).run()
        asyncio.run(run())
    elif what == "judge":
        judge(words[0].split(","), int(words[1]), int(words[2]), words[3].split(","), words[4] == "1")
    elif what == "account":
        account(words[0].split(","), words[1])
    else:
        sys.exit(__doc__)


main()
