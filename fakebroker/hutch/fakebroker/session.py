"""One client's connection, bytes in and bytes out, with no socket: frames become commands, and what the engine says,
frames.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from hutch.fakebroker.backlog import Backlog
from hutch.fakebroker.decoding import Unanswerable, decode, frame_error
from hutch.fakebroker.engine.channel import Channel
from hutch.fakebroker.engine.clock import Timer, Timers
from hutch.fakebroker.engine.commands import COMMANDS
from hutch.fakebroker.engine.commands.publish import publish
from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.errors import AMQPError, HardError, SoftError, internal_error, not_implemented
from hutch.fakebroker.engine.limits import check_new_channel
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.peer import Peer
from hutch.fakebroker.engine.replies import ReplyQueue
from hutch.fakebroker.engine.terms import frame_snippet
from hutch.fakebroker.handshake import CLOSING_TIMEOUT, Handshake
from hutch.fakebroker.shortcut import ACK, ACK_ID, ACK_SIZE, PUBLISH_ID, Shortcut, Slot
from hutch.wire.codes import ReplyCode
from hutch.wire.content import Content, ContentError, MalformedHeader
from hutch.wire.frames import (
    BODY,
    HEADER,
    HEARTBEAT,
    METHOD,
    Frame,
    FrameError,
    FrameParser,
    content_frames,
)
from hutch.wire.methods import (
    BasicAck,
    BasicCancelOk,
    BasicPublish,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ChannelOpenOk,
    ConnectionClose,
    Method,
    TxCommit,
)
from hutch.wire.states import ChannelState, ConnectionState, IllegalMethod, next_channel_state

_pack_deliver: Final = Struct(">BHII").pack
_pack_delivery: Final = Struct(">QB").pack
_DELIVER_ID: Final = 60 << 16 | 60
_ACK_ARGUMENTS: Final = Struct(">QB")
_GREETING: Final = ConnectionState.GREETING  # asked for with all that comes, and an enumeration is slow to give it
_RUNNABLE: Final = frozenset({BasicPublish, *COMMANDS})


class Session(Shortcut):
    """One connection's life.

    ``peer`` is the client. ``wake`` is called when output turns up where there was none, and when the
    session ends: then :meth:`take` it. After ``dropped`` turns true and the output is taken, the stream is to be reset
    (CONN-HDR-14). ``timers`` are those of the time that the client lives in; default the node's. ``identity`` is the
    user that the client is by its certificate, ``""`` for one without; ``None`` where nobody presents any.
    """

    def __init__(
        self,
        node: Node,
        peer: Peer,
        wake: Callable[[], None],
        timers: Timers | None = None,
        identity: str | None = None,
    ) -> None:
        super().__init__(node)
        self.timers: Final = node.timers if timers is None else timers
        self.peer: Final = peer
        self.dropped = False
        #: Why the broker closed the connection, or one of its channels last; for logs.
        self.refusal: str | None = None
        self._wake: Final = wake
        self._out: list[bytes] = []
        self._parser: Final = FrameParser(self._frame_max)
        #: By channel, what completes the commit that came with the bytes in hand.
        self._commits: dict[int, Callable[[], None]] = {}
        self._backlog: Backlog | None = None
        self._alarms: Final = node.alarms.raised
        self._channel_max = 0
        self.connection: Connection | None = None
        self._end: Timer | None = None
        self._handshake: Final = Handshake(self, identity)

    @property
    def state(self) -> ConnectionState:
        """Where the connection is."""
        return self._handshake.state

    @property
    def blocked(self) -> bool:
        """Whether nothing is read of what the client sends, because of an alarm (CONN-BLOCK-04)."""
        return self._backlog is not None

    # bytes in

    def receive(self, data: bytes) -> None:
        """Take bytes from the client and do all that they ask for."""
        self.node.settle()  # what fell due before comes first
        if self.dropped or self._handshake.deaf:
            return
        if self._backlog is not None:
            self._backlog.data.append(data)
            return
        if self._handshake.heartbeat is not None:
            self._handshake.heartbeat.received = True
        if self._handshake.state is _GREETING:
            data = self._handshake.greet(data)
        if data and not self.dropped:
            if self._parser.idle and not self._alarms:
                data = self._shortcut(data)
            if data:
                self._run_frames(self._parser.feed(data))
        self.node.settle()

    def _run_frames(self, frames: Iterator[Frame]) -> None:
        pending = self.node.pending
        handshake = self._handshake
        alarms = self._alarms
        try:
            for frame_type, number, payload in frames:
                if handshake.deaf:
                    return
                try:
                    if number and handshake.state is ConnectionState.RUNNING:
                        self._channel_frame(frame_type, number, payload)
                    else:
                        handshake.frame(frame_type, number, payload)
                except HardError as error:
                    self.fail(error)
                if pending:
                    self.node.settle()
                if alarms and frame_type in {HEADER, BODY} and handshake.state is ConnectionState.RUNNING:
                    self._backlog = Backlog(self, self._handshake, frames)
                    break
        except FrameError as broken:
            self.fail(frame_error(broken))
            handshake.deaf = True
        if self._commits:
            self._complete_commits()

    def catch_up(self) -> None:
        """Read again, first what has piled up (CONN-BLOCK-06)."""
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.forget()
            self._run_frames(backlog.frames)
            self.receive(b"".join(backlog.data))
            if backlog.ended:
                self.lost()
            self._wake()

    def _channel_frame(self, frame_type: int, number: int, payload: bytes) -> None:
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = Slot(self.node.profile.max_body_size)
        if frame_type == METHOD and slot.content.method is None:
            method: Method | None
            if payload[:4] == PUBLISH_ID:
                method = self._decode_publish(payload)
            elif payload[:4] == ACK_ID and len(payload) == ACK_SIZE:
                tag, multiple = _ACK_ARGUMENTS.unpack_from(payload, 4)
                method = BasicAck(tag, multiple & 1 != 0)
            else:
                method = self.decode(payload)
            if method is None:
                return
            if method.CONTENT:
                slot.content.begin(method)
            else:
                self._command(number, slot, method, None)
        elif frame_type in {METHOD, HEADER, BODY}:
            self._content_frame(number, slot, frame_type, payload)
        elif frame_type == HEARTBEAT:
            raise HardError(ReplyCode.UNEXPECTED_FRAME, frame_snippet(frame_type, payload), blame=False)
        else:
            text = f"{frame_snippet(frame_type, payload)}: unknown_frame"
            raise HardError(ReplyCode.FRAME_ERROR, text, blame=False)

    def _content_frame(self, number: int, slot: Slot, frame_type: int, payload: bytes) -> None:
        try:
            complete = slot.content.add(frame_type, payload)
        except ContentError as error:
            method_type = type(error.method) if error.method else None
            raise HardError(error.code, error.text, method=method_type, blame=method_type is not None) from None
        except MalformedHeader:
            text = f"{frame_snippet(frame_type, payload)}: unknown_frame"
            raise HardError(ReplyCode.FRAME_ERROR, text, blame=False) from None
        if complete is not None:
            self._command(number, slot, complete.method, complete)

    def decode(self, payload: bytes) -> Method | None:
        """The method of a frame; ``None`` where RabbitMQ drops the connection without a word, which is done then.

        Raises:
            HardError: as :func:`~hutch.fakebroker.decoding.decode`.
        """
        try:
            return decode(payload)
        except Unanswerable:
            self.drop()
            return None

    # commands

    def _command(self, number: int, slot: Slot, method: Method, content: Content | None) -> None:
        """Do what a complete command asks for, if the channel's state allows it."""
        if slot.state is ChannelState.OPEN and type(method) in _RUNNABLE:
            self._run(slot, method, content)
            return
        try:
            following = next_channel_state(slot.state, type(method))
        except IllegalMethod as error:
            if error.method is BasicCancelOk and slot.channel and self.node.profile.crashes_on_cancel_ok:
                raise internal_error() from None
            raise HardError(error.code, error.text, method=error.method) from None
        if isinstance(method, ChannelOpen):
            self._open_channel(number, slot)
        elif isinstance(method, ChannelClose):
            self._close_channel(slot)
            self.method(number, ChannelCloseOk())
        elif slot.state is ChannelState.OPEN:
            self._run(slot, method, content)
            return
        slot.state = following

    def _run(self, slot: Slot, method: Method, content: Content | None) -> None:
        channel = slot.channel
        if channel is None:
            raise internal_error()
        try:
            if content is not None and isinstance(method, BasicPublish):
                publish(channel, method, content.header, content.body)
            elif (command := COMMANDS.get(type(method))) is not None:
                command(channel, method)
            else:
                raise not_implemented(method.NAME)
        except SoftError as error:
            self._refuse(slot, channel.number, error, type(method))
        except HardError as fatal:
            self._blame(fatal, type(method))
            raise

    def _refuse(self, slot: Slot, number: int, error: SoftError, cause: type[Method]) -> None:
        """Close a channel because of an error of ``cause``, unless that names another."""
        cause = error.method or cause
        self._close_channel(slot)
        slot.state = ChannelState.CLOSING
        self._note(error)
        ids = (cause.CLASS_ID, cause.METHOD_ID) if error.blame else (0, 0)
        self.method(number, ChannelClose(error.code, error.reply_text, *ids))

    def fail_channel(self, channel: int, error: SoftError) -> None:
        """Close a channel because of an error that no method of the client's has caused."""
        self._refuse(self._slots[channel], channel, error, ChannelClose)

    def committing(self, channel: int, complete: Callable[[], None]) -> None:
        """Take nothing but channel.close on a channel until what came with tx.commit is used up; then ``complete``.

        RabbitMQ has to hear from the queues first, and whoever does not wait for commit-ok loses that race.
        """
        self._slots[channel].state = ChannelState.COMMITTING
        self._commits[channel] = complete

    def _complete_commits(self) -> None:
        commits, self._commits = self._commits, {}
        for number, complete in commits.items():
            slot = self._slots.get(number)
            if slot is not None and slot.state is ChannelState.COMMITTING:
                slot.state = ChannelState.OPEN
                try:
                    complete()
                except SoftError as error:
                    self._refuse(slot, number, error, TxCommit)

    def _open_channel(self, number: int, slot: Slot) -> None:
        connection = self.connection
        if connection is None:
            raise internal_error()
        # How many are open counts, not the number that a channel has (CONN-CHAN-01, CONN-CHAN-02).
        if len(connection.channels) >= self._channel_max:
            limit = self._channel_max
            text = f"number of channels opened ({limit}) has reached the negotiated channel_max ({limit})"
            raise HardError(ReplyCode.NOT_ALLOWED, text, blame=False)
        check_new_channel(connection)
        slot.channel = Channel(connection, number)
        self.method(number, ChannelOpenOk())

    def _close_channel(self, slot: Slot) -> None:
        channel, slot.channel = slot.channel, None
        if channel is not None:
            channel.close()

    def tuned(self, channel_max: int, frame_max: int) -> None:
        """The limits that hold from now on: channels open at once, and bytes a frame."""
        self._channel_max = channel_max
        self._frame_max = self._parser.frame_max = frame_max

    # the end

    def fail(self, error: HardError) -> None:
        """Close the connection because of an error, or drop it where RabbitMQ says nothing before the login is
        through.
        """
        if not self._handshake.speaks_errors:
            self._handshake.drop_later()
            return
        self._note(error)
        ids = (error.method.CLASS_ID, error.method.METHOD_ID) if error.blame and error.method else (0, 0)
        self.close(error.code, error.reply_text, *ids)

    def _note(self, error: AMQPError) -> None:
        self.refusal = str(error)
        vhost = self.connection.vhost.name if self.connection else ""
        self.node.history.record("refused", vhost, detail=error.reply_text)

    def close(self, code: ReplyCode, text: str, class_id: int = 0, method_id: int = 0) -> None:
        """Send connection.close and give back what the connection holds; it ends with the client's close-ok."""
        if self.dropped or self.state in {ConnectionState.CLOSING, ConnectionState.CLOSED}:
            return
        self.release()
        self._handshake.closing(ConnectionState.CLOSING)
        self.method(0, ConnectionClose(code, text, class_id, method_id))
        self.end_in(CLOSING_TIMEOUT)
        self.catch_up()

    def shut_down(self) -> None:
        """Close the connection as a RabbitMQ that is stopped does (RESTART-01); one that is not open is dropped."""
        if self.state is ConnectionState.CLOSING:
            return
        if self.state is not ConnectionState.RUNNING:
            self.drop()
            return
        self.close(
            ReplyCode.CONNECTION_FORCED,
            "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
        )

    def cut(self) -> None:
        """:meth:`shut_down`, and leave it to the client to find the stream ended behind that (RESTART-01)."""
        self.shut_down()
        self.drop()

    def release(self) -> None:
        """Close the engine's side of the connection."""
        self._slots.clear()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def end_in(self, seconds: float | None) -> None:
        """Have the broker drop the connection in so many seconds, and at no moment set before; ``None``: at none."""
        if self._end is not None:
            self.timers.cancel(self._end)
        self._end = None if seconds is None else self.timers.set_for_client(seconds, self.drop)

    def drop(self) -> None:
        """End the stream without a word, once what was sent is out."""
        if not self.dropped:
            self.dropped = True
            if self._backlog is not None:
                self._backlog.forget()
                self._backlog = None
            self.end_in(None)
            self.release()
            self._handshake.closing(ConnectionState.CLOSED)
            self._handshake.events.closed()
            self._wake()

    def hang_up(self) -> None:
        """The client sends no more, and is gone once that is noticed: not while it is not read."""
        if self._backlog is None:
            self.lost()
        else:
            self._backlog.ended = True

    def lost(self) -> None:
        """The client is gone."""
        if not self.dropped:
            self._out.clear()
            self.drop()
            self.node.settle()

    # bytes out

    @property
    def has_output(self) -> bool:
        """Whether :meth:`take` has something to give."""
        return bool(self._out)

    def take(self) -> bytes:
        """The output since the last call."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def write(self, data: bytes) -> None:
        """Add to the output."""
        out = self._out
        out.append(data)
        if self._handshake.heartbeat is not None:
            self._handshake.heartbeat.sent = True
        if len(out) == 1:
            self._wake()

    def method(self, channel: int, method: Method) -> None:
        """Send a method without content."""
        if type(method) is BasicAck:
            self.write(ACK.pack(METHOD, channel, ACK_SIZE, BasicAck.ID, method.delivery_tag, method.multiple, 0xCE))
        else:
            self.write(method.frame(channel))

    def content(self, channel: int, method: Method, message: Message) -> None:
        """Send a method with a message."""
        frames = content_frames(channel, message.header, message.body, self._frame_max)
        self.write(method.frame(channel) + frames)

    def deliver(
        self, channel: int, consumer: Consumer | ReplyQueue, delivery_tag: int, redelivered: bool, message: Message
    ) -> None:
        """Send basic.deliver: the tag and the address stand ready as bytes, the content is passed through."""
        tag = consumer.tag_bytes
        address = message.address
        self.write(
            _pack_deliver(METHOD, channel, 13 + len(tag) + len(address), _DELIVER_ID)
            + tag
            + _pack_delivery(delivery_tag, redelivered)
            + address
            + b"\xce"
            + content_frames(channel, message.header, message.body, self._frame_max)
        )
