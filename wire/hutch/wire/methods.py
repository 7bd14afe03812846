"""Every method of AMQP 0-9-1 and of RabbitMQ's extensions, each declared once.

Sources: the AMQP 0-9-1 specification's class and method reference; for connection.blocked, connection.unblocked,
connection.update-secret, exchange.bind, exchange.unbind, basic.nack, confirm.select and the numbers of basic.recover,
https://www.rabbitmq.com/docs/extensions. Fields the spec reserves are named ``ticket`` or ``reserved_N``.
"""

from typing import Final

from hutch.wire.credit import BasicCredit, BasicCreditDrained, BasicCreditOk
from hutch.wire.declaration import (
    EMPTY_TABLE,
    METHODS,
    Bit,
    Long,
    LongLong,
    LongStr,
    MalformedShortStr,
    Method,
    MethodDecodeError,
    Octet,
    Short,
    ShortStr,
    Table,
    decode_method,
)

__all__ = [
    "EMPTY_TABLE",
    "METHODS",
    "BasicCredit",
    "BasicCreditDrained",
    "BasicCreditOk",
    "MalformedShortStr",
    "Method",
    "MethodDecodeError",
    "decode_method",
]

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"


class ConnectionStart(Method, ids=(10, 10), replies=("ConnectionStartOk",), sent_by="server"):
    """The server's greeting: what it is, and the SASL mechanisms it takes, separated by spaces."""

    version_major: Octet = 0
    version_minor: Octet = 9
    server_properties: Table = EMPTY_TABLE
    mechanisms: LongStr = b"PLAIN"
    locales: LongStr = b"en_US"


class ConnectionStartOk(Method, ids=(10, 11)):
    """The client's mechanism of choice with its first response."""

    client_properties: Table = EMPTY_TABLE
    mechanism: ShortStr = "PLAIN"
    response: LongStr = b""
    locale: ShortStr = "en_US"


class ConnectionSecure(Method, ids=(10, 20), replies=("ConnectionSecureOk",), sent_by="server"):
    """A further SASL challenge."""

    challenge: LongStr


class ConnectionSecureOk(Method, ids=(10, 21)):
    """The response to a SASL challenge."""

    response: LongStr


class ConnectionTune(Method, ids=(10, 30), replies=("ConnectionTuneOk",), sent_by="server"):
    """The limits that the server proposes; ``heartbeat`` in seconds, ``frame_max`` in bytes, 0 for no limit."""

    channel_max: Short = 0
    frame_max: Long = 0
    heartbeat: Short = 0


class ConnectionTuneOk(Method, ids=(10, 31)):
    """The limits that hold; same units as :class:`ConnectionTune`."""

    channel_max: Short = 0
    frame_max: Long = 0
    heartbeat: Short = 0


class ConnectionOpen(Method, ids=(10, 40), replies=("ConnectionOpenOk",)):
    """Open a connection to a virtual host."""

    virtual_host: ShortStr = "/"
    reserved_1: ShortStr = ""
    reserved_2: Bit = False


class ConnectionOpenOk(Method, ids=(10, 41), sent_by="server"):
    """The connection is ready for use."""

    reserved_1: ShortStr = ""


class ConnectionClose(Method, ids=(10, 50), replies=("ConnectionCloseOk",), sent_by="both"):
    """Close the connection; ``class_id`` and ``method_id`` name the method that caused it, 0 and 0 for none."""

    reply_code: Short
    reply_text: ShortStr = ""
    class_id: Short = 0
    method_id: Short = 0


class ConnectionCloseOk(Method, ids=(10, 51), sent_by="both"):
    """The other side has seen the close."""


class ConnectionBlocked(Method, ids=(10, 60), sent_by="server"):
    """The broker runs low on a resource and stops reading from connections that publish."""

    reason: ShortStr = ""


class ConnectionUnblocked(Method, ids=(10, 61), sent_by="server"):
    """The broker reads again."""


class ConnectionUpdateSecret(Method, ids=(10, 70), replies=("ConnectionUpdateSecretOk",)):
    """Give a new secret (an OAuth 2 token) to an open connection."""

    new_secret: LongStr
    reason: ShortStr = ""


class ConnectionUpdateSecretOk(Method, ids=(10, 71), sent_by="server"):
    """The new secret holds."""


class ChannelOpen(Method, ids=(20, 10), replies=("ChannelOpenOk",)):
    """Open a channel."""

    reserved_1: ShortStr = ""


class ChannelOpenOk(Method, ids=(20, 11), sent_by="server"):
    """The channel is ready for use."""

    reserved_1: LongStr = b""


class ChannelFlow(Method, ids=(20, 20), replies=("ChannelFlowOk",), sent_by="both"):
    """Pause or restart the flow of content."""

    active: Bit = True


class ChannelFlowOk(Method, ids=(20, 21), sent_by="both"):
    """The flow is as asked."""

    active: Bit = True


class ChannelClose(Method, ids=(20, 40), replies=("ChannelCloseOk",), sent_by="both"):
    """Close the channel; ``class_id`` and ``method_id`` name the method that caused it, 0 and 0 for none."""

    reply_code: Short
    reply_text: ShortStr = ""
    class_id: Short = 0
    method_id: Short = 0


class ChannelCloseOk(Method, ids=(20, 41), sent_by="both"):
    """The other side has seen the close."""


class AccessRequest(Method, ids=(30, 10), replies=("AccessRequestOk",)):
    """AMQP 0-9's request for an access ticket, which RabbitMQ still answers."""

    realm: ShortStr = "/data"
    exclusive: Bit = False
    passive: Bit = True
    active: Bit = True
    write: Bit = True
    read: Bit = True


class AccessRequestOk(Method, ids=(30, 11), sent_by="server"):
    """The ticket, which nothing asks for."""

    ticket: Short = 1


class ExchangeDeclare(Method, ids=(40, 10), replies=("ExchangeDeclareOk",)):
    """Create an exchange, or verify that one is there."""

    ticket: Short = 0
    exchange: ShortStr = ""
    type: ShortStr = "direct"
    passive: Bit = False
    durable: Bit = False
    auto_delete: Bit = False
    internal: Bit = False
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class ExchangeDeclareOk(Method, ids=(40, 11), sent_by="server"):
    """The exchange is there."""


class ExchangeDelete(Method, ids=(40, 20), replies=("ExchangeDeleteOk",)):
    """Delete an exchange."""

    ticket: Short = 0
    exchange: ShortStr = ""
    if_unused: Bit = False
    nowait: Bit = False


class ExchangeDeleteOk(Method, ids=(40, 21), sent_by="server"):
    """The exchange is gone."""


class ExchangeBind(Method, ids=(40, 30), replies=("ExchangeBindOk",)):
    """Bind an exchange to an exchange."""

    ticket: Short = 0
    destination: ShortStr = ""
    source: ShortStr = ""
    routing_key: ShortStr = ""
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class ExchangeBindOk(Method, ids=(40, 31), sent_by="server"):
    """The binding is there."""


class ExchangeUnbind(Method, ids=(40, 40), replies=("ExchangeUnbindOk",)):
    """Remove a binding between two exchanges."""

    ticket: Short = 0
    destination: ShortStr = ""
    source: ShortStr = ""
    routing_key: ShortStr = ""
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class ExchangeUnbindOk(Method, ids=(40, 51), sent_by="server"):
    """The binding is gone. The id is 51, where one would expect 41."""


class QueueDeclare(Method, ids=(50, 10), replies=("QueueDeclareOk",)):
    """Create a queue, or verify that one is there."""

    ticket: Short = 0
    queue: ShortStr = ""
    passive: Bit = False
    durable: Bit = False
    exclusive: Bit = False
    auto_delete: Bit = False
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class QueueDeclareOk(Method, ids=(50, 11), sent_by="server"):
    """The queue's name, and how many ready messages and consumers it has."""

    queue: ShortStr
    message_count: Long = 0
    consumer_count: Long = 0


class QueueBind(Method, ids=(50, 20), replies=("QueueBindOk",)):
    """Bind a queue to an exchange."""

    ticket: Short = 0
    queue: ShortStr = ""
    exchange: ShortStr = ""
    routing_key: ShortStr = ""
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class QueueBindOk(Method, ids=(50, 21), sent_by="server"):
    """The binding is there."""


class QueuePurge(Method, ids=(50, 30), replies=("QueuePurgeOk",)):
    """Remove a queue's ready messages."""

    ticket: Short = 0
    queue: ShortStr = ""
    nowait: Bit = False


class QueuePurgeOk(Method, ids=(50, 31), sent_by="server"):
    """How many messages were removed."""

    message_count: Long = 0


class QueueDelete(Method, ids=(50, 40), replies=("QueueDeleteOk",)):
    """Delete a queue."""

    ticket: Short = 0
    queue: ShortStr = ""
    if_unused: Bit = False
    if_empty: Bit = False
    nowait: Bit = False


class QueueDeleteOk(Method, ids=(50, 41), sent_by="server"):
    """How many messages went with the queue."""

    message_count: Long = 0


class QueueUnbind(Method, ids=(50, 50), replies=("QueueUnbindOk",)):
    """Remove a binding of a queue."""

    ticket: Short = 0
    queue: ShortStr = ""
    exchange: ShortStr = ""
    routing_key: ShortStr = ""
    arguments: Table = EMPTY_TABLE


class QueueUnbindOk(Method, ids=(50, 51), sent_by="server"):
    """The binding is gone."""


class BasicQos(Method, ids=(60, 10), replies=("BasicQosOk",)):
    """Limit how many deliveries may wait for their acknowledgement."""

    prefetch_size: Long = 0
    prefetch_count: Short = 0
    global_: Bit = False


class BasicQosOk(Method, ids=(60, 11), sent_by="server"):
    """The limit holds."""


class BasicConsume(Method, ids=(60, 20), replies=("BasicConsumeOk",)):
    """Start a consumer."""

    ticket: Short = 0
    queue: ShortStr = ""
    consumer_tag: ShortStr = ""
    no_local: Bit = False
    no_ack: Bit = False
    exclusive: Bit = False
    nowait: Bit = False
    arguments: Table = EMPTY_TABLE


class BasicConsumeOk(Method, ids=(60, 21), sent_by="server"):
    """The consumer's tag, chosen by the server where the client left it empty."""

    consumer_tag: ShortStr


class BasicCancel(Method, ids=(60, 30), replies=("BasicCancelOk",), sent_by="both"):
    """End a consumer; from the server: its queue is gone."""

    consumer_tag: ShortStr
    nowait: Bit = False


class BasicCancelOk(Method, ids=(60, 31), sent_by="both"):
    """The consumer has ended."""

    consumer_tag: ShortStr


class BasicPublish(Method, ids=(60, 40), content=True):
    """Publish a message."""

    ticket: Short = 0
    exchange: ShortStr = ""
    routing_key: ShortStr = ""
    mandatory: Bit = False
    immediate: Bit = False


class BasicReturn(Method, ids=(60, 50), content=True, sent_by="server"):
    """A message that could not be routed comes back."""

    reply_code: Short
    reply_text: ShortStr = ""
    exchange: ShortStr = ""
    routing_key: ShortStr = ""


class BasicDeliver(Method, ids=(60, 60), content=True, sent_by="server"):
    """A message for a consumer."""

    consumer_tag: ShortStr
    delivery_tag: LongLong
    redelivered: Bit = False
    exchange: ShortStr = ""
    routing_key: ShortStr = ""


class BasicGet(Method, ids=(60, 70), replies=("BasicGetOk", "BasicGetEmpty")):
    """Fetch one message."""

    ticket: Short = 0
    queue: ShortStr = ""
    no_ack: Bit = False


class BasicGetOk(Method, ids=(60, 71), content=True, sent_by="server"):
    """The message fetched, and how many ready ones remain."""

    delivery_tag: LongLong
    redelivered: Bit = False
    exchange: ShortStr = ""
    routing_key: ShortStr = ""
    message_count: Long = 0


class BasicGetEmpty(Method, ids=(60, 72), sent_by="server"):
    """There is no ready message."""

    reserved_1: ShortStr = ""


class BasicAck(Method, ids=(60, 80), sent_by="both"):
    """Acknowledge a delivery, or (from the server) a publish."""

    delivery_tag: LongLong = 0
    multiple: Bit = False


class BasicReject(Method, ids=(60, 90)):
    """Refuse a delivery."""

    delivery_tag: LongLong = 0
    requeue: Bit = True


class BasicRecoverAsync(Method, ids=(60, 100)):
    """Redeliver what is unacknowledged; unanswered."""

    requeue: Bit = False


class BasicRecover(Method, ids=(60, 110), replies=("BasicRecoverOk",)):
    """Redeliver what is unacknowledged."""

    requeue: Bit = False


class BasicRecoverOk(Method, ids=(60, 111), sent_by="server"):
    """Redelivery begins."""


class BasicNack(Method, ids=(60, 120), sent_by="both"):
    """Refuse one or several deliveries, or (from the server) publishes."""

    delivery_tag: LongLong = 0
    multiple: Bit = False
    requeue: Bit = True


class ConfirmSelect(Method, ids=(85, 10), replies=("ConfirmSelectOk",)):
    """Have every publish on this channel confirmed."""

    nowait: Bit = False


class ConfirmSelectOk(Method, ids=(85, 11), sent_by="server"):
    """Publishes are confirmed from now on."""


class TxSelect(Method, ids=(90, 10), replies=("TxSelectOk",)):
    """Make the channel transactional."""


class TxSelectOk(Method, ids=(90, 11), sent_by="server"):
    """The channel is transactional."""


class TxCommit(Method, ids=(90, 20), replies=("TxCommitOk",)):
    """Carry out what the transaction holds."""


class TxCommitOk(Method, ids=(90, 21), sent_by="server"):
    """The transaction took effect."""


class TxRollback(Method, ids=(90, 30), replies=("TxRollbackOk",)):
    """Forget what the transaction holds."""


class TxRollbackOk(Method, ids=(90, 31), sent_by="server"):
    """The transaction is forgotten."""
