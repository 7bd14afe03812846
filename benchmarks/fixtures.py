"""What a test costs that connects, declares, publishes, gets and acknowledges, with hutch and with other ways; and a
restore.

    python benchmarks/fixtures.py --live amqp://guest:guest@localhost/ --rabbitmqctl /usr/sbin/rabbitmqctl

Real time of a test with its fixtures, less that of an empty test of the same run; the best of all tests, and the
median. Each way has a process, in which the tests of several kinds run in turn. ``--live`` adds a live RabbitMQ, and
``--rabbitmqctl`` pytest-rabbitmq on it, which deletes all queues and exchanges of its virtual host / behind each test.
``--markdown`` prints the tables that docs/performance.md shows.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from hutch.client import Connection, Message
from hutch.fakebroker import Broker, ManualClock
from table import print_table

WAYS = Path(__file__).parent / "ways"
#: What the figures of a test file are called, and what they may be, us.
ROWS = {
    "test_hutch.py": {
        "test_in_process": ("hutch, `fakebroker`, in-process", "750 us"),
        "test_in_process_session": ("hutch, `fakebroker_session`, in-process", ""),
        "test_tcp": ("hutch, `fakebroker`, py-amqp over TCP", ""),
        "test_tcp_session": ("hutch, `fakebroker_session`, py-amqp over TCP", ""),
    },
    "test_kombu_memory.py": {"test_in_process": ("kombu, `memory://`", "")},
    "test_faststream.py": {"test_in_process": ("FastStream, `TestRabbitBroker`", "")},
    "test_live.py": {"test_tcp": ("live RabbitMQ, py-amqp", "")},
    "test_pytest_rabbitmq.py": {"test_tcp": ("pytest-rabbitmq, pika", "")},
}


def run(file: str, tests: int, environment: Mapping[str, str], *arguments: str) -> dict[str, tuple[float, float]]:
    """The figures of one file: best and median by the name of a test function."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        *[f"--{name}={WAYS}" for name in ("rootdir", "confcutdir")],
        *arguments,
    ]
    done = subprocess.run(
        [*command, str(WAYS / file)],
        env={**os.environ, **environment, "TESTS": str(tests + 1), "PYTHONPATH": str(WAYS.parent)},
        cwd=WAYS,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("times: ")]
    if done.returncode or not lines:
        raise SystemExit(f"{file} failed:\n{done.stdout}{done.stderr}")
    figures: dict[str, tuple[float, float]] = json.loads(lines[0].removeprefix("times: "))
    return figures


def rows_of(file: str, figures: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    """Lines of the table: what each kind of test costs more than an empty one."""
    best_empty, median_empty = figures["test_empty"]
    return [
        [what, f"{figures[name][0] - best_empty:,.0f} us", f"{figures[name][1] - median_empty:,.0f} us", aim]
        for name, (what, aim) in ROWS[file].items()
    ]


def restores(rounds: int) -> list[list[str]]:
    """Lines of the table: what a restore costs with ten queues, each bound to an exchange."""
    with Broker(clock=ManualClock()) as broker, Connection(transport=broker.transport) as connection:
        channel = connection.channel()
        queues = [f"queue {number}" for number in range(10)]
        for queue in queues:
            channel.queue_declare(queue, durable=True, auto_delete=False)
            channel.queue_bind(queue, "amq.topic", f"key.{queue}")
        snapshot = broker.snapshot()

        def change_messages() -> None:
            for queue in queues:
                channel.basic_publish(Message(b"order 17"), routing_key=queue)

        def change_topology() -> None:
            channel.queue_delete(queues[3])
            channel.queue_declare("new", durable=True, auto_delete=False)
            channel.queue_bind("new", "amq.topic", "key.new")
            channel.exchange_declare("events", "topic", durable=True, auto_delete=False)

        def measured(what: str, change: Callable[[], None], aim: str) -> list[str]:
            times = []
            for _ in range(rounds):
                change()
                start = time.perf_counter()
                broker.restore(snapshot)
                times.append((time.perf_counter() - start) * 1e6)
            return [what, f"{min(times):,.0f} us", f"{median(times):,.0f} us", aim]

        return [
            measured("a restore of ten queues, messages changed", change_messages, "300 us"),
            measured("a restore of ten queues, topology changed", change_topology, "1,000 us"),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", metavar="URL", help="a live RabbitMQ")
    parser.add_argument("--rabbitmqctl", metavar="PATH", help="of that RabbitMQ, which has nothing worth keeping")
    parser.add_argument("--tests", type=int, default=300, help="how many tests of each kind (default: 300)")
    parser.add_argument("--only-hutch", action="store_true", help="without kombu and FastStream")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    options = parser.parse_args()
    plain = ["-p", "no:cacheprovider", "-p", "no:rabbitmq"]
    empty, _ = run("test_nothing.py", options.tests, {}, *plain)["test_empty"]
    without, _ = run("test_nothing.py", options.tests, {}, *plain, "-p", "no:hutch")["test_empty"]
    rows = rows_of("test_hutch.py", run("test_hutch.py", options.tests, {}, *plain))
    if not options.only_hutch:
        for file in ("test_kombu_memory.py", "test_faststream.py"):
            rows += rows_of(file, run(file, options.tests, {}, *plain))
    if options.live:
        live = {"RABBITMQ": options.live}
        rows += rows_of("test_live.py", run("test_live.py", options.tests, live, *plain))
        if options.rabbitmqctl:
            live["RABBITMQCTL"] = options.rabbitmqctl
            rows += rows_of("test_pytest_rabbitmq.py", run("test_pytest_rabbitmq.py", 5, live, *plain[:2]))
    headings = ["", "best", "median", "aim"]
    print(f"An empty test takes {empty:.0f} us, and {without:.0f} us without hutch's plugin.")
    print("A test with one message takes so much more:\n")
    print_table([headings, *rows], options.markdown)
    print()
    print_table([headings, *restores(options.tests)], options.markdown)


if __name__ == "__main__":
    main()
