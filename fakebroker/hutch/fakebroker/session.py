"""One client's connection, bytes in and bytes out, with no socket: frames become commands, and what the engine says,
frames.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from hutch.fakebroker.afterwards import Afterwards
from hutch.fakebroker.backlog import Backlog
from hutch.fakebroker.decoding import Unanswerable, check_frame, decode, frame_error
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
from hutch.fakebroker.handshake import Handshake
from hutch.fakebroker.shortcut import ACK, ACK_ID, ACK_SIZE, PUBLISH_ID, Shortcut, Slot
from hutch.wire.codes import ReplyCode
from hutch.wire.content import Content, ContentError
from hutch.wire.frames import (
    BODY,
    HEADER,
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
        self._parser: Final = FrameParser(node.profile.frame_min)  # until another limit is agreed on
        self.afterwards: Final = Afterwards(self.write)
        self._backlog: Backlog | None = None
        self._alarms: Final = node.alarms.raised
        self._channel_max = 0
        self.connection: Connection | None = None
        self._end: Timer | None = None
        #: Whether connection.close was sent.
        self._told = False
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
        self.afterwards.reading = True
        if self._handshake.heartbeat is not None:
            self._handshake.heartbeat.received = True
        if self._handshake.state is _GREETING:
            data = self._handshake.greet(data)
        if data and not self.dropped:
            if self._parser.idle and not self._alarms:
                data = self._shortcut(data)
            if data:
                self._run_frames(self._parser.feed(data))
        self.afterwards.reading = False
        if self.afterwards.due:
            self.afterwards.run()
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
                except Unanswerable as reason:
                    self.note(str(reason))
                    self.drop()
                if pending:
                    self.node.settle()
                if alarms and frame_type in {HEADER, BODY} and handshake.state is ConnectionState.RUNNING:
                    self._backlog = Backlog(self, self._handshake, frames)
                    break
        except FrameError as broken:
            self.fail(frame_error(broken))
            handshake.fall_silent()

    def catch_up(self) -> None:
        """Read again, first what has piled up (CONN-BLOCK-06)."""
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.forget()
            self.afterwards.reading = True
            self._run_frames(backlog.frames)
            self.afterwards.run()
            self.receive(b"".join(backlog.data))
            if backlog.ended:
                self.lost()
            self._wake()

    def _channel_frame(self, frame_type: int, number: int, payload: bytes) -> None:
        slot = self._slots.get(number)
        if slot is None or frame_type != METHOD or slot.content.method is not None:
            check_frame(frame_type, payload)
            slot = slot or self._new_slot(number)
            if frame_type != METHOD or slot.content.method is not None:
                self._content_frame(number, slot, frame_type, payload)
                return
        method: Method
        if payload[:4] == PUBLISH_ID:
            method = self._decode_publish(payload, number)
        elif payload[:4] == ACK_ID and len(payload) == ACK_SIZE:
            tag, multiple = _ACK_ARGUMENTS.unpack_from(payload, 4)
            method = BasicAck(tag, multiple & 1 != 0)
        else:
            method = decode(payload, number)
        if method.CONTENT:
            slot.content.begin(method)
        else:
            self._command(number, slot, method, None)

    def _new_slot(self, number: int) -> Slot:
        """Begin to use a channel number, for any frame on it does.

        Raises:
            HardError: 530, there are too many. How many are in use counts, not the number that one has (CONN-CHAN-01 to
                CONN-CHAN-03).
        """
        connection = self.connection
        if connection is None:
            raise internal_error()
        limit = self._channel_max
        if len(self._slots) >= limit:
            text = f"number of channels opened ({limit}) has reached the negotiated channel_max ({limit})"
            raise HardError(ReplyCode.NOT_ALLOWED, text, blame=False)
        check_new_channel(connection)
        slot = self._slots[number] = Slot(self.node.profile.max_body_size)
        return slot

    def _content_frame(self, number: int, slot: Slot, frame_type: int, payload: bytes) -> None:
        try:
            complete = slot.content.add(frame_type, payload)
        except ContentError as error:
            method_type = type(error.method) if error.method else None
            raise HardError(error.code, error.text, method=method_type, blame=method_type is not None) from None
        if complete is not None:
            self._command(number, slot, complete.method, complete)

    # commands

    def _command(self, number: int, slot: Slot, method: Method, content: Content | None) -> None:
        """Do what a complete command asks for, if the channel's state allows it."""
        try:
            channel = slot.channel
            if channel is None or slot.state is not ChannelState.OPEN or type(method) not in _RUNNABLE:
                self._step(number, slot, method)
            elif content is not None and isinstance(method, BasicPublish):
                publish(channel, method, content.header, content.body)
            else:
                COMMANDS[type(method)](channel, method)
        except SoftError as error:
            self._refuse(slot, number, error, type(method))
        except HardError as fatal:
            self._blame(fatal, type(method))
            self.fail_by(number, fatal)

    def _step(self, number: int, slot: Slot, method: Method) -> None:
        """Open or close a channel, or refuse or pass over what does not fit its state.

        Raises:
            HardError: it is not legal in the channel's state, or not implemented.
        """
        if slot.has_failed:
            return
        if isinstance(method, ChannelCloseOk):
            del self._slots[number]  # by RabbitMQ's reader, whatever the channel makes of it
        try:
            following = next_channel_state(slot.state, type(method))
        except IllegalMethod as error:
            if error.method is BasicCancelOk and slot.channel and self.node.profile.crashes_on_cancel_ok:
                raise internal_error() from None
            raise HardError(error.code, error.text, method=error.method) from None
        if isinstance(method, ChannelOpen):
            if self.connection is None:
                raise internal_error()
            slot.channel = Channel(self.connection, number)
            slot.state = following
            self.method(number, ChannelOpenOk())
        elif isinstance(method, ChannelClose) and slot.state is ChannelState.CLOSING:
            self.method(number, ChannelCloseOk())
        elif isinstance(method, ChannelClose):
            self._close_channel(slot)
            slot.state = ChannelState.CLOSING
            self.afterwards.end(lambda: self._free(number, slot), number)
        elif slot.state is ChannelState.OPEN:
            raise not_implemented(method.NAME)

    def _free(self, number: int, slot: Slot) -> None:
        """Answer a client's channel.close; the number may be opened again."""
        if self._slots.get(number) is slot:
            del self._slots[number]
            self.method(number, ChannelCloseOk())

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
        slot = self._slots[channel]
        slot.state = ChannelState.COMMITTING
        self.afterwards.commit(channel, lambda: self._complete_commit(channel, slot, complete))

    def _complete_commit(self, number: int, slot: Slot, complete: Callable[[], None]) -> None:
        if slot.state is ChannelState.COMMITTING and self._slots.get(number) is slot:
            slot.state = ChannelState.OPEN
            try:
                complete()
            except SoftError as error:
                self._refuse(slot, number, error, TxCommit)

    def _close_channel(self, slot: Slot) -> None:
        channel, slot.channel = slot.channel, None
        if channel is not None:
            self.afterwards.forget(channel.number)
            channel.close()

    def tuned(self, channel_max: int, frame_max: int) -> None:
        """The limits that hold from now on: channels open at once, and bytes a frame."""
        self._channel_max = channel_max
        self._frame_max = self._parser.frame_max = frame_max

    # the end

    def crash(self, channel: int) -> None:
        """Close the connection because of what a queue has said to a channel, behind what it said before."""
        self.afterwards.send_answers(channel)
        self.fail_by(channel, internal_error())

    def fail_by(self, channel: int, error: HardError) -> None:
        """Close the connection because of an error that a channel has found. That channel ends at once; the connection
        closes when the bytes in hand are used up, for RabbitMQ's reader does not hear of it before (CONN-CLOSE-03).
        """
        slot = self._slots.get(channel)
        if slot is not None:
            slot.state = ChannelState.CLOSING
            slot.has_failed = True
            self._close_channel(slot)
        if self.afterwards.reading:
            self.afterwards.end(lambda: self.fail(error), channel)
        else:
            self.fail(error)

    def fail(self, error: HardError) -> None:
        """Close the connection at once because of an error, or drop it where RabbitMQ says nothing before the login is
        through.
        """
        if self.state is ConnectionState.CLOSED:
            return
        if not self._handshake.answers(error):
            self._handshake.drop_later(str(error))
            return
        self._note(error)
        ids = (error.method.CLASS_ID, error.method.METHOD_ID) if error.blame and error.method else (0, 0)
        self.close(error.code, error.reply_text, *ids)

    def _note(self, error: AMQPError) -> None:
        self.note(error.reply_text)
        self.refusal = str(error)

    def note(self, refusal: str) -> None:
        """Keep for logs and the history why the broker ends the connection, or one of its channels."""
        self.refusal = refusal
        vhost = self.connection.vhost.name if self.connection else ""
        self.node.history.record("refused", vhost, detail=refusal)

    def close(self, code: ReplyCode, text: str, class_id: int = 0, method_id: int = 0) -> None:
        """Send connection.close and give back what the connection holds; it ends with the client's close-ok."""
        if self.state is ConnectionState.CLOSED:
            return
        self._told = True
        self.release()
        self.method(0, ConnectionClose(code, text, class_id, method_id))
        self._handshake.closed()
        self.catch_up()

    def shut_down(self) -> None:
        """Close the connection as a RabbitMQ that is stopped does (RESTART-01); one that is not open is dropped."""
        if self._told:
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

    @property
    def has_channels(self) -> bool:
        """Whether any channel is in use."""
        return bool(self._slots)

    def release(self) -> None:
        """Close the engine's side of the connection."""
        for number in self._slots:
            self.afterwards.forget(number)
        self._slots.clear()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def end_in(self, seconds: float | None, reason: str = "") -> None:
        """Have the broker drop the connection in so many seconds, and at no moment set before; ``None``: at none.

        ``reason`` is as of :meth:`note`, where there is one that was not given before.
        """

        def end() -> None:
            if reason:
                self.note(reason)
            self.drop()

        if self._end is not None:
            self.timers.cancel(self._end)
        self._end = None if seconds is None else self.timers.set_for_client(seconds, end)

    def drop(self) -> None:
        """End the stream without a word, once what was sent is out."""
        if not self.dropped:
            self.dropped = True
            if self._backlog is not None:
                self._backlog.forget()
                self._backlog = None
            self.end_in(None)
            self.release()
            self._handshake.dropped()
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

    def queue_method(self, channel: int, method: Method) -> None:
        """Send a method of a queue's."""
        if self.afterwards.reading:
            self.afterwards.answer(channel, method.frame(channel))
        else:
            self.method(channel, method)

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
        data = (
            _pack_deliver(METHOD, channel, 13 + len(tag) + len(address), _DELIVER_ID)
            + tag
            + _pack_delivery(delivery_tag, redelivered)
            + address
            + b"\xce"
            + content_frames(channel, message.header, message.body, self._frame_max)
        )
        if self.afterwards.due and self.afterwards.delays(channel):
            self.afterwards.answer(channel, data)
        else:
            self.write(data)
