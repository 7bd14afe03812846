"""What AMQP clients cost, all of them on the same live broker in one run.

    python benchmarks/clients.py amqp://guest:guest@localhost/

It needs the extra ``benchmarks``. Each number is the CPU time, user and system, of a process that does one job with one
client. All its threads count. The unit is microseconds for each message of 100 bytes, or for each connection. The best
of several rounds comes first, then the worst. The rounds of all clients and jobs are interleaved, so other load on the
machine meets all of them. The ratio is the median of the rounds' ratios. What is measured is in ``peers/``.
``--markdown`` prints the table that docs/performance.md shows.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

from hutch.client import Connection, Message
from hutch.wire.url import parse_url
from peers.job import BODY, CLIENTS
from table import print_table

_JOB_PROGRAM = Path(__file__).parent / "peers" / "job.py"


@dataclass
class Job:
    """One line of the table. ``share`` is the part of the messages that it takes; ``aim`` the ratio to py-amqp."""

    name: str
    what: str
    share: float
    aim: float
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """Whether the messages have to be in the queue before."""
        return self.name in {"consume", "consume_ack", "get"}

    def cells(self, clients: list[str]) -> list[str]:
        """What was done, hutch's ratio and its aim, the times of all clients."""
        ours, theirs = self.times.get("hutch", []), self.times.get("py-amqp", [])
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=False)]
        ratio = f"{median(ratios):.2f}" if ratios else ""
        times = [f"{min(self.times[client]):.1f} ({max(self.times[client]):.1f})" for client in clients]
        return [self.what, ratio, f"{self.aim}", *times]


JOBS = [
    Job("publish", "publish, no confirms", 1, 0.25),
    Job("consume", "consume, no acknowledgements", 1, 0.25),
    Job("consume_ack", "consume, prefetch 500, acknowledge each", 1, 0.25),
    Job("get", "get, one at a time", 0.1, 0.5),
    Job("confirm", "publish, wait for each confirm", 0.1, 0.5),
    Job("connect", "connect and close", 0.04, 0.6),
]


class Queues:
    """Two queues on the broker, one to get warm with and one for the job, with what a job needs in them."""

    def __init__(self, url: str) -> None:
        self._url = url
        address = parse_url(url)[0]
        self._connection = Connection(
            f"{address.host}:{address.port}", address.userid, address.password, virtual_host=address.virtual_host
        )
        self._connection.connect()
        self._channel = self._connection.channel()

    def run(self, client: str, job: Job, count: int) -> float:
        """Have a process of its own do the job ``count`` times; CPU microseconds for each."""
        names = [f"hutch.benchmark.{os.getpid()}.{number}" for number in range(2)]
        for name in names:
            self._channel.queue_declare(name, durable=True, auto_delete=False, arguments={"x-expires": 600_000})
        try:
            if job.reads:
                for name, size in zip(names, (max(1, count // 10), count), strict=True):
                    self._fill(name, size)
            command = [sys.executable, str(_JOB_PROGRAM), client, job.name, str(count), *names, self._url]
            return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        finally:
            for name in names:
                self._channel.queue_delete(name)

    def _fill(self, name: str, size: int) -> None:
        for _ in range(size):
            self._channel.basic_publish(Message(BODY), routing_key=name)
        while (declared := self._channel.queue_declare(name, passive=True)) and declared.message_count < size:
            pass  # the broker takes its time

    def close(self) -> None:
        self._connection.close()


def measure(url: str, clients: list[str], rounds: int, messages: int) -> None:
    """Fill in the times of all jobs."""
    queues = Queues(url)
    for turn in range(rounds):
        for job in JOBS:
            for client in clients[turn % len(clients) :] + clients[: turn % len(clients)]:
                taken = queues.run(client, job, max(1, round(messages * job.share)))
                job.times.setdefault(client, []).append(taken)
    queues.close()


def main(arguments: list[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the live RabbitMQ to use")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--rounds", type=int, default=5, help="how often each number is taken")
    parser.add_argument("--messages", type=int, default=5000, help="messages of the longest job")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS), help="which clients")
    options = parser.parse_args(arguments)
    measure(options.url, options.clients, options.rounds, options.messages)
    headings = ["CPU us, best (worst)", "hutch/py-amqp", "aim", *options.clients]
    table = [headings, *[job.cells(options.clients) for job in JOBS]]
    print_table(table, options.markdown)
    distributions = dict.fromkeys(client.removeprefix("py-").partition(",")[0] for client in options.clients)
    print(f"\nPython {sys.version.split()[0]}, " + ", ".join(f"{name} {version(name)}" for name in distributions))


if __name__ == "__main__":
    main()
