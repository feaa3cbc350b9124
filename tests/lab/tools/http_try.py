"""http_try.py ADDRESS CASE...: corners of HTTP/1.1 and 1.0, each tried on a service in front of
http_app.py. `list` names them. Prints what is wrong; fails when anything is."""
import hashlib
import socket
import sys
import time

from http_raw import Broken, Client, in_chunks, made_of

ADDRESS = sys.argv[1]
CASES = {}


class Wrong(Exception):
    pass


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def must_be(got, want, what):
    if got != want:
        raise Wrong("%s: got %.200r, not %.200r" % (what, got, want))


def connect():
    return Client(ADDRESS)


def sum_line(name, body, framing, trailers=0):
    return "%s %s %d %s %d" % (name, hashlib.sha256(body).hexdigest(), len(body), framing, trailers)


@case
def keep_alive():
    with connect() as c:
        for n in range(50):
            found = c.ask("/app/tag/k%d/%d" % (n, n * 37))
            must_be((found.status, found.body), (200, made_of("k%d" % n, n * 37)), "request %d" % n)


@case
def head_requests():
    with connect() as c:
        for _ in range(3):
            found = c.ask("/app/tag/h/5000", "HEAD")
            must_be((found.status, found.field("content-length")), (200, "5000"), "HEAD")
            found = c.ask("/app/tag/h/5000")
            must_be(found.body, made_of("h", 5000), "GET behind it")
            c.ask("/app/tag/h/5000?chunked", "HEAD")
            must_be(c.ask("/app/name").status, 200, "GET behind a HEAD in chunks")


@case
def no_content():
    with connect() as c:
        for status in (204, 304, 204):
            must_be(c.ask("/app/status/%d" % status).status, status, "status")
            must_be(c.ask("/app/tag/n/10").body, made_of("n", 10), "GET behind it")


@case
def statuses():
    with connect() as c:
        for status in (200, 201, 301, 307, 400, 401, 404, 410, 429, 500, 503, 599):
            must_be(c.ask("/app/status/%d" % status).status, status, "status")


def mixed_requests(c):
    """Twenty of many kinds, as one run of bytes, and what must come back."""
    data, wanted = b"", []
    for n in range(20):
        name, host = "p%d" % n, ("Host: %s\r\n" % c.host).encode()
        body = made_of(name, n * 211)
        if n % 5 == 1:
            data += b"POST /app/sum/%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (
                name.encode(), host, len(body), body)
            wanted.append(("POST", (sum_line(name, body, "length") + "\n").encode()))
        elif n % 5 == 2:
            data += b"PUT /app/sum/%s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%s" % (
                name.encode(), host, in_chunks(body, 100))
            wanted.append(("PUT", (sum_line(name, body, "chunked") + "\n").encode()))
        elif n % 5 == 3:
            data += b"HEAD /app/tag/%s/777 HTTP/1.1\r\n%s\r\n" % (name.encode(), host)
            wanted.append(("HEAD", b""))
        else:
            how = b"?chunked" if n % 5 == 4 else b""
            data += b"GET /app/tag/%s/%d%s HTTP/1.1\r\n%s\r\n" % (name.encode(), n * 500, how, host)
            wanted.append(("GET", made_of(name, n * 500)))
    return data, wanted


def take_mixed(c, wanted):
    for n, (method, body) in enumerate(wanted):
        found = c.response(method)
        must_be((found.status, found.body), (200, body), "response %d, to %s" % (n, method))


@case
def pipelining():
    with connect() as c:
        data, wanted = mixed_requests(c)
        for _ in range(3):
            c.send(data)
            take_mixed(c, wanted)


@case
def pipelining_in_pieces():
    with connect() as c:
        data, wanted = mixed_requests(c)
        for at in range(0, len(data), 1009):
            c.send(data[at:at + 1009])
            time.sleep(0.002)
        take_mixed(c, wanted)


@case
def byte_by_byte():
    with connect() as c:
        body = made_of("b", 200)
        data = ("POST /app/sum/b HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n" %
                c.host).encode() + in_chunks(body, 30)
        for at in range(len(data)):
            c.send(data[at:at + 1])
        must_be(c.response().text(), sum_line("b", body, "chunked"), "a body sent byte by byte")


@case
def version_10():
    with connect() as c:
        c.send("GET /app/tag/old/3000 HTTP/1.0\r\n\r\n")
        found = c.response()
        must_be((found.status, found.body), (200, made_of("old", 3000)), "HTTP/1.0 without Host")
        must_be(c.at_end(), True, "and then the connection ends")


@case
def version_10_of_chunked():
    with connect() as c:
        found = c.ask("/app/tag/old/100000?chunked", version="1.0")
        must_be(found.field("transfer-encoding"), None, "coding of a response to HTTP/1.0")
        must_be(found.body, made_of("old", 100000), "what came in chunks, for HTTP/1.0")
        must_be(c.at_end(), True, "and then the connection ends")


@case
def version_10_kept():
    with connect() as c:
        for n in range(5):
            found = c.ask("/app/tag/old%d/100" % n, fields="Connection: keep-alive\r\n",
                          version="1.0")
            must_be(found.body, made_of("old%d" % n, 100), "request %d" % n)
            must_be((found.field("connection") or "").lower(), "keep-alive", "Connection")


@case
def close_asked_for():
    with connect() as c:
        found = c.ask("/app/name", fields="Connection: close\r\n")
        must_be((found.status, (found.field("connection") or "").lower()), (200, "close"), "close")
        must_be(c.at_end(), True, "and then the connection ends")


@case
def chunked_down():
    with connect() as c:
        for size in (0, 1, 4095, 65536, 1000003):
            found = c.ask("/app/tag/c/%d?trailer" % size)
            body = made_of("c", size)
            must_be((found.framing, found.body), ("chunked", body), "%d bytes" % size)
            must_be([line.lower() for line in found.trailers],
                    ["x-sum: " + hashlib.sha256(body).hexdigest()], "trailers")


@case
def chunked_up():
    with connect() as c:
        for size, piece in ((1, 1), (1000, 7), (70000, 16384), (3000001, 65537)):
            body = made_of("u", size)
            found = c.ask("/app/sum/u", "POST", "Transfer-Encoding: chunked\r\n",
                          in_chunks(body, piece))
            must_be(found.text(), sum_line("u", body, "chunked"), "%d bytes" % size)
        body = made_of("u", 5000)
        found = c.ask("/app/sum/u", "POST", "Transfer-Encoding: chunked\r\nTrailer: X-One, X-Two\r\n",
                      in_chunks(body, 999, b";a=1;b=\"x\"", b"X-One: 1\r\nX-Two: 2\r\n"))
        must_be(found.text(), sum_line("u", body, "chunked", 2), "with trailers")


@case
def until_the_end():
    with connect() as c:
        found = c.ask("/app/tag/e/300000?close")
        must_be(found.body, made_of("e", 300000), "a response without a length")


@case
def expect_continue():
    with connect() as c:
        body = made_of("x", 100000)
        for _ in range(3):
            c.send("PUT /app/sum/x HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n"
                   "Expect: 100-continue\r\n\r\n" % (c.host, len(body)))
            must_be(c.head().status, 100, "before the body")
            c.send(body)
            must_be(c.response().text(), sum_line("x", body, "length"), "behind the body")


@case
def expect_refused():
    with connect() as c:
        c.send("PUT /app/early HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000000\r\n"
               "Expect: 100-continue\r\n\r\n" % c.host)
        found = c.response()
        must_be((found.status, len(c.interim)), (413, 0), "instead of 100")
        must_be(c.at_end(), True, "and then the connection ends")


@case
def answered_early():
    with connect() as c:
        c.send("PUT /app/early HTTP/1.1\r\nHost: %s\r\nContent-Length: 3000000\r\n\r\n" % c.host)
        try:
            for _ in range(30):
                c.send(made_of("early", 100000))
                time.sleep(0.005)
        except OSError:
            pass # the response may lie before it
        must_be(c.response().status, 413, "before the body's end")


@case
def early_hints():
    with connect() as c:
        must_be(c.ask("/app/hints").status, 200, "status")
        must_be([i.status for i in c.interim], [103], "before it")
        must_be(c.interim[0].field("link"), "</style>; rel=preload", "its field")
    with connect() as c:
        must_be(c.ask("/app/hints", version="1.0").status, 200, "status")
        must_be([i.status for i in c.interim], [], "for HTTP/1.0 before it")


@case
def absolute_target():
    with connect() as c:
        found = c.ask("http://web.example/app/tag/a/10", fields="Host: web.example\r\n")
        must_be((found.status, found.body), (200, made_of("a", 10)), "absolute form")


@case
def half_closed():
    with connect() as c:
        c.send("GET /app/slow/300 HTTP/1.1\r\nHost: x\r\n\r\nGET /app/tag/z/9 HTTP/1.1\r\nHost: x\r\n\r\n")
        c.socket.shutdown(socket.SHUT_WR)
        must_be(c.response().status, 200, "first response to a client that sends no more")
        must_be(c.response().body, made_of("z", 9), "second")
        must_be(c.at_end(), True, "and then the connection ends")


@case
def empty_line_before():
    with connect() as c:
        c.send("\r\nGET /app/name HTTP/1.1\r\nHost: x\r\n\r\n")
        must_be(c.response().status, 200, "status")


@case
def server_mute():
    with connect() as c:
        must_be(c.ask("/app/mute", "POST", body=b"x").status, 502, "status")


@case
def server_garbage():
    with connect() as c:
        must_be(c.ask("/app/garbage").status, 502, "status")


@case
def server_dies():
    with connect() as c:
        try:
            found = c.ask("/app/die")
        except (Broken, ConnectionResetError):
            return
        raise Wrong("a response that was cut looked whole: %d bytes" % len(found.body))


@case
def server_ends_between():
    """It closes connections without a word: idempotent requests do not suffer."""
    with connect() as c:
        for n in range(40):
            must_be(c.ask("/app/once").status, 200, "request %d" % n)
            must_be(c.ask("/app/name").status, 200, "behind request %d" % n)


@case
def no_tunnel():
    with connect() as c:
        c.send("CONNECT web.example:22 HTTP/1.1\r\nHost: web.example:22\r\n\r\n")
        if c.response().status not in (400, 405, 501):
            raise Wrong("CONNECT was not refused")


@case
def head_too_long():
    with connect() as c:
        must_be(c.ask("/app/name", fields="X-Long: %s\r\n" % ("x" * 70000)).status, 431, "status")
    with connect() as c:
        must_be(c.ask("/" + "x" * 70000).status, 414, "status")


def run(name):
    try:
        CASES[name]()
    except (Wrong, Broken, OSError, ValueError) as error:
        print("%s: %s: %s" % (name, type(error).__name__, error))
        return False
    return True


if sys.argv[2:] == ["list"]:
    print("\n".join(CASES))
else:
    sys.exit(0 if all([run(name) for name in sys.argv[2:]]) else 1)
