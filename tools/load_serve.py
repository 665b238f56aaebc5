"""Measures `hawk serve` under load: images a second, times of requests, time to the first partial image.

    python3 tools/load_serve.py --bin target/release/hawk [--clients 1,2,4,8,16,32] [--images 64] [-- --model DIR ...]

Server and clients run on this machine. Each client sends its next request when it has the answer to the
last one, as a stream with one partial image. What stands behind `--` goes to `hawk serve`. With
`--memory` the resident memory of the server is printed with each row.
"""

import argparse
import http.client
import json
import re
import signal
import statistics
import subprocess
import threading
import time
from pathlib import Path

PROMPTS = ["red apple, fluent 3d style", "octopus, fluent flat style", "a fox on a beach", "rocket, fluent 3d style", "whale"]


def request(port, number, body):
    """Draws one image. Returns the seconds to the first picture and to the last one."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, "stream": True, "partial_images": 1, **body})
    connection.request("POST", "/v1/images/generations", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    first = None
    for line in answer:
        if line.startswith(b"event: image_generation.partial_image"):
            first = time.perf_counter() - start
        elif line.startswith(b"event: error"):
            raise RuntimeError(answer.readline())
        elif line.startswith(b"event: image_generation.completed"):
            answer.read()
            return first, time.perf_counter() - start
    raise RuntimeError("the stream has ended early")


def run(port, clients, images, body):
    numbers, lock, times = iter(range(images)), threading.Lock(), []

    def client():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            times.append(request(port, number, body))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(times) == images
    return time.perf_counter() - start, times


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release/hawk", help="the program")
    parser.add_argument("--clients", default="1,2,4,8,16,32", help="numbers of clients")
    parser.add_argument("--images", type=int, default=64, help="images for each number of clients")
    parser.add_argument("--warm-up", type=int, default=8, help="images before the first measurement")
    parser.add_argument("--body", type=json.loads, default={}, help="more fields of the requests, as JSON")
    parser.add_argument("--memory", action="store_true", help="print the resident memory of the server")
    parser.add_argument("options", nargs="*", help="options of `hawk serve`")
    arguments = parser.parse_args()
    server = subprocess.Popen([arguments.bin, "serve", "--port", "0", *arguments.options], stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)$", server.stdout.readline().strip()).group(1))
        # The tuner of tree sizes learns, and pages of memory are taken.
        run(port, 2, arguments.warm_up, arguments.body)
        print("| clients | images/s | p50 s | p95 s | first partial: p50 s | p95 s |" + (" MB |" if arguments.memory else ""))
        print("|---|---|---|---|---|---|" + ("---|" if arguments.memory else ""))
        for clients in map(int, arguments.clients.split(",")):
            seconds, times = run(port, clients, arguments.images, arguments.body)
            first, last = [first for first, _ in times], [last for _, last in times]
            row = [clients, f"{arguments.images / seconds:.2f}", *(f"{value:.2f}" for value in (
                statistics.median(last), percentile(last, 0.95), statistics.median(first), percentile(first, 0.95)))]
            if arguments.memory:
                status = Path(f"/proc/{server.pid}/status").read_text()
                row.append(int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) // 1024)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
