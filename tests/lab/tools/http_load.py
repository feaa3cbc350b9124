"""http_load.py ADDRESS [OPTION...]: many clients at once that look at every byte they get. Each asks
for content that is made of its own name and of the request's number, or sends some and is told its
hash; so whatever belongs to another client, or to another request, is found.

	-clients N	at once (32), from the client's addresses FIRST-LAST (-from 100-131) in turn
	-requests N	of each (20)
	-per N		requests on one connection, then a new one (0 = all on one)
	-deep N		so many requests are sent before the first response is read (1)
	-size N		bytes of content at most (20000); one in ten is that large
	-send N		of ten requests so many send content (3)
	-abort N	of a hundred responses so many are left in the middle (0)
	-pause MS	before each request (0)
	-may STATUS…	statuses that are no fault; they are counted
	-broken N	so many connections may end in the middle of something (0)

Prints JSON: requests, worked, aborted, broken, statuses, wrong (texts), ms_max. Fails when anything
is wrong."""
import argparse
import concurrent.futures
import hashlib
import json
import random
import sys
import time

from http_raw import Broken, Client, in_chunks, made_of

parser = argparse.ArgumentParser(prefix_chars="-")
parser.add_argument("address")
parser.add_argument("-clients", type=int, default=32)
parser.add_argument("-from", dest="sources", default="100-131")
parser.add_argument("-requests", type=int, default=20)
parser.add_argument("-per", type=int, default=0)
parser.add_argument("-deep", type=int, default=1)
parser.add_argument("-size", type=int, default=20000)
parser.add_argument("-send", type=int, default=3)
parser.add_argument("-abort", type=int, default=0)
parser.add_argument("-pause", type=float, default=0)
parser.add_argument("-may", type=int, nargs="*", default=[])
parser.add_argument("-broken", type=int, default=0)
args = parser.parse_args()

first, last = (int(part) for part in args.sources.split("-"))
prefix = "2001:db8:51::" if ":" in args.address else "198.51.100."


class One:
    """A client."""

    def __init__(self, number):
        self.number, self.random = number, random.Random(number)
        self.source = "%s%d" % (prefix, first + number % (last - first + 1))
        self.link, self.on_link = None, 0
        self.result = {"requests": 0, "worked": 0, "aborted": 0, "broken": 0, "statuses": {},
                       "wrong": [], "ms_max": 0}

    def make(self, n):
        """A request's bytes, and what must come back."""
        name = "c%d-r%d" % (self.number, n)
        size = args.size if self.random.randrange(10) == 0 else self.random.randrange(
            args.size // 10 + 1)
        host = "Host: web.example\r\n"
        if self.random.randrange(10) >= args.send:
            how = self.random.choice(["", "", "?chunked"])
            return (("GET /app/tag/%s/%d%s HTTP/1.1\r\n%s\r\n" % (name, size, how, host)).encode(),
                    made_of(name, size))
        body = made_of(name, size)
        if self.random.randrange(2):
            line, sent = "Transfer-Encoding: chunked", in_chunks(body, 5000)
        else:
            line, sent = "Content-Length: %d" % size, body
        # Web servers before http_app.py may frame it anew.
        want = "%s %s %d " % (name, hashlib.sha256(body).hexdigest(), size)
        return (("POST /app/sum/%s HTTP/1.1\r\n%s%s\r\n\r\n" % (name, host, line)).encode() + sent,
                want.encode())

    def drop_link(self):
        if self.link:
            self.link.close()
        self.link, self.on_link = None, 0

    def judge(self, found, want, n):
        if found.status in args.may:
            status = str(found.status)
            self.result["statuses"][status] = self.result["statuses"].get(status, 0) + 1
            if (found.field("connection") or "").lower() == "close":
                self.drop_link()
            return
        is_sum = want.endswith(b" ")
        if found.status != 200 or (found.body[:len(want)] if is_sum else found.body) != want:
            self.result["wrong"].append("client %d request %d: %d, %d bytes of %d, %.80r" % (
                self.number, n, found.status, len(found.body), len(want), found.body))
            return
        self.result["worked"] += 1

    def some(self, n, count):
        """`count` requests before their responses are read."""
        if not self.link:
            self.link = Client(args.address, source=self.source, timeout=60)
        begin, made = time.monotonic(), [self.make(n + i) for i in range(count)]
        self.link.send(b"".join(data for data, _ in made))
        for i, (_, want) in enumerate(made):
            if len(want) > 100 and self.random.randrange(100) < args.abort:
                self.link.exactly(50)
                self.result["aborted"] += 1
                self.drop_link()
                return
            self.judge(self.link.response(), want, n + i)
            if not self.link:
                return
        self.result["ms_max"] = max(self.result["ms_max"], int((time.monotonic() - begin) * 1000))
        self.on_link += count

    def run(self):
        n = 0
        while n < args.requests:
            count = min(args.deep, args.requests - n)
            try:
                if args.pause:
                    time.sleep(args.pause / 1000)
                self.some(n, count)
                if args.per and self.on_link >= args.per:
                    self.drop_link()
            except (Broken, OSError) as error:
                self.result["broken"] += 1
                if self.result["broken"] > args.broken:
                    self.result["wrong"].append("client %d request %d: %s %s" % (
                        self.number, n, type(error).__name__, error))
                self.drop_link()
            n += count
            self.result["requests"] = n
        self.drop_link()
        return self.result


total = {"requests": 0, "worked": 0, "aborted": 0, "broken": 0, "statuses": {}, "wrong": [],
         "ms_max": 0}
with concurrent.futures.ThreadPoolExecutor(args.clients) as pool:
    for one in pool.map(lambda n: One(n).run(), range(args.clients)):
        for key in ("requests", "worked", "aborted", "broken"):
            total[key] += one[key]
        for status, number in one["statuses"].items():
            total["statuses"][status] = total["statuses"].get(status, 0) + number
        total["wrong"] += one["wrong"]
        total["ms_max"] = max(total["ms_max"], one["ms_max"])
wrong = len(total["wrong"])
total["wrong"] = total["wrong"][:5]
print(json.dumps(total))
sys.exit(1 if wrong or total["broken"] > args.broken else 0)
