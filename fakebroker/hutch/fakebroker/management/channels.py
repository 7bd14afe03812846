"""What the API reports of a channel (HTTP-SHAPE-07)."""

from typing import Any

from hutch.fakebroker.amqp091.channel_sink import ChannelSink
from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.sinks import Sink
from hutch.fakebroker.management import consumers
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.counts import of_channel


def facts(sink: Sink, connection: Connection, call: Call) -> dict[str, Any]:
    """What the API reports of a channel in a list. ``sink`` is what queues know of it."""
    number, peer = sink.origin.channel or 0, connection.client.peer
    told: dict[str, Any] = {
        "name": f"{connection.name} ({number})",
        "number": number,
        "node": NODE_NAME,
        "user": connection.user,
        "user_who_performed_action": connection.user,
        "vhost": connection.vhost.name,
        "connection_details": {
            "name": connection.name,
            "peer_host": consumers.address(peer.peer_host),
            "peer_port": peer.peer_port,
        },
        "state": "running",
        "consumer_count": len(sink.consumers),
        "messages_unacknowledged": 0,
    }
    if isinstance(sink, ChannelSink) and isinstance(connection, AMQPConnection):
        channel = connection.channels[number]
        shared = sink.shared_limit
        transaction = channel.transaction
        told |= {
            "confirm": channel.confirms is not None,
            "transactional": transaction is not None,
            "prefetch_count": channel.prefetch,
            "messages_unacknowledged": len(sink.unacked),
            "messages_unconfirmed": 0,
            "messages_uncommitted": 0 if transaction is None else len(transaction.publishes),
            "acks_uncommitted": 0 if transaction is None else len(transaction.deliveries),
        }
        if not call.profile.has_detailed_queues:
            told["global_prefetch_count"] = 0 if shared is None else shared.prefetch
    counted = of_channel(call.statistics.of_channel(sink.origin))
    if counted:
        told["message_stats"] = counted
    return told


def single_facts(sink: Sink, connection: Connection, call: Call) -> dict[str, Any]:
    """What the API reports of one channel by itself."""
    details = [consumers.facts(each, call) for each in sink.consumers.values()]
    return {**facts(sink, connection, call), "consumer_details": details, "publishes": [], "deliveries": []}
