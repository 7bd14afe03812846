"""Publishing, and the broker's confirms."""

from collections.abc import Mapping
from struct import Struct
from typing import Any, ClassVar, Final

from hutch.client.abstract_channel import Handler, frame_of
from hutch.client.basic import BasicMethods
from hutch.client.exceptions import AMQPError, MessageNacked, RecoverableConnectionError
from hutch.client.late import tell_noticed
from hutch.client.link import Data, Link
from hutch.client.message import Message
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.frames import BODY, END, HEADER, OVERHEAD, content_frames, content_header, content_pieces
from hutch.wire.methods import BasicNack, BasicPublish, ConfirmSelect, ConfirmSelectOk
from hutch.wire.properties import NO_PROPERTIES

_pack_bare_content = Struct(">BHIHHQHBBHI").pack
_pack_header = Struct(">BHIHHQ").pack
_pack_body_start = Struct(">BBHI").pack
_END = bytes((END,))
_HEADER_SIZE: Final = 12
_METHODS_LIMIT: Final = 1024
_NOT_SENT: Final = "by a basic.publish, which did not send its message"


class Confirm:
    """A confirm that is waited for: of the message with ``delivery_tag``, counted from 1 on its channel."""

    __slots__ = ("delivery_tag", "error", "followed", "nacked", "ready")

    def __init__(self, delivery_tag: int) -> None:
        self.delivery_tag = delivery_tag
        self.nacked = False
        self.ready = False
        self.followed = False
        self.error: Exception | None = None

    def __str__(self) -> str:
        return f"the confirm of message {self.delivery_tag} on its channel"


class PublishMethods(BasicMethods):
    """``basic.publish`` and publisher confirms (https://www.rabbitmq.com/docs/confirms)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._methods: dict[tuple[str, str, bool, bool], bytes] = {}
        self._confirm_selected = False
        self._published = 0
        self._confirms: dict[int, Confirm] = {}

    def basic_publish(
        self,
        msg: Message,
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,
        immediate: bool = False,
        timeout: float | None = None,
        confirm_timeout: float | None = None,  # noqa: ARG002  (for basic_publish_confirm, which may stand in)
    ) -> None:
        """Publish a message to an exchange, by default the nameless one, whose routing key is a queue's name.

        With the connection's ``confirm_publish``, this is :meth:`basic_publish_confirm`. Otherwise it does not wait. An
        error, for example a missing exchange, is raised by the next call on this connection that waits, or that
        publishes at least a millisecond later.

        Args:
            msg: the message.
            exchange: the exchange's name.
            routing_key: what the exchange routes by.
            mandatory: have it returned if no queue gets it; see :attr:`events`.
            immediate: RabbitMQ refuses it with AMQPNotImplementedError.
            timeout: seconds to hand it to the operating system; by default the connection's ``write_timeout``.
            confirm_timeout: seconds to wait for a confirm, where one is waited for.

        Raises:
            RecoverableConnectionError: the connection is closed, or ``timeout`` has passed, which ends it.
            OSError: the connection was lost just now.
        """
        link = self._link
        if link is None:
            link = self._opened("basic.publish")
        try:
            link.poll()
        except AMQPError as error:
            tell_noticed(error, _NOT_SENT)
            raise
        data = self._encode(msg, exchange, routing_key, mandatory, immediate)
        try:
            if self._confirm_selected:
                with link.requesting:  # the count has to go as the messages go
                    link.send(data, timeout)
                    self._published += 1
            else:
                link.send(data, timeout)
        except TimeoutError:
            raise RecoverableConnectionError("basic.publish: timed out, and the connection with it") from None

    def _encode(self, msg: Message, exchange: str, routing_key: str, mandatory: bool, immediate: bool) -> Data:
        """The frames of a publish."""
        link = self._link
        if link is None:
            raise RecoverableConnectionError("basic.publish: a callback closed the channel")
        properties, body = msg.content()
        key = (exchange, routing_key, mandatory, immediate)
        try:
            method = self._methods[key]
        except KeyError:
            method = self._method(key)
        size = len(body)
        number = self._number
        if not size or size > link.frame_limit:
            return self._content(link, method, properties, body)
        if properties == NO_PROPERTIES:
            return (
                method + _pack_bare_content(HEADER, number, 14, 60, 0, size, 0, END, BODY, number, size) + body + _END
            )
        if len(properties) + _HEADER_SIZE > link.frame_limit:
            return self._content(link, method, properties, body)
        head = _pack_header(HEADER, number, _HEADER_SIZE + len(properties), 60, 0, size)
        return method + head + properties + _pack_body_start(END, BODY, number, size) + body + _END

    def basic_publish_confirm(
        self,
        msg: Message,
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,
        immediate: bool = False,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
    ) -> None:
        """Publish as :meth:`basic_publish`, then wait until the broker has taken responsibility for the message.

        The channel's first call selects confirm mode. ``confirm_timeout`` is in seconds; else ``timeout`` counts. It is
        for both answers together. Else the connection's ``read_timeout`` is for each of them.

        Raises:
            MessageNacked: the broker did not take it.
            TimeoutError: an answer did not come in time; the message may have arrived or not.
            NotFound, ChannelError: what the broker says of this publish or of an earlier one.
        """
        link = self._opened("basic.publish")
        data = self._encode(msg, exchange, routing_key, mandatory, immediate)
        confirm, seconds = None, confirm_timeout or timeout
        while confirm is None:
            if not self._confirm_selected:
                begun = link.transport.monotonic()
                self._select_confirms(nowait=False, seconds=seconds)
                if seconds is not None:
                    seconds = max(begun + seconds - link.transport.monotonic(), 0.0)
            with link.requesting:
                if self._confirm_selected:  # still: an error that another thread reads ends confirm mode
                    confirm = self._send_to_confirm(link, data, timeout)
        try:
            link.wait_for(confirm, seconds)
        except AMQPError as error:
            tell_noticed(error, f"while waiting for {confirm}")
            raise
        finally:
            self._confirms.pop(confirm.delivery_tag, None)
        if confirm.nacked:
            raise MessageNacked(
                f"message {confirm.delivery_tag} on its channel, to exchange {exchange!r} by {routing_key!r}"
            )

    def _send_to_confirm(self, link: Link, data: Data, timeout: float | None) -> Confirm:
        self._published += 1
        # Noted before it is sent: another thread may be reading, and see the confirm at once.
        confirm = self._confirms[self._published] = Confirm(self._published)
        try:
            link.send(data, timeout)
        except TimeoutError:
            raise RecoverableConnectionError("basic.publish: timed out, and the connection with it") from None
        return confirm

    def confirm_select(self, nowait: bool = False) -> None:
        """Have the broker confirm each publish on this channel from now on; see :attr:`events` for how they come.

        Raises:
            PreconditionFailed: the channel is transactional.
        """
        self._select_confirms(nowait=nowait, seconds=None)

    def _select_confirms(self, *, nowait: bool, seconds: float | None) -> None:
        method = ConfirmSelect(nowait)
        link = self._opened(method.NAME)
        request = None
        with link.requesting:
            if not self._confirm_selected:  # the broker counts from here, and others may publish before it answers
                self._confirm_selected = True
                self._published = 0
            if nowait:
                self._send(method)
            else:
                request = self._post(method, ConfirmSelectOk)
                request.awaited = True
        if request is not None:
            link.wait_for(request, seconds)

    def _method(self, key: tuple[str, str, bool, bool]) -> bytes:
        exchange, routing_key, mandatory, immediate = key
        frame = frame_of(BasicPublish(0, exchange or "", routing_key or "", mandatory, immediate), self._number)
        if len(self._methods) >= _METHODS_LIMIT:
            self._methods.clear()
        self._methods[key] = frame
        return frame

    def _content(self, link: Link, method: bytes, properties: bytes, body: bytes) -> Data:
        limit = link.frame_limit
        header = content_header(len(body), properties)
        if len(header) > limit:
            raise ValueError(f"properties of {len(properties)} bytes do not fit a frame of {limit}")
        if len(body) > limit:
            return content_pieces(self._number, header, body, limit + OVERHEAD, method)
        return content_frames(self._number, header, body, limit + OVERHEAD, method)

    def _fail_confirms(self, error: Exception) -> None:
        if self._confirms:
            for confirm in tuple(self._confirms.values()):
                confirm.error = error
            self._confirms.clear()
        self._confirm_selected = False
        self._published = 0

    def _settle(self, delivery_tag: int, multiple: bool, nacked: bool) -> None:
        if multiple:
            open_ones = tuple(self._confirms.items())  # other threads add to them
            settled = [confirm for tag, confirm in open_ones if tag <= delivery_tag or not delivery_tag]
        else:
            found = self._confirms.get(delivery_tag)
            settled = [found] if found else []
        for confirm in settled:
            confirm.nacked = nacked
            confirm.ready = True

    def receive_ack(self, delivery_tag: int, multiple: bool) -> None:
        """Take the broker's confirm of a publish, or of all up to it. The link calls it."""
        self._settle(delivery_tag, multiple, nacked=False)
        for listener in tuple(self.events.get("basic_ack", ())):
            listener(delivery_tag, multiple)

    def _on_nack(self, nack: BasicNack, _content: Content | None) -> None:
        self._settle(nack.delivery_tag, nack.multiple, nacked=True)
        for listener in tuple(self.events.get("basic_nack", ())):
            listener(nack.delivery_tag, nack.multiple)

    HANDLERS: ClassVar[Mapping[type[Method], Handler]] = {**BasicMethods.HANDLERS, BasicNack: _on_nack}
