"""RabbitMQ's credit for consumers, made for its AMQP 1.0 plugin. 3.10 and 4.3 know the numbers of these methods, though
4.3 does nothing for them. Seen on live brokers; no page documents them.
"""

from hutch.wire.declaration import Bit, Long, Method, ShortStr


class BasicCredit(Method, ids=(60, 200), replies=("BasicCreditOk",)):
    """Give a consumer so many more deliveries; with ``drain``, have what there are no messages for taken back."""

    consumer_tag: ShortStr = ""
    credit: Long = 0
    drain: Bit = False


class BasicCreditOk(Method, ids=(60, 201), sent_by="server"):
    """How many messages are ready."""

    available: Long = 0


class BasicCreditDrained(Method, ids=(60, 202), sent_by="server"):
    """What was taken back."""

    consumer_tag: ShortStr = ""
    credit_drained: Long = 0
