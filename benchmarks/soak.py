"""Whether memory stays flat: messages through publish, consume and acknowledge, then connecting again and again.

    python benchmarks/soak.py                                   # hutch's own broker, in this process
    python benchmarks/soak.py amqp://guest:guest@localhost/     # a live one, or hutch serve

prints the resident set of this process ten times on the way, and with the connections also how many Python objects,
file descriptors and threads there are. Without a URL that is client and broker together. Linux only: it reads /proc.
"""

import argparse
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hutch.client import Connection, Message
from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from table import print_table

_BATCH = 100
_SAMPLES = 10


def resident() -> float:
    """The resident set of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def soak(connect: Callable[[], Connection], messages: int) -> list[list[str]]:
    """Put messages through, a hundred at a time, each with a body of its own; lines of messages and MiB."""
    connection = connect()
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True)
    assert queue is not None
    acknowledged = 0

    def on_message(message: Any) -> None:
        nonlocal acknowledged
        assert message.body == b"%0100d" % acknowledged
        channel.basic_ack(message.delivery_tag)
        acknowledged += 1

    channel.basic_consume(queue.queue, callback=on_message)
    lines = []
    published = 0
    for sample in range(_SAMPLES + 1):
        while published < messages * sample // _SAMPLES:
            for _ in range(_BATCH):
                channel.basic_publish(Message(b"%0100d" % published), routing_key=queue.queue)
                published += 1
            while acknowledged < published:
                connection.drain_events(timeout=30)
        lines.append([f"{published:,}", f"{resident():.1f}"])
    connection.close()
    return lines


def reconnect(connect: Callable[[], Connection], times: int) -> list[list[str]]:
    """Connect, use a channel, close; lines of connections, objects, descriptors, threads and MiB."""
    lines = []
    made = 0
    for sample in range(_SAMPLES + 1):
        while made < times * sample // _SAMPLES:
            with connect() as connection:
                connection.channel().queue_declare("", exclusive=True)
            made += 1
        gc.collect()
        counts = [len(gc.get_objects()), len(os.listdir("/proc/self/fd")), threading.active_count()]  # noqa: PTH208
        lines.append(f"{made:,} {' '.join(map(str, counts))} {resident():.1f}")  # a list would count as an object
    return [line.split() for line in lines]


def main(arguments: list[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="a broker; by default one in this process")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.add_argument("--messages", type=int, default=200_000, help="how many messages")
    parser.add_argument("--connections", type=int, default=1000, help="how many connections, one after the other")
    options = parser.parse_args(arguments)
    with Broker(history_events=0) as broker:

        def connect() -> Connection:
            if not options.url:
                connection = Connection(transport=broker.transport)
            else:
                address = parse_url(options.url)[0]
                connection = Connection(
                    f"{address.host}:{address.port}",
                    address.userid,
                    address.password,
                    virtual_host=address.virtual_host,
                )
            connection.connect()
            return connection

        start = time.perf_counter()
        lines = soak(connect, options.messages)
        print_table([["messages", "resident MiB"], *lines], options.markdown)
        print(f"\nin {time.perf_counter() - start:.0f} s\n")
        headings = ["connections", "objects", "descriptors", "threads", "resident MiB"]
        print_table([headings, *reconnect(connect, options.connections)], options.markdown)


if __name__ == "__main__":
    main()
