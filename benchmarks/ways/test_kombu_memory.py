"""kombu's transport memory://."""

import kombu


def test_empty() -> None:
    pass


def test_in_process() -> None:
    with kombu.Connection("memory://") as connection, connection.SimpleQueue("orders") as queue:
        queue.put("order 17")
        message = queue.get(timeout=5)
        assert message.payload == "order 17"
        message.ack()
