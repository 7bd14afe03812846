"""What hutch costs, as ratios to py-amqp on a live RabbitMQ, all taken in one run.

    python benchmarks/run.py amqp://guest:guest@localhost/

Without a URL only hutch itself is measured. Times are CPU time of this process, for each message or cycle, the best of
several rounds: what another program does on the machine counts little. ``--markdown`` prints the table that
docs/performance.md shows.
"""

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp

from hutch.client import Connection, Message
from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091 import session
from hutch.wire.url import parse_url
from table import print_table

BODY = b"x" * 100
ROUNDS = 5


@dataclass
class Row:
    """One line of the table; microseconds of CPU time, or for ``unit`` "ms" milliseconds of real time."""

    what: str
    hutch: float
    peer: float | None
    aim: str
    unit: str = "us"

    def cells(self) -> list[str]:
        ratio = f"{self.hutch / self.peer:.2f}" if self.peer else ""
        peer = f"{self.peer:.1f} {self.unit}" if self.peer else ""
        return [self.what, f"{self.hutch:.1f} {self.unit}", peer, ratio, self.aim]


def best(count: int, measured: Callable[[int], None], rounds: int = ROUNDS) -> float:
    """CPU microseconds for one of ``count``, in the best round."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        measured(count)
        times.append((time.process_time() - start) / count * 1e6)
    return min(times)


def one_message(connection: Any, message: Any) -> None:
    """Declare, publish, consume, acknowledge."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    done = False

    def on_message(got: Any) -> None:
        nonlocal done
        channel.basic_ack(got.delivery_tag)
        done = True

    channel.basic_consume(queue, callback=on_message)
    channel.basic_publish(message, routing_key=queue)
    while not done:
        connection.drain_events(timeout=10)


def cycles(connect: Callable[[], tuple[Any, Callable[[], None]]], message: Callable[[], Any]) -> Callable[[int], None]:
    """A client connected, to a broker made for it where that is ours, one message put through, and all torn down."""

    def run(count: int) -> None:
        for _ in range(count):
            connection, close = connect()
            one_message(connection, message())
            connection.close()
            close()

    return run


def publish_to_ack(connection: Any, message: Callable[[], Any]) -> Callable[[int], None]:
    """A message published, delivered to a callback, acknowledged: one after the other."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    acked = 0

    def on_message(got: Any) -> None:
        nonlocal acked
        channel.basic_ack(got.delivery_tag)
        acked += 1

    channel.basic_consume(queue, callback=on_message)

    def run(count: int) -> None:
        end = acked + count
        while acked < end:
            before = acked
            channel.basic_publish(message(), routing_key=queue)
            while acked == before:
                connection.drain_events(timeout=10)

    return run


def in_process() -> tuple[Any, Callable[[], None]]:
    broker = Broker(clock=ManualClock())
    connection = Connection(transport=broker.transport)
    connection.connect()
    return connection, broker.close


def serve_start() -> float:
    """Real milliseconds from starting ``hutch serve`` to its line that it serves."""
    command = [str(Path(sys.executable).with_name("hutch")), "serve", "--port", "0"]
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            times.append((time.perf_counter() - start) * 1e3)
            if not line.startswith("hutch serves"):
                raise SystemExit(f"hutch serve did not start: {line!r}")
            process.terminate()
            process.stdout.read()
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a live RabbitMQ to compare with")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    peer_cycle = peer_message = None
    if options.url:
        address = parse_url(options.url)[0]
        login = {"userid": address.userid, "password": address.password, "virtual_host": address.virtual_host}
        host = f"{address.host}:{address.port}"

        def over_tcp() -> tuple[Any, Callable[[], None]]:
            connection = amqp.Connection(host, **login)
            connection.connect()
            return connection, lambda: None

        peer_cycle = best(100, cycles(over_tcp, lambda: amqp.Message(BODY)))
        connection, _ = over_tcp()
        peer_message = best(2000, publish_to_ack(connection, lambda: amqp.Message(BODY)))
        connection.close()
    connection, close = in_process()
    message = best(10_000, publish_to_ack(connection, lambda: Message(BODY)))
    connection.close()
    close()
    rows = [
        Row(
            "a broker and a client made, one message through, all torn down",
            best(500, cycles(in_process, lambda: Message(BODY))),
            peer_cycle,
            "300 us",
        ),
        Row("publish to ack, one message at a time", message, peer_message, "12 us"),
        Row("hutch serve, from start to accepting", serve_start(), None, "300 ms", "ms"),
    ]
    headings = ["", "hutch in-process", "py-amqp on RabbitMQ", "ratio", "aim"]
    table = [headings, *[row.cells() for row in rows]]
    print_table(table, options.markdown)
    built = "as it is written" if session.__file__.endswith(".py") else "compiled"
    print(f"\nPython {sys.version.split()[0]}, hutch {built}")


if __name__ == "__main__":
    main()
