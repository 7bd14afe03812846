"""The methods of AMQP's class ``basic`` for those who receive; those who publish have :mod:`hutch.client.publish`."""

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any, ClassVar, Final

from hutch.client.abstract_channel import AbstractChannel, Handler, frame_of
from hutch.client.exceptions import ChannelError, ConsumerCancelled, error_for_code
from hutch.client.exchange import Arguments
from hutch.client.link import OnMessage
from hutch.client.message import ReceivedMessage
from hutch.client.waiting import Request
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.frames import END, METHOD
from hutch.wire.methods import (
    EMPTY_TABLE,
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicConsumeOk,
    BasicGet,
    BasicGetEmpty,
    BasicGetOk,
    BasicNack,
    BasicQos,
    BasicQosOk,
    BasicRecover,
    BasicRecoverAsync,
    BasicRecoverOk,
    BasicReject,
    BasicReturn,
)

_log = logging.getLogger("hutch.client")

_pack_ack = Struct(">BHIHHQBB").pack
_ACK_SIZE: Final = 13
_GET_REPLIES: Final = (BasicGetOk, BasicGetEmpty)
_GETS_LIMIT: Final = 64

OnCancel = Callable[[str], object]


class Inbox:
    """What a consumer has got and nobody has taken yet; it is ready when there is something."""

    __slots__ = ("consumer_tag", "error", "followed", "messages")

    def __init__(self) -> None:
        self.messages: deque[ReceivedMessage] = deque()
        self.consumer_tag = ""
        self.error: Exception | None = None
        self.followed = False

    @property
    def ready(self) -> bool:
        """Whether there is a message."""
        return bool(self.messages)

    def cancelled(self, consumer_tag: str) -> None:
        """The broker has ended the consumer."""
        self.error = ConsumerCancelled(consumer_tag, (60, 30))

    def __str__(self) -> str:
        return f"a message for consumer {self.consumer_tag!r}"


class BasicMethods(AbstractChannel):
    """Consuming, fetching and acknowledging (https://www.rabbitmq.com/docs/consumers,
    https://www.rabbitmq.com/docs/confirms).

    Attributes:
        callbacks: who takes the messages of each consumer, by consumer tag.
        cancel_callbacks: functions to call when the broker ends a consumer, by consumer tag.
        no_ack_consumers: the tags of consumers whose messages need no acknowledgement.
        events: functions to call, by event: ``basic_return`` with ``(exception, exchange, routing_key, message)``,
            ``basic_ack`` and ``basic_nack`` with ``(delivery_tag, multiple)``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.callbacks: dict[str, OnMessage | None] = {}
        self.cancel_callbacks: dict[str, OnCancel] = {}
        self.no_ack_consumers: set[str] = set()
        self.events: defaultdict[str, set[Callable[..., object]]] = defaultdict(set)
        self._inboxes: dict[str, Inbox] = {}
        self._gets: dict[tuple[str, bool], bytes] = {}  # encoded

    def basic_consume(
        self,
        queue: str = "",
        consumer_tag: str = "",
        no_local: bool = False,
        no_ack: bool = False,
        exclusive: bool = False,
        nowait: bool = False,
        callback: OnMessage | None = None,
        arguments: Arguments = None,
        on_cancel: OnCancel | None = None,
    ) -> str:
        """Start a consumer and return its tag, the broker's choice where ``consumer_tag`` is empty.

        ``callback`` is called with each message, from within any call that waits; without one they are dropped.
        ``on_cancel`` is called with the tag when the broker ends the consumer; without one ConsumerCancelled is raised.
        ``no_local`` has no effect in RabbitMQ.

        Raises:
            NotFound: there is no such queue.
            AccessRefused: ``exclusive`` where there is a consumer, or the queue has an exclusive one.
            NotAllowed: the tag is in use on this channel; the connection is lost.
            ValueError: ``nowait`` without a tag.
        """
        if nowait and not consumer_tag:
            raise ValueError("with nowait nobody tells the consumer's tag: give one")
        method = BasicConsume(
            queue=queue or "",
            consumer_tag=consumer_tag or "",
            no_local=no_local,
            no_ack=no_ack,
            exclusive=exclusive,
            nowait=nowait,
            arguments=arguments or EMPTY_TABLE,
        )

        def register(consumer_tag: str) -> None:
            self.callbacks[consumer_tag] = callback
            if on_cancel:
                self.cancel_callbacks[consumer_tag] = on_cancel
            if no_ack:
                self.no_ack_consumers.add(consumer_tag)

        if nowait:
            register(consumer_tag)
            self._send(method)
            return consumer_tag
        # Where another thread is reading, deliveries may be handed on before this one has seen the answer.
        return self._call(method, BasicConsumeOk, on_reply=lambda answer: register(answer.consumer_tag)).consumer_tag

    def consume(
        self,
        queue: str = "",
        *,
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Arguments = None,
        timeout: float | None = None,
    ) -> Iterator[ReceivedMessage]:
        """Consume by iterating: ``for message in channel.consume("orders"): ...``. Not in py-amqp.

        The consumer starts with the first message asked for and ends with the loop. Messages that the loop has not
        taken by then go back to their queue, or are lost with ``no_ack``. Acknowledge each message with
        :meth:`basic_ack`, except with ``no_ack``. :meth:`basic_qos` limits how many are sent ahead.

        Args:
            queue: the queue's name.
            no_ack: the broker does not wait for acknowledgements.
            exclusive: allow no other consumer.
            arguments: ``x-priority`` and the like.
            timeout: seconds without a message after which the iteration ends. By default it does not end. If the
                connection has a ``read_timeout``, a longer wait raises TimeoutError.

        Raises:
            ConsumerCancelled: the broker has ended the consumer, because the queue was deleted for one.
            RuntimeError: in a consumer's callback, where no deliveries come.
            AMQPError, OSError: as :meth:`basic_consume`, and as waiting does.
        """
        inbox = Inbox()
        messages = inbox.messages
        if self._opened("consume").in_callback:
            raise RuntimeError("consume: no deliveries come within a consumer's callback")
        inbox.consumer_tag = tag = self.basic_consume(
            queue,
            no_ack=no_ack,
            exclusive=exclusive,
            callback=messages.append,
            arguments=arguments,
            on_cancel=inbox.cancelled,
        )
        self._inboxes[tag] = inbox
        try:
            while True:
                if not messages:
                    try:
                        self._opened("consume").wait_for(inbox, timeout)
                    except TimeoutError:
                        if timeout is None:
                            raise
                        return
                yield messages.popleft()
        finally:
            self._inboxes.pop(tag, None)
            if tag in self.callbacks and self._link is not None:
                self.basic_cancel(tag)
                for message in () if no_ack else messages:
                    self.basic_reject(message.delivery_tag, requeue=True)

    def _fail_inboxes(self, error: Exception) -> None:
        if self._inboxes:
            for inbox in tuple(self._inboxes.values()):
                inbox.error = error

    def basic_cancel(self, consumer_tag: str, nowait: bool = False) -> str | None:
        """End a consumer and return its tag, or ``None`` with ``nowait``.

        Messages already on their way are still handed to its callback, before this returns or, where a callback calls
        it, in later waits. Cancelling on a closed channel does nothing, and so does cancelling what is no consumer.
        """
        if self.connection is None:
            return None
        self.no_ack_consumers.discard(consumer_tag)
        method = BasicCancel(consumer_tag, nowait)
        if nowait:
            self._send(method)
            return None
        return self._call(method, BasicCancelOk).consumer_tag

    def basic_get(self, queue: str = "", no_ack: bool = False) -> ReceivedMessage | None:
        """Fetch one message; ``None`` if the queue has none ready.

        Its ``delivery_info`` has ``message_count``, how many more are ready, and no consumer tag.

        Raises:
            NotFound: there is no such queue.
            ResourceLocked: it is exclusive to another connection.
        """
        link = self._opened("basic.get")
        frame = self._gets.get((queue, no_ack))
        if frame is None:
            if len(self._gets) >= _GETS_LIMIT:
                self._gets.clear()
            frame = self._gets[queue, no_ack] = frame_of(BasicGet(queue=queue or "", no_ack=no_ack), self._number)
        request = Request("basic.get", _GET_REPLIES)
        with link.requesting:
            self._requests.append(request)
            link.send(frame)
        link.wait_for(request, None)
        content = request.content
        if content is None or not isinstance(content.method, BasicGetOk):
            return None
        got = content.method
        message = ReceivedMessage(self, content.body, content.properties, got.delivery_tag)
        message.delivery_info = {
            "delivery_tag": got.delivery_tag,
            "redelivered": got.redelivered,
            "exchange": got.exchange,
            "routing_key": got.routing_key,
            "message_count": got.message_count,
        }
        if self.auto_decode:
            message.decode_body()
        return message

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge a delivery; with ``multiple`` all up to it that are open, or all there are for tag 0.

        An unknown tag closes the channel with PreconditionFailed, as the next call that waits will tell.
        """
        link = self._link
        if link is None:
            link = self._opened("basic.ack")
        try:
            frame = _pack_ack(METHOD, self._number, _ACK_SIZE, 60, 80, delivery_tag, 1 if multiple else 0, END)
        except StructError:
            raise TypeError(f"a delivery tag is a number of 64 bits, not {delivery_tag!r}") from None
        link.send(frame)

    def basic_nack(self, delivery_tag: int, multiple: bool = False, requeue: bool = True) -> None:
        """Refuse a delivery; with ``multiple`` all up to it that are open (https://www.rabbitmq.com/docs/nack).

        Unless ``requeue``, the messages are dead-lettered or dropped. Not in py-amqp.
        """
        self._send(BasicNack(delivery_tag, multiple, requeue))

    def basic_reject(self, delivery_tag: int, requeue: bool) -> None:
        """Refuse a delivery: back into its queue, or else dead-lettered or dropped."""
        self._send(BasicReject(delivery_tag, requeue))

    def basic_recover(self, requeue: bool = False) -> None:
        """Have the broker requeue what is unacknowledged on this channel; its answer is not awaited, as in py-amqp.

        RabbitMQ implements ``requeue=True`` alone, and closes the connection with AMQPNotImplementedError otherwise.
        """
        self._post(BasicRecover(requeue), BasicRecoverOk)

    def basic_recover_async(self, requeue: bool = False) -> None:
        """:meth:`basic_recover` by a method that has no answer."""
        self._send(BasicRecoverAsync(requeue))

    def basic_qos(self, prefetch_size: int, prefetch_count: int, a_global: bool) -> None:
        """Limit how many deliveries may be unacknowledged (https://www.rabbitmq.com/docs/consumer-prefetch).

        The limit is for each consumer started from now on, with ``a_global`` for the channel as a whole; 0 is no limit.
        RabbitMQ knows no limit by size: with a ``prefetch_size`` it ends the connection (AMQPNotImplementedError).
        """
        self._call(BasicQos(prefetch_size, prefetch_count, a_global), BasicQosOk)

    def receive_delivery(self, message: ReceivedMessage, consumer_tag: str) -> None:
        """Take a delivery to the consumer's callback. The link calls it."""
        if self.auto_decode and message.has_encoding():
            message.decode_body()
        try:
            callback = self.callbacks[consumer_tag]
        except KeyError:
            _log.warning("no consumer %r: its message %s goes back to its queue", consumer_tag, message.delivery_tag)
            self.basic_reject(message.delivery_tag, requeue=True)
            return
        if callback is None:
            return
        link = self._link
        if link is None:
            link = self._opened("basic.deliver")
        link.deliver(callback, message)

    def _on_cancel(self, cancel: BasicCancel, _content: Content | None) -> None:
        on_cancel = self._forget_consumer(cancel.consumer_tag)
        if not cancel.nowait:
            self._send(BasicCancelOk(cancel.consumer_tag))
        if on_cancel is None:
            raise ConsumerCancelled(cancel.consumer_tag, (60, 30))
        on_cancel(cancel.consumer_tag)

    def _on_cancel_ok(self, cancelled: BasicCancelOk, _content: Content | None) -> None:
        self._forget_consumer(cancelled.consumer_tag)

    def _forget_consumer(self, consumer_tag: str) -> OnCancel | None:
        self.no_ack_consumers.discard(consumer_tag)
        self.callbacks.pop(consumer_tag, None)
        return self.cancel_callbacks.pop(consumer_tag, None)

    def _on_return(self, returned: BasicReturn, content: Content | None) -> None:
        error = error_for_code(returned.reply_code, returned.reply_text, (60, 50), ChannelError)
        listeners = self.events.get("basic_return")
        if not listeners or content is None:
            raise error
        message = ReceivedMessage(None, content.body, content.properties)
        if self.auto_decode:
            message.decode_body()
        for listener in tuple(listeners):
            listener(error, returned.exchange, returned.routing_key, message)

    HANDLERS: ClassVar[Mapping[type[Method], Handler]] = {
        BasicCancel: _on_cancel,
        BasicCancelOk: _on_cancel_ok,
        BasicReturn: _on_return,
    }
