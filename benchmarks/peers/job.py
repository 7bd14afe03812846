"""What every client does, and how long it took.

    python benchmarks/peers/job.py CLIENT JOB COUNT WARM_QUEUE QUEUE URL

It does a tenth of the job on the first queue to get warm, then all of it on the second. It prints the CPU time of this
process, all its threads, in microseconds for each message (or connection).
"""

import gc
import importlib
import sys
import time
from pathlib import Path
from typing import Protocol

BODY = b"x" * 100
PREFETCH = 500

#: Where each client's jobs are, by the name that the table shows.
CLIENTS = {
    "hutch": "py_amqp:Hutch",
    "py-amqp": "py_amqp:PyAmqp",
    "pika": "pika_blocking:Pika",
    "pika, select": "pika_select:PikaSelect",
    "amqpstorm": "amqpstorm:AmqpStorm",
    "rabbitpy": "rabbitpy:RabbitPy",
    "aio-pika": "aio_pika:AioPika",
}


class Jobs(Protocol):
    """The jobs of one client, made with a broker's URL. Each does ``count`` of something and then returns."""

    def publish(self, queue: str, count: int) -> None:
        """Publish without confirms, then wait for an answer, so that all has left this process."""

    def consume(self, queue: str, count: int) -> None:
        """Consume without acknowledgements, until ``count`` messages have come."""

    def consume_ack(self, queue: str, count: int) -> None:
        """Consume with a prefetch of 500, acknowledging each message."""

    def get(self, queue: str, count: int) -> None:
        """Fetch one message after the other, without acknowledgements."""

    def confirm(self, queue: str, count: int) -> None:
        """Publish one message after the other, waiting for each one's confirm."""

    def connect(self, queue: str, count: int) -> None:
        """Connect and close again."""


def jobs_of(client: str, url: str) -> Jobs:
    """The jobs of a client; nothing but that client is imported."""
    module, _, name = CLIENTS[client].partition(":")
    jobs: Jobs = getattr(importlib.import_module(f"peers.{module}"), name)(url)
    return jobs


def measure(client: str, job: str, count: int, warm_queue: str, queue: str, url: str) -> float:
    """CPU microseconds for one of ``count``."""
    run = getattr(jobs_of(client, url), job)
    run(warm_queue, max(1, count // 10))
    gc.collect()
    start = time.process_time()
    run(queue, count)
    return (time.process_time() - start) / count * 1e6


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    client, job, count, *places = sys.argv[1:]
    print(measure(client, job, int(count), *places), flush=True)
