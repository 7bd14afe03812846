"""Values that answers are given in."""

from typing import NamedTuple

__all__ = ["queue_declare_ok_t"]


class queue_declare_ok_t(NamedTuple):  # noqa: N801  (py-amqp's name)
    """What ``queue.declare-ok`` tells: the queue's name, its ready messages, its consumers."""

    queue: str
    message_count: int
    consumer_count: int
