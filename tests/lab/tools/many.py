"""many.py ADDRESS COUNT [-port N] [-from FIRST-LAST] [-tls CA] [-keep] [-path PATH] [-pause MS]:
COUNT requests for /name, each on a connection of its own (with -keep: all of one client on one),
from each of the clients 198.51.100.FIRST to LAST (2001:db8:51::FIRST …; default 100-131), eight
clients at a time. Prints JSON: requests, worked, errors, servers {name: answers}, clients
{address: {name: answers}}. Fails unless all worked."""
import argparse
import concurrent.futures
import http.client
import json
import ssl
import sys
import time

parser = argparse.ArgumentParser(prefix_chars="-")
parser.add_argument("address")
parser.add_argument("count", type=int)
parser.add_argument("-port", type=int, default=0)
parser.add_argument("-from", dest="clients", default="100-131")
parser.add_argument("-tls", default="")
parser.add_argument("-keep", action="store_true")
parser.add_argument("-path", default="/name")
parser.add_argument("-pause", type=float, default=0)
parser.add_argument("-timeout", type=float, default=5)
args = parser.parse_args()

first, last = (int(part) for part in args.clients.split("-"))
prefix = "2001:db8:51::" if ":" in args.address else "198.51.100."
context = None
if args.tls:
    context = ssl.create_default_context(cafile=args.tls)
    context.check_hostname = False


def connection(source):
    if context:
        return http.client.HTTPSConnection(args.address, args.port or 443, timeout=args.timeout,
                                           source_address=(source, 0), context=context)
    return http.client.HTTPConnection(args.address, args.port or 80, timeout=args.timeout,
                                      source_address=(source, 0))


def client(number):
    source, names, errors, link = f"{prefix}{number}", {}, {}, None
    for _ in range(args.count):
        try:
            link = link or connection(source)
            link.request("GET", args.path)
            answer = link.getresponse()
            name = answer.read().decode().strip() if answer.status == 200 else f"{answer.status}"
            names[name] = names.get(name, 0) + 1
            if not args.keep:
                link.close()
                link = None
        except (OSError, http.client.HTTPException) as error:
            text = str(error) or type(error).__name__
            errors[text] = errors.get(text, 0) + 1
            link = None
        time.sleep(args.pause / 1000)
    return source, names, errors


def merge(into, names):
    for name, number in names.items():
        into[name] = into.get(name, 0) + number


result = {"requests": (last - first + 1) * args.count, "worked": 0, "errors": {}, "servers": {},
          "clients": {}}
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for source, names, errors in pool.map(client, range(first, last + 1)):
        result["clients"][source] = names
        merge(result["servers"], names)
        merge(result["errors"], errors)
result["worked"] = sum(result["servers"].values())
print(json.dumps(result))
sys.exit(0 if result["worked"] == result["requests"] else 1)
