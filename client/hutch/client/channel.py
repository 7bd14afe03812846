"""Channels: several conversations over one connection (https://www.rabbitmq.com/docs/channels)."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from queue import Queue
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hutch.client.abstract_channel import Handler, frame_of
from hutch.client.compat.raw_methods import RawMethods
from hutch.client.exceptions import AMQPError, ChannelError, MethodSig, RecoverableConnectionError, error_for_code
from hutch.client.exchange import ExchangeMethods
from hutch.client.late import published_where, tell_cause
from hutch.client.message import ReceivedMessage
from hutch.client.promise import Thenable, break_promise, ensure_promise
from hutch.client.publish import PublishMethods
from hutch.client.queue import QueueMethods
from hutch.client.read_lock import Awaited
from hutch.client.tx import TxMethods
from hutch.client.waiting import Request
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.methods import (
    METHODS,
    BasicAck,
    BasicDeliver,
    BasicPublish,
    ChannelClose,
    ChannelCloseOk,
    ChannelFlow,
    ChannelFlowOk,
    ChannelOpen,
    ChannelOpenOk,
    ConfirmSelect,
)

if TYPE_CHECKING:
    from hutch.client.connection import Connection
    from hutch.client.link import Link

_log = logging.getLogger("hutch.client")

#: Seconds to wait for a channel that opens itself anew. It may be used before that, for requests keep their order.
_REOPEN_TIMEOUT: Final = 1.0


class Channel(ExchangeMethods, QueueMethods, PublishMethods, TxMethods, RawMethods):
    """A channel, made and opened by :meth:`Connection.channel`.

    When the broker closes it for an error, the channel opens itself anew before the error is raised. It can be used
    again, but consumers, unacknowledged messages, prefetch, confirm mode and transactions are gone.

    Every method raises RecoverableConnectionError once channel or connection are closed, OSError when the connection is
    lost meanwhile, and TimeoutError when an answer is not there within the connection's ``read_timeout``.

    Attributes:
        is_open: whether it is open.
        active: whether the broker lets content flow (``channel.flow``).
        on_open: a promise, fulfilled with the channel each time it has been opened.
    """

    def __init__(
        self,
        connection: "Connection",
        channel_id: int | None = None,
        auto_decode: bool = True,
        on_open: "Callable[[Channel], object] | Thenable | None" = None,
    ) -> None:
        """Take number ``channel_id``, or the lowest free one; :meth:`open` is for the caller to call."""
        super().__init__(connection, connection.claim_channel_id(channel_id))
        self._owner = connection
        self._link = connection.link
        connection.add_channel(self)
        self.auto_decode = auto_decode
        self.is_open = False
        self.active = True
        self._reopened_for: str | None = None
        self._on_open = ensure_promise(on_open) if on_open is not None else None
        if connection.confirm_publish:
            self.basic_publish = self.basic_publish_confirm  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"<Channel {self._number}{'' if self.is_open else ' (closed)'} of {self.connection}>"

    @cached_property
    def returned_messages(self) -> "Queue[Any]":
        """Always empty, as in py-amqp: for messages that came back there is :attr:`events`."""
        return Queue()

    def open(self) -> None:
        """Open it on the broker; an open channel stays as it is."""
        if self.is_open:
            return
        try:
            self._call(ChannelOpen(), ChannelOpenOk)
        except Exception as error:
            break_promise(self.on_open, error)
            raise

    def _on_open_ok(self, _opened: ChannelOpenOk, _content: Content | None) -> None:
        self.is_open = True
        self._tell_open()

    def close(self, reply_code: int = 0, reply_text: str = "", method_sig: MethodSig = (0, 0)) -> None:
        """Close it, with a reason if there is one; a closed channel stays closed.

        Unacknowledged messages go back to their queues, and what was received and not yet handed on is dropped.
        """
        if not self.is_open or self._link is None:
            return
        self.is_closing = True
        self._forget_what_is_open(self._link)
        try:
            self._call(ChannelClose(reply_code, reply_text, *method_sig), ChannelCloseOk)
        finally:
            self.is_open = False
            self.connection = None
            self._link = None

    def _forget_what_is_open(self, link: "Link") -> None:
        link.forget_deliveries(self)
        if self._requests or self._waits:
            self._fail_requests(RecoverableConnectionError("the channel was closed meanwhile"))

    def abandon(self) -> None:
        """Close it without waiting, after an :meth:`open` that failed; its number is free once the broker answers."""
        if self._link is None:
            if self.connection is not None:  # it was never open
                self.collect()
            return
        self.is_closing = True
        self.is_open = False
        self._forget_what_is_open(self._link)
        with suppress(OSError, AMQPError):  # then the connection is lost, and the channel with it
            self._post(ChannelClose(0, "", 0, 0), ChannelCloseOk)

    def _on_close_ok(self, _closed: ChannelCloseOk, _content: Content | None) -> None:
        self.is_closing = False
        self.collect()

    def _on_close(self, close: ChannelClose, _content: Content | None) -> None:
        link = self._owner.link
        if link is None:
            return
        link.forget_deliveries(self)
        if self.is_closing:
            link.send(frame_of(ChannelCloseOk(), self._number))
            return
        method_sig = (close.class_id, close.method_id)
        error = error_for_code(close.reply_code, close.reply_text, method_sig, ChannelError)
        self._explain(error, close)
        waits: list[Awaited] = [*self._requests, *self._waits, *self._confirms.values(), *self._inboxes.values()]
        followed = any(awaited.followed for awaited in waits)
        reopening = Request(ChannelOpen.NAME, (ChannelOpenOk,))
        with link.requesting:
            # In one piece: another thread may be publishing, which between the two would end the connection.
            link.send(frame_of(ChannelCloseOk(), self._number) + frame_of(ChannelOpen(), self._number))
            self._fail_requests(error)
            self._fail_confirms(error)
            self._fail_inboxes(error)
            self.is_open = False
            self._requests.append(reopening)
        try:
            link.wait_for(reopening, _REOPEN_TIMEOUT, defer=True)
        except TimeoutError:
            _log.debug("channel %d: reopening takes its time", self._number)
        if not followed:  # else it is told to another thread, which waits on this channel
            raise error

    def _explain(self, error: AMQPError, close: ChannelClose) -> None:
        """Note what is known of an error's cause, unless the call that caused it is the one it comes out of."""
        cause = METHODS.get(close.class_id << 16 | close.method_id)
        hints = []
        if cause is None:
            tell_cause(error, f"the broker itself, on channel {self._number}")
        elif not self.awaits(cause.NAME):
            where = f"{cause.NAME} on channel {self._number}"
            if cause is BasicPublish:
                where += published_where({key[:2] for key in self._methods}, close.reply_text)
            if "unknown delivery tag" in close.reply_text:
                hints = self._why_tags_are_unknown()
            tell_cause(error, where, hints)
        self._reopened_for = str(error)

    def _why_tags_are_unknown(self) -> list[str]:
        hints = ["a delivery is acknowledged once, and on the channel that it came on"]
        if self._reopened_for is not None:
            hints.append(f"this channel was opened anew, which ends older deliveries, after {self._reopened_for}")
        if self.no_ack_consumers:
            tags = " or ".join(sorted(map(repr, self.no_ack_consumers)))
            hints.append(f"deliveries to consumer {tags} are not to be acknowledged (no_ack)")
        return hints

    def awaits(self, name: str) -> bool:
        """Whether a method of that name was sent by a call that waits for its answer, or confirm, now."""
        return super().awaits(name) or (name == BasicPublish.NAME and bool(self._confirms))

    @property
    def closed_text(self) -> str:
        """The text of the error that a call raises when the channel or its connection is closed."""
        return self._owner.closed_text if self._owner.link is None else "channel already closed"

    def collect(self) -> None:
        """Forget everything without a word to the broker."""
        self.is_open = False
        self.channel_id = None
        self.connection = None
        self._link = None
        self._owner.remove_channel(self._number)
        gone = RecoverableConnectionError("connection already closed")
        if self._requests or self._waits:
            self._fail_requests(gone)
        self._fail_confirms(gone)
        self._fail_inboxes(gone)
        self.callbacks.clear()
        self.cancel_callbacks.clear()
        self.events.clear()
        self.no_ack_consumers.clear()

    def _note_sent(self, method: Method) -> None:
        if isinstance(method, ConfirmSelect):
            if not self._confirm_selected:
                self._confirm_selected = True
                self._published = 0
        elif isinstance(method, BasicPublish) and self._confirm_selected:
            self._published += 1

    def _listen_in(self) -> None:
        """While somebody waits for a delivery or a confirm by its ids, put ears on the paths that these have."""
        kinds = {kind for waiting in self._waits for kind in waiting.kinds}
        for kind, name, ear in (
            (BasicAck, "receive_ack", self._hear_ack),
            (BasicDeliver, "receive_delivery", self._hear_delivery),
        ):
            if kind in kinds:
                self.__dict__[name] = ear
            else:
                self.__dict__.pop(name, None)

    def _hear_ack(self, delivery_tag: int, multiple: bool) -> None:
        type(self).receive_ack(self, delivery_tag, multiple)
        self._hear(BasicAck(delivery_tag, multiple), None)

    def _hear_delivery(self, message: ReceivedMessage, consumer_tag: str) -> None:
        type(self).receive_delivery(self, message, consumer_tag)
        self._hear(BasicDeliver(**(message.delivery_info or {})), message)

    def _hear(self, method: Method, message: ReceivedMessage | None) -> None:
        waiting = self._waiting_for(type(method))
        if waiting is not None:
            self._waits.remove(waiting)
            waiting.take(method, message)

    def flow(self, active: bool) -> None:
        """Ask the broker to pause (``False``) or restart deliveries on this channel.

        RabbitMQ refuses ``False`` with AMQPNotImplementedError, which ends the connection.
        """
        self._call(ChannelFlow(active), ChannelFlowOk)

    def _on_flow(self, flow: ChannelFlow, _content: Content | None) -> None:
        self.active = flow.active
        self._send(ChannelFlowOk(flow.active))

    _CLOSES: ClassVar = frozenset({ChannelClose, ChannelCloseOk})
    HANDLERS: ClassVar[Mapping[type[Method], Handler]] = {
        **PublishMethods.HANDLERS,
        ChannelOpenOk: _on_open_ok,
        ChannelClose: _on_close,
        ChannelCloseOk: _on_close_ok,
        ChannelFlow: _on_flow,
    }
