"""py-amqp, unmodified, on ``hutch serve`` and on a live RabbitMQ: messages a second, and how long a basic.get takes.

    python benchmarks/served.py amqp://guest:guest@localhost/

Real time, with both brokers' own, the best of several rounds in turn.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import amqp

from hutch.wire.url import parse_url
from table import print_table

_BODY = b"x" * 100


def _connect(url: str) -> amqp.Connection:
    address = parse_url(url)[0]
    connection = amqp.Connection(
        f"{address.host}:{address.port}", address.userid, address.password, virtual_host=address.virtual_host
    )
    connection.connect()
    return connection


def _through(connection: amqp.Connection, count: int) -> float:
    """Messages a second that are published, delivered and acknowledged, a hundred under way at a time."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    acked = 0

    def on_message(message: Any) -> None:
        nonlocal acked
        channel.basic_ack(message.delivery_tag)
        acked += 1

    channel.basic_consume(queue, callback=on_message)
    start = time.perf_counter()
    for published in range(count):
        channel.basic_publish(amqp.Message(_BODY), routing_key=queue)
        while acked < published - 100:
            connection.drain_events(timeout=30)
    while acked < count:
        connection.drain_events(timeout=30)
    taken = time.perf_counter() - start
    channel.close()
    return count / taken


def _get(connection: amqp.Connection, count: int) -> float:
    """Microseconds of a basic.get that brings a message."""
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue
    for _ in range(count):
        channel.basic_publish(amqp.Message(_BODY), routing_key=queue)
    channel.queue_declare(queue, passive=True)
    start = time.perf_counter()
    for _ in range(count):
        while channel.basic_get(queue, no_ack=True) is None:
            pass
    taken = time.perf_counter() - start
    channel.close()
    return taken / count * 1e6


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the live RabbitMQ to compare with")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--rounds", type=int, default=7, help="how often each number is taken")
    options = parser.parse_args()
    command = [str(Path(sys.executable).with_name("hutch")), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ours = next(word for word in process.stdout.readline().split() if word.startswith("amqp://"))
        connections = {"hutch": _connect(ours), "RabbitMQ": _connect(options.url)}
        rates: dict[str, list[float]] = {name: [] for name in connections}
        gets: dict[str, list[float]] = {name: [] for name in connections}
        for _ in range(options.rounds):
            for name, connection in connections.items():
                rates[name].append(_through(connection, 3000))
                gets[name].append(_get(connection, 500))
        for connection in connections.values():
            connection.close()
        process.terminate()
        process.stdout.read()
    rate, theirs = max(rates["hutch"]), max(rates["RabbitMQ"])
    got, theirs_got = min(gets["hutch"]), min(gets["RabbitMQ"])
    rows = [
        ["py-amqp over TCP", "hutch serve", "RabbitMQ", "ratio", "aim"],
        ["published, delivered, acknowledged", f"{rate:.0f}/s", f"{theirs:.0f}/s", f"{rate / theirs:.2f}", ">= 1"],
        ["basic.get, real time", f"{got:.0f} us", f"{theirs_got:.0f} us", f"{got / theirs_got:.2f}", "<= 1"],
    ]
    print_table(rows, options.markdown)


if __name__ == "__main__":
    main()
