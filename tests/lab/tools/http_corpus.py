"""http_corpus.py - malformed and odd messages, through several gateways, and what arrives.

http_corpus.py requests CASES OUT NAME=ADDRESS:PORT:LOG...
    Sends each case of CASES (tests/lab/corners/requests.txt) byte for byte to each NAME, and reads
    in LOG (of http_recorder.py) what came of it behind that gateway. OUT is JSON.
http_corpus.py responses CASES OUT NAME=ADDRESS:PORT:LOG:RECORDER...
    Has the recorder behind each NAME answer with each case of CASES (responses.txt), and looks at
    what the client gets, and at who is answered with what afterwards. RECORDER: its address:port.
http_corpus.py check OUT WHAT
    Prints what is wrong, and fails when anything is. WHAT, for requests: straight, refused, split, fine,
    hops, next, pieces, doc=FILE; for responses: whole, next, reuse, doc=FILE.
http_corpus.py table REQUESTS RESPONSES FILE
    Writes both as tables into FILE, in the place of what is there from "## Requests" on.

The gateway under test is called fwclusterd; the same, where every byte is sent alone, pieces; a
recorder that is asked directly, straight."""
import json
import re
import socket
import sys
import threading
import time

import http_cases
import http_readers

PATIENCE = 6
OURS, OTHERS, PIECES = "fwclusterd", ("nginx", "HAProxy"), "pieces"
TABLES = "## Requests"


class Gateway:
    def __init__(self, text):
        self.name, _, rest = text.partition("=")
        address, port, self.log, *recorder = rest.split(":")
        self.to = (address, int(port))
        self.recorder = (recorder[0], int(recorder[1])) if recorder else None
        self.at, self.n = 0, 0
        # A recorder waits for ever for the rest of a request.
        self.patience = 1 if self.name == "straight" else PATIENCE
        self.found = {}

    def connect(self):
        sock = socket.create_connection(self.to, PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def logged(self):
        """What has been written since the last time, as (connection, bytes or None at its end)."""
        with open(self.log, encoding="ascii") as file:
            file.seek(self.at)
            text = file.read()
        text = text[:text.rfind("\n") + 1]
        self.at += len(text)
        return [(int(number), bytes.fromhex(what[1:]) if what[0] == "+" else None)
                for _, number, what in (line.split(" ") for line in text.splitlines())]

    def barrier(self):
        """Another client asks; once it has its answer, all that came before is in the log. Returns
        what was wrong with that answer."""
        self.n += 1
        target = "/barrier/%d" % self.n
        try:
            with self.connect() as sock:
                sock.sendall(b"GET %s HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n" %
                             target.encode())
                data, _ = until_end(sock)
        except OSError as error:
            return str(error)
        found, _, why, rest = http_readers.responses(data, ["GET"], True)
        if not found or found[0].all("x-marker") != [target] or rest:
            return "%s: %.80r" % (why, data)
        return ""


def until_end(sock, enough=lambda data: False, patience=PATIENCE):
    """All that comes until the end, or until it is enough, or the time is over; whether it ended in
    order, that is, not by a reset."""
    data, end = b"", time.monotonic() + patience
    while not enough(data) and (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            piece = sock.recv(262144)
        except OSError:
            break
        if not piece:
            return data, True
        data += piece
    return data, False


# --- requests ---------------------------------------------------------------------------------

def send_case(gateway, case):
    """What comes back."""
    data = case.data + case.end
    try:
        with gateway.connect() as sock:
            pieces = [data] if gateway.name != PIECES or len(data) > 4000 else \
                [data[at:at + 1] for at in range(len(data))]
            sender = threading.Thread(target=send_quietly, args=(sock, pieces))
            sender.start()
            got, _ = until_end(sock, patience=gateway.patience)
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sender.join()
            return got
    except OSError:
        return b""


def send_quietly(sock, pieces):
    try:
        for piece in pieces:
            sock.sendall(piece)
    except OSError:
        pass


def statuses_of(data, methods):
    """Of all final responses; a gateway may answer more than it should."""
    methods = methods + ["GET"] * (data.count(b"HTTP/1.") + 1)
    found, _, _, _ = http_readers.responses(data, methods, True)
    return [message.status for message in found]


def streams_of(events):
    streams, ended = {}, set()
    for number, data in events:
        if data is None:
            ended.add(number)
        else:
            streams[number] = streams.get(number, b"") + data
    return streams, ended


def read_all(streams, reader, barrier):
    """Requests of all connections but the barrier's; whether a part of one is left, and where."""
    found, parts = [], []
    for number, data in streams.items():
        messages, why = reader(data)
        found += [m for m in messages if m.target != barrier]
        if why:
            parts.append(number)
    return found, parts


def ask_request(gateway, case, truth):
    gateway.logged()
    data = send_case(gateway, case)
    wrong = gateway.barrier()
    barrier = "/barrier/%d" % gateway.n
    streams, ended = streams_of(gateway.logged())
    found, parts = read_all(streams, http_readers.strict, barrier)
    counts = {name: len(read_all(streams, reader, barrier)[0])
              for name, reader in http_readers.READERS.items()}
    expected = [m.meaning() for m in truth]
    got = [m.meaning() for m in found]
    gateway.found[case.name] = {
        "statuses": statuses_of(data, [m.method for m in truth]), "n": len(found),
        "counts": counts, "next": wrong, "same": got == expected[:len(got)],
        "kept_part": sorted(set(parts) - ended), "leaked": leaked(truth, found),
        "got": repr(got)[:400] if got != expected[:len(got)] else ""}


def leaked(sent, arrived):
    """Fields that were about the connection of the client (RFC 9110 section 7.6.1), and arrived."""
    names = set()
    for before, after in zip(sent, arrived):
        hops = http_readers.HOPS - {"connection"} | before.options()
        if "upgrade" in before.options() and after.all("upgrade") == ["websocket"]:
            hops.discard("upgrade") # asked for again
        names |= hops & {name for name, _ in after.fields}
        # But for an upgrade, the next connection has nothing to say but that it closes or stays.
        names |= after.options() - {"close", "keep-alive", "upgrade"}
    return sorted(names)


def requests(cases, gateways):
    rows, truths = [], {}
    for case in cases:
        truth, why = http_readers.strict(case.data + case.end)
        truths[case.name] = truth
        rows.append({"name": case.name, "kind": case.kind, "section": case.section,
                     "note": case.note, "truth": len(truth), "why": why})
    run_all(gateways, lambda gateway: [ask_request(gateway, case, truths[case.name])
                                       for case in cases])
    for row in rows:
        row["of"] = {gateway.name: gateway.found[row["name"]] for gateway in gateways}
    return rows


def run_all(gateways, work):
    threads = [threading.Thread(target=work, args=(gateway,)) for gateway in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- responses --------------------------------------------------------------------------------

def whole_one(method):
    return lambda data: http_readers.responses(data, [method], False)[2] != "cut"


def ask_response(gateway, case):
    gateway.logged()
    second, wrong = b"", ""
    with gateway.connect() as sock:
        sock.sendall(b"%s /r/%s HTTP/1.1\r\nHost: r.example\r\n\r\n" %
                     (case.method.encode(), case.name.encode()))
        data, ended = until_end(sock, whole_one(case.method))
        found, interim, why, rest = http_readers.responses(data, [case.method], ended)
        if len(case.parts) > 1:
            poke(gateway)
        if found and not ended:
            target = b"/after/%s" % case.name.encode()
            send_quietly(sock, [b"GET %s HTTP/1.1\r\nHost: r.example\r\nConnection: close\r\n\r\n"
                                % target])
            second, _ = until_end(sock)
            after = http_readers.responses(rest + second, ["GET"], True)
            if second and (not after[0] or after[0][0].all("x-marker") != [target.decode()]):
                wrong = "behind it: %.80r" % (rest + second)
            elif not second and rest:
                wrong = "more than one response: %.80r" % rest
    wrong = wrong or gateway.barrier() or gateway.barrier()
    gateway.found[case.name] = {
        "statuses": [m.status for m in found], "interim": len(interim), "why": why,
        "body": found[0].body.hex()[:4000] if found else "", "next": wrong,
        "fields": [list(f) for f in found[0].fields] if found else [],
        "trailers": [list(f) for f in found[0].trailers] if found else [],
        "reused": reused(gateway.logged(), case.name)}


def poke(gateway):
    with socket.create_connection(gateway.recorder, PATIENCE) as sock:
        sock.sendall(b"GET /poke HTTP/1.1\r\nHost: r.example\r\nConnection: close\r\n\r\n")
        until_end(sock)


def reused(events, name):
    """Something followed on the case's connection to the server."""
    streams, _ = streams_of(events)
    mark = b"/r/%s " % name.encode()
    return any(len(http_readers.strict(b"GET " + data[data.index(mark):])[0]) > 1
               for data in streams.values() if mark in data)


def responses(cases, gateways):
    rows = []
    for case in cases:
        # What it means to a strict reader that gets all of it.
        found, interim, why, rest = http_readers.responses(
            b"".join(case.parts), [case.method], case.closes)
        row = {"name": case.name, "kind": case.kind, "section": case.section, "note": case.note,
               "why": why or ("more behind it" if rest else ""), "interim": len(interim)}
        if found:
            row.update(status=found[0].status, body=found[0].body.hex()[:4000],
                       fields=found[0].meaning()[4], trailers=found[0].trailers)
        rows.append(row)
    run_all(gateways, lambda gateway: [ask_response(gateway, case) for case in cases])
    for row in rows:
        row["of"] = {gateway.name: gateway.found[row["name"]] for gateway in gateways}
    return rows


# --- what must be so --------------------------------------------------------------------------

def refuses(of):
    """The request itself did not arrive; what was sent behind it could not."""
    return of["n"] == 0 or any(400 <= status < 600 for status in of["statuses"])


def check_refused(row, of):
    if row["kind"] == "smuggling" and not refuses(of[OURS]):
        return [name for name in OTHERS if refuses(of[name])]
    return ""


def check_split(row, of):
    """For every reader what arrives are the first requests that a strict reader finds, and no part
    of another stays on a connection that is kept."""
    ours = of[OURS]
    if len(set(ours["counts"].values())) != 1 or not ours["same"] or ours["n"] > row["truth"]:
        return "%s of %d: %s" % (ours["counts"], row["truth"], ours["got"])
    return "a part is left on a connection that was kept" if ours["kept_part"] else ""


def check_straight(row, of):
    """The recorder finds what was meant to be sent: this program is right itself."""
    got = of["straight"]["n"]
    return "" if got == row["truth"] else "%d, not %d" % (got, row["truth"])


def check_fine(row, of):
    ours = of[OURS]
    if row["kind"] != "fine":
        return ""
    if row["why"]:
        return "is not fine: " + row["why"]
    if ours["statuses"] != [200] * row["truth"] or ours["n"] != row["truth"] or not ours["same"]:
        return "%s, %d of %d arrived %s" % (ours["statuses"], ours["n"], row["truth"], ours["got"])
    return ""


def check_hops(_row, of):
    return ", ".join(of[OURS]["leaked"])


def check_next(_row, of):
    """The client that comes next gets its own answer."""
    return of[OURS]["next"]


def check_pieces(_row, of):
    """However the bytes are cut, the same comes of them; a client that is refused while it sends may
    find the connection reset instead."""
    ours, theirs = of[OURS], of[PIECES]
    if ours["n"] != theirs["n"] or theirs["statuses"] not in (ours["statuses"], []):
        return "%s %d, not %s %d" % (theirs["statuses"], theirs["n"], ours["statuses"], ours["n"])
    return ""


def end_to_end(fields):
    return [list(f) for f in fields if f[0] not in http_readers.HOPS | {"set-cookie"}]


def check_whole(row, of):
    """What is fine arrives; of what is not, nothing that looks whole."""
    ours = of[OURS]
    own = ours["statuses"] in ([502], [504]) or (not ours["statuses"] and ours["why"] == "cut")
    if row["kind"] == "bad":
        return "" if own else "%s %s %s" % (ours["statuses"], ours["why"], ours["body"])
    if row["kind"] == "odd" and own:
        return ""
    if "status" not in row:
        return "is not fine: " + row["why"]
    want = end_to_end(row["fields"])
    got = [f for f in end_to_end(ours["fields"])
           if f[0] not in ("content-length", "transfer-encoding")]
    if ours["statuses"] != [row["status"]] or ours["body"] != row["body"] or want != got or \
            ours["trailers"] != [list(f) for f in row["trailers"]]:
        return "%s %s %s, not %s %s %s" % (ours["statuses"], got, ours["body"][:200],
                                           row["status"], want, row["body"][:200])
    return ""


def check_reuse(row, of):
    if row["kind"] in ("bad", "extra") and of[OURS]["reused"]:
        return "the connection to the server was used again"
    return ""


def without_others(line):
    """A row of the table as far as it is about fwclusterd."""
    return re.sub(r"(\| [^|]*){3}\|$", "", line.strip())


def check_doc(rows, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = set(text.split("\n")) | {without_others(line) for line in text.split("\n")}
    wanted = [without_others(row_line(row)) for row in rows] + stricter(rows)
    return ["not there: " + line for line in wanted if line not in lines]


def check(rows, what):
    if what.startswith("doc="):
        faults = check_doc(rows, what[4:])
    else:
        judge = globals()["check_" + what]
        faults = ["%s: %s" % (row["name"], fault) for row in rows
                  if (fault := judge(row, row["of"]))]
    print("\n".join(faults))
    print(len(rows), "cases,", len(faults), "not so")
    return not faults


# --- table ------------------------------------------------------------------------------------

def in_short(statuses):
    if len(statuses) > 3 and len(set(statuses)) == 1:
        return "%d ×%d" % (statuses[0], len(statuses))
    return " ".join(map(str, statuses))


def request_cell(of, truth):
    counts = set(of["counts"].values())
    n = "%d" % of["n"] if len(counts) == 1 else "%d…%d" % (min(counts), max(counts))
    text = "%s → %s" % (in_short(of["statuses"]) or "–", n)
    if of["n"] > truth or len(counts) > 1:
        return "**%s**" % text
    return text + ("" if of["same"] else " ≠")


def response_cell(of):
    text = " ".join(map(str, of["statuses"])) or ("cut" if of["why"] == "cut" else "**malformed**")
    if of["next"]:
        return "**%s, next wrong**" % text
    return text + (", reused" if of["reused"] else "")


def row_line(row):
    of = row["of"]
    if "truth" in row:
        strict = "%d" % row["truth"] + (", then: " + row["why"] if row["why"] else "")
        cells = [request_cell(of[name], row["truth"]) for name in (OURS, *OTHERS)]
    else:
        strict = row["why"] or str(row["status"])
        cells = [response_cell(of[name]) for name in (OURS, *OTHERS)]
    return "| %s |" % " | ".join([row["name"], row["kind"], cells[0], cells[1], cells[2], strict])


def withheld(of):
    """The server's response did not reach the client whole."""
    return of["statuses"] in ([], [502], [504])


def stricter(rows):
    lines = ["| case | section of RFC | why |", "|---|---|---|"]
    for row in rows:
        of, refused = row["of"], refuses if "truth" in row else withheld
        if refused(of[OURS]) and not any(refused(of[name]) for name in OTHERS):
            lines.append("| %s | %s | %s |" % (row["name"], row["section"].replace("-", " § "),
                                               row["note"]))
    return lines


def table(request_rows, response_rows):
    head = ["| case | kind | fwclusterd | nginx | HAProxy | strict reading |",
            "|---|---|---|---|---|---|"]
    title = "Where fwclusterd is stricter than both"
    return "\n".join([TABLES, "", *head, *map(row_line, request_rows), "",
                      "### %s" % title, "", *stricter(request_rows), "",
                      "## Responses", "", *head, *map(row_line, response_rows), "",
                      "### %s, of responses" % title, "", *stricter(response_rows), ""])


def write_table(request_rows, response_rows, path):
    with open(path, encoding="utf-8") as file:
        before = file.read().partition(TABLES)[0]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + table(request_rows, response_rows))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    what, *words = sys.argv[1:]
    if what == "check":
        sys.exit(0 if check(load(words[0]), words[1]) else 1)
    if what == "table":
        write_table(*map(load, words[:2]), words[2])
        return
    gateways = [Gateway(word) for word in words[2:]]
    run = requests if what == "requests" else responses
    rows = run(http_cases.read(words[0]), gateways)
    with open(words[1], "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    print(len(rows), "cases")


main()
