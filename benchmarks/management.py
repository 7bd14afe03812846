"""What the management API costs messages while it is open.

    python benchmarks/management.py

The API is open on one of two brokers in this process, which take turns. The ratio is that of their best rounds, so it
does not depend on the machine.
"""

import argparse
import time
from collections.abc import Callable

from hutch.client import Connection, Message, ReceivedMessage
from hutch.fakebroker import Broker
from table import print_table

_BODY = b"x" * 100


def _rounds(broker: Broker, count: int) -> Callable[[], float]:
    """Puts messages through, one at a time: published, delivered, acknowledged. Returns microseconds for each."""
    connection = Connection(transport=broker.transport)
    connection.connect()
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).queue

    def on_message(message: ReceivedMessage) -> None:
        channel.basic_ack(message.delivery_tag)

    channel.basic_consume(queue, callback=on_message)

    def run() -> float:
        start = time.perf_counter()
        for _ in range(count):
            channel.basic_publish(Message(_BODY), routing_key=queue)
            connection.drain_events(timeout=10)
        return (time.perf_counter() - start) / count * 1e6

    return run


def _compare(count: int, rounds: int) -> list[list[str]]:
    # As hutch serve, they keep no history.
    with Broker(history_events=0) as closed, Broker(history_events=0) as opened:
        opened.listen_management()
        runs = (_rounds(closed, count), _rounds(opened, count))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for run, taken in zip(runs, times, strict=True):
                taken.append(run())
        without, with_it = map(min, times)
    return [
        ["a message in-process, one at a time", "us"],
        ["without the API", f"{without:.1f}"],
        ["with the API open", f"{with_it:.1f}"],
        ["ratio", f"{with_it / without:.3f}"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="messages in a round (default: 5000)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds, of which the best counts (default: 10)")
    parser.add_argument("--markdown", action="store_true", help="print tables for a page")
    options = parser.parse_args()
    print_table(_compare(options.count, options.rounds), options.markdown)


if __name__ == "__main__":
    main()
