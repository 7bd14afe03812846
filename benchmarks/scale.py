"""Whether what an operation costs grows with what lies beside it: ready or unacknowledged messages, bindings, queues,
connections, timers.

    python benchmarks/scale.py

Each row is one operation, done in-process with so much beside it, from little to much; microseconds of CPU time of
client and broker together, the best of several rounds. The last column is the most it cost, as a multiple of the first.
Another table shows the memory of ready messages.
"""

import argparse
import gc
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hutch.client import Channel, Connection, Message
from hutch.fakebroker import Broker, ManualClock
from table import print_table

_BODY = b"x" * 100
_COUNT = 400
_ROUNDS = 7


class Bench:
    """A broker, a client, and what an operation needs."""

    def __init__(self) -> None:
        self.broker = Broker(clock=ManualClock(), history_events=0)
        self.connection = self.connect()
        self.channel: Channel = self.connection.channel()
        self.idle: list[Connection] = []

    def connect(self) -> Connection:
        connection = Connection(transport=self.broker.transport)
        connection.connect()
        return connection

    def queue(self, **arguments: Any) -> str:
        declared = self.channel.queue_declare("", exclusive=True, arguments=arguments or None)
        assert declared is not None
        return declared.queue

    def fill(self, queue: str, count: int, **properties: Any) -> None:
        message = Message(_BODY, **properties)
        for _ in range(count):
            self.channel.basic_publish(message, routing_key=queue)

    def close(self) -> None:
        self.connection.close()
        self.broker.close()


#: Prepares so much beside an operation, and returns the operation.
Prepare = Callable[[Bench, int], Callable[[], object]]


def _ready(bench: Bench, size: int) -> Callable[[], object]:
    queue = bench.queue()
    bench.fill(queue, size)
    message = Message(_BODY)

    def turn() -> None:
        bench.channel.basic_publish(message, routing_key=queue)
        assert bench.channel.basic_get(queue, no_ack=True) is not None

    return turn


def _unacked(bench: Bench, size: int) -> Callable[[], object]:
    queue = bench.queue()
    bench.fill(queue, size)
    for _ in range(size):
        assert bench.channel.basic_get(queue) is not None
    message = Message(_BODY)

    def turn() -> None:
        bench.channel.basic_publish(message, routing_key=queue)
        got = bench.channel.basic_get(queue)
        assert got is not None
        bench.channel.basic_ack(got.delivery_tag)

    return turn


def _requeue(bench: Bench, size: int) -> Callable[[], object]:
    queue = bench.queue()
    bench.fill(queue, size)

    def turn() -> None:
        got = bench.channel.basic_get(queue)
        assert got is not None
        bench.channel.basic_reject(got.delivery_tag, requeue=True)

    return turn


def _bound(kind: str, key: str) -> Prepare:
    def prepare(bench: Bench, size: int) -> Callable[[], object]:
        exchange = f"amq.{kind}"
        wanted, others = bench.queue(), bench.queue()
        bench.channel.queue_bind(wanted, exchange, "orders.eu.created")
        for number in range(size):
            bench.channel.queue_bind(others, exchange, key.format(number))
        message = Message(_BODY)

        def turn() -> None:
            bench.channel.basic_publish(message, exchange, "orders.eu.created")
            assert bench.channel.basic_get(wanted, no_ack=True) is not None

        return turn

    return prepare


def _idle_queues(bench: Bench, size: int) -> Callable[[], object]:
    for _ in range(size):
        bench.queue()
    return _ready(bench, 1)


def _idle_connections(bench: Bench, size: int) -> Callable[[], object]:
    bench.idle = [bench.connect() for _ in range(size)]
    return _ready(bench, 1)


def _timers(bench: Bench, size: int) -> Callable[[], object]:
    timers = bench.broker.hub.node.timers
    for number in range(size):
        timers.set(3600 + number, lambda: None)

    def turn() -> None:
        timers.cancel(timers.set(7200.5, lambda: None))

    return turn


@dataclass(frozen=True)
class Scale:
    """One operation beside ever more."""

    what: str
    beside: str
    prepare: Prepare
    sizes: tuple[int, ...]


_LITTLE_TO_MUCH = (10, 1_000, 10_000, 100_000)
_BINDINGS = "bindings that do not match"
SCALES = (
    Scale("publish, get", "ready messages", _ready, (1, 1_000, 100_000, 1_000_000)),
    Scale("publish, get, ack", "unacknowledged messages", _unacked, _LITTLE_TO_MUCH),
    Scale("get, requeue", "ready messages", _requeue, _LITTLE_TO_MUCH),
    Scale("publish to direct, get", _BINDINGS, _bound("direct", "other.{}"), _LITTLE_TO_MUCH),
    Scale("publish to topic, get", f"{_BINDINGS}, *.N.#", _bound("topic", "*.{}.#"), _LITTLE_TO_MUCH),
    Scale("publish to topic, get", f"{_BINDINGS}, N.*.created", _bound("topic", "{}.*.created"), _LITTLE_TO_MUCH),
    Scale("publish, get", "idle queues", _idle_queues, (1, 100, 1_000, 10_000)),
    Scale("publish, get", "idle connections", _idle_connections, (1, 100, 1_000)),
    Scale("timer set, cancelled", "timers", _timers, (10, 1_000, 100_000, 1_000_000)),
)


def measure(operation: Callable[[], object]) -> float:
    """CPU microseconds of one, the best of some rounds."""
    times = []
    gc.collect()
    gc.disable()  # what lies beside it makes a collection longer; that is the interpreter's, and can be frozen
    try:
        for _ in range(_ROUNDS):
            start = time.process_time()
            for _ in range(_COUNT):
                operation()
            times.append((time.process_time() - start) / _COUNT * 1e6)
    finally:
        gc.enable()
    return min(times)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_of(count: int) -> float:
    """Bytes that a ready message of 100 bytes takes."""
    bench = Bench()
    queue = bench.queue()
    bench.fill(queue, 1000)
    gc.collect()
    before = resident()
    bench.fill(queue, count)
    gc.collect()
    taken = resident() - before
    bench.close()
    return taken / count


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args()
    bytes_each = memory_of(200_000)
    rows = [["operation", "beside", "so many: us", "most / first"]]
    for scale in SCALES:
        taken = {}
        for size in scale.sizes:
            bench = Bench()
            taken[size] = measure(scale.prepare(bench, size))
            bench.close()
        first = taken[scale.sizes[0]]
        shown = ", ".join(f"{size:,}: {each:.1f}" for size, each in taken.items())
        worst = max(taken.values()) / first if first else math.nan
        rows.append([scale.what, scale.beside, shown, f"{worst:.2f}"])
    print_table(rows, options.markdown)
    print()
    print_table([["", "bytes", "aim"], ["a ready message of 100 bytes", f"{bytes_each:.0f}", "500"]], options.markdown)


if __name__ == "__main__":
    main()
