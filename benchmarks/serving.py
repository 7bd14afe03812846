"""``hutch serve`` by itself: its start, what it takes while nothing happens, the memory of a queued message, and lists
of the management API.

    python benchmarks/serving.py

Real time and the memory of the process, from outside. Starts and lists are the best of several.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hutch.client import Connection, Message, connect
from table import print_table

_STARTS = 9
_IDLE = 5.0  # seconds
_MESSAGES = 100_000
_QUEUES = 2000
_LISTS = 9
_HEADERS = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A served broker, and its URLs."""
    command = [str(Path(sys.executable).with_name("hutch")), "serve", "--port", "0", "--log-level", "error", *options]
    # Users' Python keeps the bytecode of modules from one start to the next.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process, [word for word in process.stdout.readline().split() if "://" in word]
        process.terminate()
        process.stdout.read()


def start(*options: str) -> float:
    """Milliseconds until clients may connect."""
    begun = time.perf_counter()
    with served(*options) as (_, urls):
        assert urls
        return (time.perf_counter() - begun) * 1e3


def python() -> float:
    """Milliseconds until Python itself is there, with what it brings that a server needs."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio, argparse, json, logging"], check=True)
    return (time.perf_counter() - begun) * 1e3


def resident(pid: int) -> float:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor(pid: int) -> float:
    """Seconds of CPU time that a process has taken, by the system's clock of ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle() -> tuple[float, float]:
    """MB, and milliseconds of CPU time in a second, of a server with the API that has had a client of each."""
    with served("--management-port", "0") as (process, (amqp, http)):
        connect(amqp).close()
        ask(http, "queues")
        before = processor(process.pid)
        time.sleep(_IDLE)
        return resident(process.pid) / 1e6, (processor(process.pid) - before) / _IDLE * 1e3


def ask(url: str, path: str, client: HTTPConnection | None = None) -> Any:
    """What the API answers."""
    parts = urlsplit(url)
    connection = client or HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"/api/{path}", headers=_HEADERS)
    told = json.loads(connection.getresponse().read())
    if client is None:
        connection.close()
    return told


def _fill(connection: Connection, message: Message, count: int) -> None:
    channel = connection.channel()
    for _ in range(count - 1):
        channel.basic_publish(message, routing_key="q")
    channel.basic_publish_confirm(message, routing_key="q")
    channel.close()


def message(size: int, arguments: dict[str, Any]) -> float:
    """Bytes that a queued message takes beside its body."""
    sent = Message(b"x" * size, content_type="text/plain", delivery_mode=2)
    with served() as (process, (url,)), connect(url) as connection:
        connection.channel().queue_declare("q", durable=True, auto_delete=False, arguments=arguments)
        _fill(connection, sent, 2000)
        before = resident(process.pid)
        _fill(connection, sent, _MESSAGES)
        assert connection.channel().queue_declare("q", passive=True).message_count == _MESSAGES + 2000
        return (resident(process.pid) - before) / _MESSAGES - size


def lists(profile: str) -> tuple[float, float]:
    """Milliseconds of a list of all queues, and the longest that a client of AMQP waits meanwhile for an answer."""
    with served("--management-port", "0", "--profile", profile) as (_, (amqp, http)), connect(amqp) as connection:
        channel = connection.channel()
        for number in range(_QUEUES):
            channel.queue_declare(f"queue-{number}", durable=True, auto_delete=False)
        parts = urlsplit(http)
        client = HTTPConnection(parts.hostname or "", parts.port)
        spans, waits = [], []
        for _ in range(_LISTS):
            begun = time.perf_counter()
            assert len(ask(http, "queues", client)) == _QUEUES
            spans.append((time.perf_counter() - begun) * 1e3)
            client.request("GET", "/api/queues", headers=_HEADERS)
            wait = 0.0
            for _ in range(100):
                begun = time.perf_counter()
                channel.basic_get("queue-0")
                wait = max(wait, time.perf_counter() - begun)
            client.getresponse().read()
            waits.append(wait * 1e3)
        client.close()
        return min(spans), min(waits)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    bare = min(python() for _ in range(_STARTS))
    rows = [["hutch serve", "measured", "aim"], ["Python alone, with asyncio, from start to end", f"{bare:.0f} ms", ""]]
    for what, arguments, aim in (("", (), 300), (", with the management API", ("--management-port", "0"), 500)):
        rows.append(
            [f"from start to accepting{what}", f"{min(start(*arguments) for _ in range(_STARTS)):.0f} ms", f"{aim} ms"]
        )
    megabytes, cpu = idle()
    rows.append(["memory while nothing happens, with the API", f"{megabytes:.1f} MB", "60 MB"])
    rows.append(["CPU time of a second while nothing happens", f"{cpu:.1f} ms", "0 ms"])
    for kind in ("classic", "quorum"):
        taken = [f"{message(size, {'x-queue-type': kind}):.0f}" for size in (100, 1000)]
        rows.append(
            [
                f"a message in a {kind} queue, beside a body of 100 and 1,000 bytes",
                f"{' and '.join(taken)} bytes",
                "350 bytes",
            ]
        )
    for profile, aim in (("4.3", 100), ("3.10", 250)):
        span, wait = lists(profile)
        rows.append([f"`/api/queues` with 2,000 queues, as {profile}", f"{span:.0f} ms", f"{aim} ms"])
        rows.append(["AMQP waits for that", f"{wait:.0f} ms", "20 ms"])
    print_table(rows, options.markdown)


if __name__ == "__main__":
    main()
