"""One of the two brokers: its connections, what is sent to it, what comes back."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from hutch.conformance.differential.observation import Names, Seen, observe
from hutch.conformance.raw import EndOfStream, Item, RawConnection
from hutch.wire.content import Content
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    BasicConsumeOk,
    ChannelClose,
    ChannelCloseOk,
    ChannelFlow,
    ChannelFlowOk,
    ChannelOpen,
    ChannelOpenOk,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpenOk,
    Method,
    QueueDeclare,
    QueueDeclareOk,
    TxCommit,
    TxCommitOk,
)

#: Channels that ask after queues have this number or a higher one.
_PROBES: Final = 100
_FLOW: Final = ChannelFlow(active=True).encode()
#: The machine's own connection.
ADMIN: Final = 0


class _Stream:
    """One connection. ``awaited`` is what has to come on which channel before all is told that was asked for."""

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self.channels: dict[int, None] = {}
        self.probes: dict[str, int] = {}
        self.awaited: dict[int, str] = {}
        self.closing = False
        self.ended = False


class Side:
    """One broker.

    ``connect`` makes a connection to it, given its number, that has asked for its virtual host; ``prompt`` tells that
    all is answered before a send returns. ``names`` are those that the broker made up.
    """

    def __init__(self, connect: Callable[[int], RawConnection], *, prompt: bool) -> None:
        self._prompt: Final = prompt
        self._connect: Final = connect
        self._streams: dict[int, _Stream] = {}
        self._items: dict[tuple[int, int], list[Item]] = {}
        self._consuming: dict[tuple[int, int], tuple[str, bool]] = {}
        self._queues: dict[tuple[int, int], dict[str, str]] = {}
        self._confirmed: dict[tuple[int, int], set[int]] = {}
        self.names = Names()
        #: Queues whose message counts are not compared.
        self.uncounted: set[str] = set()
        #: Seconds to wait before another channel for queue counts opens, so that the broker can count the existing
        #: ones.
        self.pause = 0.0

    # connections and channels

    def is_open(self, connection: int, channel: int | None = None) -> bool:
        """Whether the connection, or a channel of it, is open."""
        stream = self._streams.get(connection)
        return stream is not None and not stream.ended and (channel is None or channel in stream.channels)

    def standing(self) -> set[tuple[int, int]]:
        """The channels that are open; channel 0 stands for the connection itself."""
        return {
            (connection, channel)
            for connection, stream in self._streams.items()
            if not stream.ended
            for channel in (0, *stream.channels)
        }

    def open(self, connection: int, channel: int) -> None:
        """Open the channel, and its connection, unless they are. Either may be refused."""
        stream = self._stream(connection)
        if not stream.ended and channel not in stream.channels:
            stream.raw.send_method(ChannelOpen(), channel)
            stream.awaited[channel] = ChannelOpenOk.NAME
            self._read(connection, stream)
            stream.channels[channel] = None

    def _stream(self, connection: int) -> _Stream:
        stream = self._streams.get(connection)
        if stream is None or stream.ended:
            stream = self._streams[connection] = _Stream(self._connect(connection))
            stream.awaited[0] = ConnectionOpenOk.NAME
            self._read(connection, stream)
        return stream

    def begin_consuming(self, connection: int, channel: int, queue: str, tag: str, *, apart: bool) -> None:
        """A consumer of ``queue`` is about to be started; ``tag`` is empty where the broker is to choose it. ``apart``:
        what it gets has an order of its own.
        """
        self._consuming[connection, channel] = queue, apart
        if tag:
            self._queues.setdefault((connection, channel), {}).setdefault(tag, self._row(queue, tag, apart))

    def _row(self, queue: str, tag: str, apart: bool) -> str:
        return f"{queue}, consumer {self.names.seen(tag)}" if apart else queue

    def send(self, connection: int, channel: int, method: Method, content: bytes = b"") -> None:
        """Send a method, with the frames of its content, and await that the broker has handled it."""
        stream = self._streams[connection]
        frames = [method_frame(channel, method.encode()), content]
        if isinstance(method, ChannelClose | TxCommit):
            # No other method may be sent before the answer arrives.
            if isinstance(method, ChannelClose):
                stream.channels.pop(channel, None)
            stream.awaited[channel] = (ChannelCloseOk if isinstance(method, ChannelClose) else TxCommitOk).NAME
        else:
            frames += self._round_trips(stream, (channel,))
        self._write(stream, frames)
        self._read(connection, stream)

    def end(self, connection: int, abrupt: bool) -> None:
        """End a connection."""
        stream = self._streams[connection]
        if not abrupt:
            with _telling_of_the_end(stream):
                stream.raw.send_method(ConnectionClose(200, "bye"))
                stream.closing = True
                self._read(connection, stream)
        _gone(stream)

    def await_the_end(self) -> None:
        """Have the broker tell all connections that they end."""
        for stream in self._streams.values():
            if not stream.ended:
                stream.awaited[0] = ConnectionClose.NAME
        self._read_all()

    def close(self) -> None:
        """Cut all connections."""
        for stream in self._streams.values():
            stream.raw.close()
        self._streams.clear()

    # reading

    def settle(self, probes: Mapping[str, int], *, thorough: bool = True) -> dict[str, str]:
        """Have the broker handle what was sent, and tell what it has come to.

        ``probes`` are the queues to ask after, with the connection to ask on. Returns what each is like. Only if it is
        to be ``thorough`` has the broker to answer on each channel, so that what it has told there by then is there.
        """
        asked: dict[str, tuple[int, int]] = {}
        frames: dict[int, list[bytes]] = {}
        for queue, owner in probes.items():
            asked[queue] = self._probe(queue, owner if self.is_open(owner) else ADMIN)
        for queue, (connection, _) in asked.items():
            if not self.is_open(connection):  # one channel too many closed the connection
                asked[queue] = self._probe(queue, ADMIN)
        for queue, (connection, number) in asked.items():
            probe = QueueDeclare(0, self.names.real(queue), passive=True)
            frames.setdefault(connection, []).append(method_frame(number, probe.encode()))
            self._streams[connection].awaited[number] = QueueDeclareOk.NAME
        for connection, stream in self._streams.items():
            if not stream.ended:
                trips = self._round_trips(stream, stream.channels) if thorough else []
                self._write(stream, frames.get(connection, []) + trips)
        self._read_all()
        return {queue: self._count(queue, self._items.pop(key, [])) for queue, key in asked.items()}

    def _probe(self, queue: str, connection: int) -> tuple[int, int]:
        """The channel to ask after a queue on, by the numbers of its connection and its own."""
        stream = self._stream(connection)
        number = stream.probes.setdefault(queue, _PROBES + len(stream.probes))
        if connection != ADMIN and number not in stream.channels:
            time.sleep(self.pause)
        self.open(connection, number)
        return connection, number

    def _round_trips(self, stream: _Stream, channels: Iterable[int]) -> list[bytes]:
        """Something to answer on each of the client's channels, where answers do not come before a send returns."""
        if self._prompt:
            return []
        wanted = [channel for channel in channels if channel < _PROBES and channel not in stream.awaited]
        stream.awaited.update(dict.fromkeys(wanted, ChannelFlowOk.NAME))
        return [method_frame(channel, _FLOW) for channel in wanted]

    def _write(self, stream: _Stream, frames: list[bytes]) -> None:
        if frames:
            with _telling_of_the_end(stream):
                stream.raw.send(b"".join(frames))

    def _read_all(self) -> None:
        for connection, stream in list(self._streams.items()):
            if not stream.ended:
                self._read(connection, stream)

    def _read(self, connection: int, stream: _Stream) -> None:
        try:
            while (stream.awaited or stream.closing or stream.raw.has_input) and not stream.ended:
                channel, item = stream.raw.read()
                self._take(connection, stream, channel, item)
        except (EndOfStream, TimeoutError) as error:
            what = "end of stream" if isinstance(error, EndOfStream) else f"no {stream.awaited or 'close-ok'}"
            self._items.setdefault((connection, 0), []).append(ConnectionClose(0, what))
            _gone(stream)

    def _count(self, queue: str, items: list[Item]) -> str:
        answer = items[-1] if items else None
        if isinstance(answer, QueueDeclareOk):
            messages = 0 if queue in self.uncounted else answer.message_count
            return f"{messages} messages, {answer.consumer_count} consumers"
        return self.names.seen(answer.reply_text) if isinstance(answer, ChannelClose) else f"no answer, but {answer!r}"

    def _take(self, connection: int, stream: _Stream, channel: int, item: Item) -> None:
        key = connection, channel
        method = item.method if isinstance(item, Content) else item
        if stream.awaited.get(channel) == method.NAME:
            del stream.awaited[channel]
            if isinstance(method, ChannelFlowOk | ChannelOpenOk | ConnectionOpenOk):
                return
        self._items.setdefault(key, []).append(item)
        if isinstance(method, BasicConsumeOk) and key in self._consuming:
            queue, apart = self._consuming.pop(key)
            self._queues.setdefault(key, {})[method.consumer_tag] = self._row(queue, method.consumer_tag, apart)
        elif isinstance(method, ChannelClose | ChannelCloseOk):
            stream.channels.pop(channel, None)
            stream.awaited.pop(channel, None)
            if isinstance(method, ChannelClose):
                stream.raw.send_method(ChannelCloseOk(), channel)
        elif isinstance(method, ConnectionClose):
            stream.raw.send_method(ConnectionCloseOk())
            _gone(stream)
        elif isinstance(method, ConnectionCloseOk):
            _gone(stream)

    # observations

    def seen(self) -> dict[tuple[int, int], Seen]:
        """What came since :meth:`forget`, by connection and channel."""
        return {
            key: observe(items, self.names, self._queues.get(key, {}), self._confirmed.get(key, set()), self.uncounted)
            for key, items in self._items.items()
            if items
        }

    def forget(self) -> None:
        """The step is over."""
        for key, seen in self.seen().items():
            self._confirmed.setdefault(key, set()).update(seen.confirmed)
        self._items.clear()
        self._consuming.clear()
        for kept in (self._queues, self._confirmed):
            for key in [key for key in kept if not self.is_open(*key)]:
                del kept[key]


@contextlib.contextmanager
def _telling_of_the_end(stream: _Stream) -> Iterator[None]:
    """Ignore that something cannot be sent: reading reports the end of the connection."""
    try:
        yield
    except EndOfStream:
        stream.awaited[0] = "the end"


def _gone(stream: _Stream) -> None:
    """The connection has ended."""
    stream.ended = True
    stream.closing = False
    stream.awaited.clear()
    stream.channels.clear()
    stream.raw.close()
