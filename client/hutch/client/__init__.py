"""An AMQP 0-9-1 client with py-amqp's names, signatures and behaviour.

::

    with Connection("localhost:5672") as connection, connection.channel() as channel:
        channel.queue_declare("orders")
        channel.basic_publish(Message(b"..."), routing_key="orders")
"""

from hutch.client.channel import Channel
from hutch.client.connection import Connection
from hutch.client.exceptions import (
    AccessRefused,
    AMQPError,
    AMQPNotImplementedError,
    ChannelError,
    ChannelNotOpen,
    ConnectionError,  # noqa: A004
    ConnectionForced,
    ConsumerCancelled,
    ContentTooLarge,
    FrameError,
    FrameSyntaxError,
    InternalError,
    InvalidCommand,
    InvalidPath,
    IrrecoverableChannelError,
    IrrecoverableConnectionError,
    MessageNacked,
    NoConsumers,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RecoverableChannelError,
    RecoverableConnectionError,
    ResourceError,
    ResourceLocked,
    UnexpectedFrame,
    error_for_code,
)
from hutch.client.message import Message, ReceivedMessage
from hutch.client.negotiation import VERSION as _VERSION
from hutch.client.promise import promise
from hutch.client.protocol import queue_declare_ok_t
from hutch.client.transports.tcp import TcpTransport
from hutch.client.urls import connect, connection_to

#: py-amqp's name; kombu tells it as the driver's version.
__version__ = _VERSION

__all__ = [
    "AMQPError",
    "AMQPNotImplementedError",
    "AccessRefused",
    "Channel",
    "ChannelError",
    "ChannelNotOpen",
    "Connection",
    "ConnectionError",
    "ConnectionForced",
    "ConsumerCancelled",
    "ContentTooLarge",
    "FrameError",
    "FrameSyntaxError",
    "InternalError",
    "InvalidCommand",
    "InvalidPath",
    "IrrecoverableChannelError",
    "IrrecoverableConnectionError",
    "Message",
    "MessageNacked",
    "NoConsumers",
    "NotAllowed",
    "NotFound",
    "PreconditionFailed",
    "ReceivedMessage",
    "RecoverableChannelError",
    "RecoverableConnectionError",
    "ResourceError",
    "ResourceLocked",
    "TcpTransport",
    "UnexpectedFrame",
    "connect",
    "connection_to",
    "error_for_code",
    "promise",
    "queue_declare_ok_t",
]
