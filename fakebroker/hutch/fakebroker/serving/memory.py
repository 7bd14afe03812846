"""The memory alarm of a served broker (https://www.rabbitmq.com/docs/memory)."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.engine.node import Node

_log = logging.getLogger("hutch.fakebroker")

#: The most bytes that a message takes beside its body.
MESSAGE: Final = 350
#: Seconds between two checks. RabbitMQ checks each second.
_INTERVAL: Final = 0.25


def held_bytes(node: "Node") -> int:
    """About how many bytes the messages in queues take up."""
    return sum(
        queue.held_bytes + MESSAGE * (len(queue) + queue.unacked)
        for vhost in node.vhosts.values()
        for queue in vhost.queues.values()
    )


async def watch_memory(broker: "Broker", limit: int) -> None:
    """Raise the memory alarm while messages take up more than ``limit`` bytes, for ever."""
    is_raised = False
    while True:
        await asyncio.sleep(_INTERVAL)
        held = broker.hub.look(lambda: held_bytes(broker.hub.node))
        if (held > limit) == is_raised:
            continue
        is_raised = not is_raised
        if is_raised:
            _log.warning(
                "memory alarm: messages take up %s bytes, the limit is %s; publishers are blocked", held, limit
            )
            with broker.hub.turn as node:
                node.raise_alarm("memory")
        else:
            _log.warning("memory alarm ends: messages take up %s bytes", held)
            with broker.hub.turn as node:
                node.clear_alarm("memory")
