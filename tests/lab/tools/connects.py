"""connects.py ADDRESS PORT COUNT [-json] [-all] [-timeout SECONDS]: COUNT TCP connections one after the other, each with one
HTTP request. Prints how many worked and the time of connect(): median, 99th percentile, maximum.
Fails unless all worked; gives up after six failures without -all."""
import json
import socket
import statistics
import sys
import time

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
timeout = float(sys.argv[sys.argv.index("-timeout") + 1]) if "-timeout" in sys.argv else 10
request = "GET /hello HTTP/1.0\r\nHost: web.example\r\n\r\n".encode()
times, firsts, errors = [], [], {}
for _ in range(count):
    begin = time.perf_counter()
    try:
        with socket.create_connection((address, port), timeout=timeout) as sock:
            connected = time.perf_counter()
            sock.sendall(request)
            head = sock.recv(65536)
            first = time.perf_counter()
            while True:
                more = sock.recv(65536)
                if not more:
                    break
                head += more
            if not head.startswith(b"HTTP/1.1 200"):
                raise OSError("answer is not 200")
            times.append((connected - begin) * 1000)
            firsts.append((first - begin) * 1000)
    except OSError as error:
        errors[str(error)] = errors.get(str(error), 0) + 1
        if len(errors) and sum(errors.values()) > 5 and "-all" not in sys.argv:
            errors["given up"] = 1
            break

times.sort()
firsts.sort()
result = {"count": count, "worked": len(times), "errors": errors,
          # the first retransmission of a SYN or SYN-ACK comes after a second
          "late": sum(time > 900 for time in times)}
if times:
    result |= {
        "median_ms": round(statistics.median(times), 3),
        "p99_ms": round(times[int(len(times) * 0.99) - 1 if len(times) > 1 else 0], 3),
        "max_ms": round(times[-1], 3),
        "first_byte_median_ms": round(statistics.median(firsts), 3),
    }
if "-json" in sys.argv:
    print(json.dumps(result))
else:
    print(" ".join(f"{key}={value}" for key, value in result.items()))
sys.exit(0 if len(times) == count else 1)
