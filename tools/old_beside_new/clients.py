"""What a client knows of one connection: both emulators say the same there."""

from collections import deque
from typing import Final

from hutch.conformance.differential.operations import REPEATED, UNKNOWN, ZERO, Settle
from hutch.wire import methods as wire
from hutch.wire.frames import METHOD, FrameParser, method_frame
from old_beside_new.adapters import Stream

_CHANNEL_CLOSE: Final = wire.ChannelClose.ID
_CHANNEL_CLOSE_OK: Final = wire.ChannelCloseOk.ID
_CONNECTION_CLOSE: Final = wire.ConnectionClose.ID
_CONNECTION_CLOSE_OK: Final = wire.ConnectionCloseOk.ID
_CONSUME_OK: Final = wire.BasicConsumeOk.ID
_DELIVER: Final = wire.BasicDeliver.ID
_GET_OK: Final = wire.BasicGetOk.ID
_GET_EMPTY: Final = wire.BasicGetEmpty.ID


class _Channel:
    """An open channel: the delivery tags that are outstanding, and those that a transaction holds."""

    def __init__(self) -> None:
        self.outstanding: list[int] = []
        self.held: list[int] = []
        self.settled = 0
        self.transactional = False
        #: ``no_ack`` of consumers by their tags, and of basic.consume and basic.get that are not answered.
        self.no_ack: dict[bytes, bool] = {}
        self.consuming: deque[bool] = deque()
        self.getting: deque[bool] = deque()


class Client:
    """A client with one connection to each emulator: ``streams`` are the old one's and the new one's."""

    def __init__(self, streams: tuple[Stream, Stream], greeting: bytes) -> None:
        self.streams: Final = streams
        #: Bytes that go out before the next ones.
        self.unsent = greeting
        #: Whether one side has sent connection.close.
        self.closing = False
        self._parser: Final = FrameParser()
        self._channels: Final[dict[int, _Channel]] = {}

    # what it sends

    def opened(self, number: int) -> bytes:
        """The bytes that open a channel; none if it is open."""
        if number in self._channels or self.closing:
            return b""
        self._channels[number] = _Channel()
        return method_frame(number, wire.ChannelOpen().encode())

    def sent(self, number: int, method: wire.Method) -> bytes:
        """The frame of a method; the client notes that it is sent."""
        channel = self._channels.get(number)
        if channel is not None:
            self._note(number, channel, method)
        return method_frame(number, method.encode())

    def _note(self, number: int, channel: _Channel, method: wire.Method) -> None:
        if isinstance(method, wire.BasicConsume):
            if not method.nowait:
                channel.consuming.append(method.no_ack)
            channel.no_ack[method.consumer_tag.encode()] = method.no_ack
        elif isinstance(method, wire.BasicGet):
            channel.getting.append(method.no_ack)
        elif isinstance(method, wire.BasicRecover | wire.BasicRecoverAsync):
            channel.outstanding.clear()
        elif isinstance(method, wire.TxSelect):
            channel.transactional = True
        elif isinstance(method, wire.TxCommit):
            channel.held.clear()
        elif isinstance(method, wire.TxRollback):
            channel.outstanding = sorted(channel.outstanding + channel.held)
            channel.held.clear()
        elif isinstance(method, wire.ChannelClose):
            del self._channels[number]

    def settling(self, operation: Settle) -> tuple[int, wire.Method] | None:
        """The channel number and the method of an acknowledgement; ``None`` if nothing is outstanding."""
        number = operation.place.channel
        if operation.which >= 0:
            having = [each for each, channel in sorted(self._channels.items()) if channel.outstanding]
            if not having:
                return None
            number = number if number in having else having[number % len(having)]
        channel = self._channels.get(number) or _Channel()
        if operation.which >= 0:
            tag = channel.outstanding[operation.which % len(channel.outstanding)]
        else:
            tag = {UNKNOWN: 9999, REPEATED: channel.settled, ZERO: 0}[operation.which]
        multiple = operation.multiple and operation.verdict != "reject"
        gone = [each for each in channel.outstanding if each == tag or (multiple and (each < tag or not tag))]
        channel.outstanding = [each for each in channel.outstanding if each not in gone]
        channel.settled = gone[-1] if gone else channel.settled
        if channel.transactional:
            channel.held += gone
        if operation.verdict == "ack":
            return number, wire.BasicAck(tag, multiple)
        if operation.verdict == "nack":
            return number, wire.BasicNack(tag, multiple, operation.requeue)
        return number, wire.BasicReject(tag, operation.requeue)

    # what it is told

    def take(self, data: bytes) -> bool:
        """Read what the brokers said. Returns whether the connection has ended."""
        if data.startswith(b"AMQP"):
            return False
        ended = False
        for kind, number, payload in self._parser.feed(data):
            if kind != METHOD:
                continue
            ids = int.from_bytes(payload[:4])
            if number:
                self._take_on_channel(ids, number, payload)
            elif ids == _CONNECTION_CLOSE:
                self.closing = True
                self._channels.clear()
                self.unsent += method_frame(0, wire.ConnectionCloseOk().encode())
            elif ids == _CONNECTION_CLOSE_OK:
                ended = True
        return ended

    def _take_on_channel(self, ids: int, number: int, payload: bytes) -> None:
        if ids == _CHANNEL_CLOSE:
            self._channels.pop(number, None)
            if not self.closing:
                self.unsent += method_frame(number, wire.ChannelCloseOk().encode())
            return
        channel = self._channels.get(number)
        if channel is None:
            return
        if ids == _DELIVER:
            size = payload[4]
            if not channel.no_ack.get(payload[5 : 5 + size], False):
                channel.outstanding.append(int.from_bytes(payload[5 + size : 13 + size]))
        elif ids in {_GET_OK, _GET_EMPTY}:
            no_ack = channel.getting.popleft() if channel.getting else False
            if ids == _GET_OK and not no_ack:
                channel.outstanding.append(int.from_bytes(payload[4:12]))
        elif ids == _CONSUME_OK:
            channel.no_ack[payload[5:]] = channel.consuming.popleft() if channel.consuming else False
