"""http_recorder.py PORT LOG [RESPONSES]: a server that writes down every byte it gets, and answers
what RFC 9112 calls requests. Of LOG, each line is: time, number of the connection, and `+` with what
came, in hexadecimal, or `-` at its end.

It answers /r/NAME with the bytes of case NAME of the file RESPONSES, and /poke with "well"; then it
sends what these cases have kept for later. Everything else gets 200 and its own target in X-Marker.
Nothing is answered before all that has come on all connections is in the log."""
import selectors
import socket
import sys
import time

import http_cases
import http_readers


class Connection:
    def __init__(self, sock, number):
        self.socket, self.number = sock, number
        self.data, self.answered, self.later, self.ends = b"", 0, b"", False


def answer_to(request):
    marker = request.target[:200].encode("latin-1")
    body = b"%s %d\n" % (request.method.encode(), len(request.body))
    return (b"HTTP/1.1 200 OK\r\nX-Marker: %s\r\nContent-Length: %d\r\n%s\r\n%s" %
            (marker, len(body), b"Connection: close\r\n" if request.ends() else b"",
             b"" if request.method == "HEAD" else body))


class Recorder:
    def __init__(self, port, log, cases):
        self.listener = socket.socket(socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", port))
        self.listener.listen(1024)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.log, self.cases, self.n, self.connections = log, cases, 0, set()

    def write(self, connection, what):
        self.log.write("%.6f %d %s\n" % (time.monotonic(), connection.number, what))

    def accept(self):
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(5)
        self.n += 1
        connection = Connection(sock, self.n)
        self.connections.add(connection)
        self.selector.register(sock, selectors.EVENT_READ, connection)

    def close(self, connection):
        if connection in self.connections:
            self.write(connection, "-")
            self.connections.discard(connection)
            self.selector.unregister(connection.socket)
            connection.socket.close()

    def receive(self, connection):
        try:
            data = connection.socket.recv(262144)
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return False
        self.write(connection, "+" + data.hex())
        connection.data += data
        return True

    def send(self, connection, data):
        try:
            connection.socket.sendall(data)
        except OSError:
            connection.ends = True

    def answer(self, connection, request):
        name = request.target[3:] if request.target.startswith("/r/") else None
        if request.target == "/poke":
            for other in list(self.connections):
                self.send(other, other.later)
                other.later = b""
        if name in self.cases:
            case = self.cases[name]
            self.send(connection, case.parts[0])
            connection.later, connection.ends = b"".join(case.parts[1:]), case.closes
        else:
            self.send(connection, answer_to(request))
            connection.ends = request.ends()

    def respond(self, connection):
        found, why = http_readers.strict(connection.data)
        for request in found:
            if not connection.ends:
                self.answer(connection, request)
        if found:
            connection.data = connection.data[found[-1].end:]
        if why not in ("", "cut"):
            self.send(connection, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                                  b"Connection: close\r\n\r\n")
            connection.ends = True
        if connection.ends:
            self.close(connection)

    def run(self):
        while True:
            ready = [key.data for key, _ in self.selector.select()]
            if None in ready:
                self.accept()
            got = [c for c in ready if c and self.receive(c)]
            self.log.flush()
            for connection in got:
                if connection in self.connections:
                    self.respond(connection)
            self.log.flush()


def main():
    cases = http_cases.read(sys.argv[3]) if len(sys.argv) > 3 else []
    with open(sys.argv[2], "w", encoding="ascii") as log:
        recorder = Recorder(int(sys.argv[1]), log, {case.name: case for case in cases})
        print("ready", flush=True)
        recorder.run()


main()
