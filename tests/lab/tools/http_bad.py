"""http_bad.py ADDRESS: requests that different servers read differently, and others that are none.
Each holds a second request for /smuggled/NAME where one of the readings finds it. Each must be
refused with the right status, or, what is wrong behind the head, end without a proper response; the
connection must end. Prints a line for each that was not, and fails."""
import sys

from http_raw import Broken, Client

ADDRESS = sys.argv[1]
HOST = "Host: web.example\r\n"


def hidden(name):
    return "GET /smuggled/%s HTTP/1.1\r\n%s\r\n" % (name, HOST)


def post(name, fields, body="", version="1.1", host=HOST):
    return "POST /bad/%s HTTP/%s\r\n%s%s\r\n%s" % (name, version, host, fields, body)


CHUNKED = "Transfer-Encoding: chunked\r\n"
# name -> (status, what is sent before the hidden request)
HEADS = {
    "length-and-chunked": (400, post("a", "Content-Length: 6\r\n" + CHUNKED, "0\r\n\r\n")),
    "chunked-and-length": (400, post("b", CHUNKED + "Content-Length: 3\r\n", "0\r\n\r\n")),
    "two-lengths": (400, post("c", "Content-Length: 0\r\nContent-Length: 60\r\n")),
    "list-of-lengths": (400, post("d", "Content-Length: 0, 60\r\n")),
    "signed-length": (400, post("e", "Content-Length: +0\r\n")),
    "negative-length": (400, post("f", "Content-Length: -1\r\n")),
    "hexadecimal-length": (400, post("g", "Content-Length: 0x0\r\n")),
    "long-length": (400, post("h", "Content-Length: 18446744073709551616\r\n")),
    "empty-length": (400, post("i", "Content-Length:\r\n")),
    "chunked-twice": (400, post("j", CHUNKED * 2, "0\r\n\r\n")),
    "chunked-not-last": (400, post("k", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
    "coding-unknown": (400, post("l", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
    "coding-gzip": (501, post("ap", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
    "coding-quoted": (400, post("m", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")),
    "coding-with-tab": (400, post("n", "Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n")),
    "chunked-of-10": (400, post("o", CHUNKED, "0\r\n\r\n", "1.0")),
    "space-before-colon": (400, post("p", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n")),
    "folded": (400, post("q", "X-Fold: a\r\n Content-Length: 50\r\n")),
    "folded-coding": (400, post("r", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n")),
    "space-before-first": (400, "GET /bad/s HTTP/1.1\r\n X: y\r\n" + HOST + "\r\n"),
    "bare-lf": (400, "GET /bad/t HTTP/1.1\nHost: web.example\n\n"),
    "bare-lf-in-fields": (400, post("u", "X-One: 1\nContent-Length: 60\r\n")),
    "bare-cr": (400, post("v", "X-One: 1\rContent-Length: 60\r\n")),
    "zero-byte": (400, post("w", "X-One: 1\0Content-Length: 60\r\n")),
    "no-colon": (400, post("x", "Content-Length 60\r\n")),
    "name-of-field": (400, post("y", "Content(Length): 60\r\n")),
    "empty-name": (400, post("z", ": chunked\r\n")),
    "no-host": (400, post("aa", "", host="")),
    "two-hosts": (400, post("ab", "Host: other.example\r\n")),
    "host-with-path": (400, post("ac", "", host="Host: web.example/path\r\n")),
    "host-of-target": (400, "GET http://other.example/bad/ad HTTP/1.1\r\n" + HOST + "\r\n"),
    "two-spaces": (400, "GET  /bad/ae HTTP/1.1\r\n" + HOST + "\r\n"),
    "space-in-target": (400, "GET /bad/af HTTP/1.1 HTTP/1.1\r\n" + HOST + "\r\n"),
    "control-in-target": (400, "GET /bad/\x01ag HTTP/1.1\r\n" + HOST + "\r\n"),
    "small-version": (400, "GET /bad/ah http/1.1\r\n" + HOST + "\r\n"),
    "version-2": (505, "GET /bad/ai HTTP/2.0\r\n" + HOST + "\r\n"),
    "version-09": (505, "GET /bad/aj\r\n"),
    "version-long": (400, "GET /bad/ak HTTP/1.10\r\n" + HOST + "\r\n"),
    "method-small": (501, "get /bad/al HTTP/1.1\r\n" + HOST + "\r\n"),
    "method-bad": (400, "G(T /bad/am HTTP/1.1\r\n" + HOST + "\r\n"),
    "expectation": (417, post("an", "Expect: 200-ok\r\nContent-Length: 0\r\n")),
    "connection-names-length": (400, post("ao", "Connection: content-length\r\nContent-Length: 5\r\n",
                                          "01234")),
    "not-http": (400, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "tls": (400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 64),
}
# The head is right; these are refused behind it.
BODIES = {
    "chunk-size": post("ba", CHUNKED, "5x\r\n01234\r\n0\r\n\r\n"),
    "chunk-size-prefix": post("bb", CHUNKED, "0x5\r\n01234\r\n0\r\n\r\n"),
    "chunk-size-signed": post("bc", CHUNKED, "-1\r\n\r\n0\r\n\r\n"),
    "chunk-size-long": post("bd", CHUNKED, "10000000000000005\r\n01234\r\n0\r\n\r\n"),
    "chunk-size-spaced": post("be", CHUNKED, "5 5\r\n01234\r\n0\r\n\r\n"),
    "chunk-bare-lf": post("bf", CHUNKED, "5\n01234\n0\n\n"),
    "chunk-extension-lf": post("bg", CHUNKED, "5;a\nb\r\n01234\r\n0\r\n\r\n"),
    "chunk-too-long": post("bh", CHUNKED, "3\r\n01234\r\n0\r\n\r\n"),
    "trailer-coding": post("bi", CHUNKED, "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "trailer-folded": post("bj", CHUNKED, "0\r\nX: 1\r\n 2\r\n\r\n"),
}


def attempt(sent):
    """Statuses of all responses, and whether the connection ended."""
    statuses, ended = [], False
    with Client(ADDRESS, timeout=8) as c:
        try:
            c.send(sent)
            while True:
                found = c.response()
                statuses.append(found.status)
        except TimeoutError:
            pass
        except (Broken, OSError):
            ended = True
    return statuses, ended


bad = 0
for name, (status, sent) in HEADS.items():
    statuses, ended = attempt(sent + hidden(name))
    if statuses != [status] or not ended:
        bad += 1
        print(name, "got", statuses, "not", status, "" if ended else "and the connection stayed")
for name, sent in BODIES.items():
    statuses, ended = attempt(sent + hidden(name))
    if any(s < 400 for s in statuses) or len(statuses) > 1 or not ended:
        bad += 1
        print(name, "got", statuses, "" if ended else "and the connection stayed")
print(len(HEADS) + len(BODIES), "shapes,", bad, "not refused as they should be")
sys.exit(1 if bad else 0)
