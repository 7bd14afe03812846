"""One client's connection, bytes in and bytes out, with no socket: frames become commands, and what the engine says,
frames.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final

from hutch.fakebroker.amqp091.after_input import AfterInput
from hutch.fakebroker.amqp091.channel_commands import ChannelCommands, Slot
from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.amqp091.errors import AMQPError, in_amqp
from hutch.fakebroker.amqp091.gate import Gate
from hutch.fakebroker.amqp091.handshake import Handshake
from hutch.fakebroker.amqp091.output import Output
from hutch.fakebroker.amqp091.profile import AMQPProfile
from hutch.fakebroker.amqp091.reader import Reader
from hutch.fakebroker.engine.access.limits import check_new_channel
from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.clock import Timer, Timers
from hutch.fakebroker.engine.errors import BrokerError, internal_error
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.peer import Peer
from hutch.wire.codes import ReplyCode
from hutch.wire.frames import END, METHOD, message_frames
from hutch.wire.methods import (
    ChannelClose,
    ConnectionClose,
    Method,
    TxCommit,
)
from hutch.wire.states import ChannelState, ConnectionState

_pack_deliver: Final = Struct(">BHII").pack
_pack_delivery: Final = Struct(">QB").pack
_END: Final = bytes((END,))
_DELIVER_ID: Final = 60 << 16 | 60
_GREETING: Final = ConnectionState.GREETING  # a constant, because each input reads it and enum attributes are slow
#: Size of the protocol header, in bytes.
_HEADER: Final = 8
#: Number of output bytes to take at once; more if one message is larger.
_CHUNK: Final = 256 * 1024


class Session(Output):
    """One connection's life.

    ``profile`` has the switches of the broker's version. ``peer`` is the client. ``wake`` is called when output turns
    up where there was none, and when the session ends: then :meth:`take` it. ``None`` is for a client that looks for
    itself at the end of each turn. When ``dropped`` is true and the output is taken, reset the stream
    (CONN-HDR-14). ``timers`` are those of the time that the client lives in; default the node's. ``identity`` is the
    user that the client is by its certificate, ``""`` for one without; ``None`` where nobody presents any. ``now`` is a
    clock, in seconds, by which slices of reading end; by default they do not. ``stream_size`` is how many bytes of
    output the stream to the client holds, though nobody has taken them yet, as the buffers of sockets do.
    """

    def __init__(
        self,
        node: Node,
        profile: AMQPProfile,
        peer: Peer,
        wake: Callable[[], None] | None,
        timers: Timers | None = None,
        identity: str | None = None,
        now: Callable[[], float] | None = None,
        stream_size: int = 0,
    ) -> None:
        self.node: Final = node
        self.profile: Final = profile
        self.timers: Final = node.timers if timers is None else timers
        self.peer: Final = peer
        #: The facts known about the client.
        self.client: Final = Client(peer, node.clock.time())
        self.dropped = False
        #: How a fault ends the stream, ``"FIN"`` or ``"RST"``; empty for RabbitMQ's own way.
        self.ends_by = ""
        #: A fault's gate between the session and the client, or ``None``.
        self.gate: Gate | None = None
        #: Whether the broker has ended the stream, even if a gate hides that from the client.
        self.has_ended = False
        #: The latest reason for closing the connection or one of its channels; for logs.
        self.refusal: str | None = None
        #: Tells the shell that output is ready.
        self.wake: Final = wake
        #: The output for :meth:`take`, in pieces.
        self.output: list[bytes] = []
        #: Size of the output, in bytes.
        self._size = 0
        #: Number of bytes written to the client's stream.
        self.sent = 0
        self._stream_size: Final = stream_size
        self.after_input: Final = AfterInput(self.write, self._tell_sent)
        #: The channel numbers in use, with their states.
        self.slots: Final[dict[int, Slot]] = {}
        self._channel_max = 0
        self._frame_max = profile.frame_max
        self.connection: AMQPConnection | None = None
        self._end: Timer | None = None
        self._received = 0
        #: Whether connection.close was sent.
        self._told = False
        self.handshake: Final = Handshake(self, identity)
        self.reader: Final = Reader(self, self.handshake, ChannelCommands(self), now)

    @property
    def state(self) -> ConnectionState:
        """Where the connection is."""
        return self.handshake.state

    @property
    def received(self) -> int:
        """How many bytes the client has sent, its protocol header included."""
        return self._received + (0 if self.state is _GREETING else _HEADER)

    # bytes in

    def receive(self, data: bytes) -> None:
        """Take bytes from the client and do what they ask for, a slice of it at most: see ``reader.more``.

        Before and after this, the caller runs what is due.
        """
        reader, handshake = self.reader, self.handshake
        if self.gate is not None and not (data := self.gate.arriving(data)):
            return
        if handshake.deaf:
            return
        if handshake.heartbeat is not None and not reader.blocked:
            handshake.heartbeat.received = True
        if handshake.state is _GREETING:
            data = handshake.greet(data)
        self._received += reader.cutter.add(data)
        if not (reader.more or reader.blocked):
            reader.proceed()

    def proceed(self) -> None:
        """Go on with what :meth:`receive` took and left, for another slice; as that."""
        if self.reader.more:
            self.reader.proceed()

    def new_slot(self, number: int) -> None:
        """Begin to use a channel number, for any frame on it does.

        Raises:
            AMQPError: 530, there are too many. How many are in use counts, not the number that one has (CONN-CHAN-01 to
                CONN-CHAN-03).
        """
        connection = self.connection
        if connection is None:
            raise internal_error()
        limit = self._channel_max
        if len(self.slots) >= limit:
            text = f"number of channels opened ({limit}) has reached the negotiated channel_max ({limit})"
            raise AMQPError(ReplyCode.NOT_ALLOWED, text, blame=False)
        check_new_channel(connection)
        self.slots[number] = Slot()

    # channels

    def answer(self, slot: Slot, number: int, error: AMQPError | BrokerError, cause: type[Method]) -> None:
        """Close a channel, or the connection, because of an error of ``cause``, unless that names another."""
        told = in_amqp(error)
        if told.code.closes_connection:
            self.fail_by(number, told, cause)
        else:
            self.refuse(slot, number, told, cause)

    def refuse(self, slot: Slot, number: int, error: AMQPError, cause: type[Method]) -> None:
        """Close a channel because of an error of ``cause``, unless that names another."""
        cause = error.method or cause
        self.close_channel(slot)
        slot.state = ChannelState.CLOSING
        self._note(error)
        ids = (cause.CLASS_ID, cause.METHOD_ID) if error.blame else (0, 0)
        self.method(number, ChannelClose(error.code, error.reply_text, *ids))

    def fail_channel(self, channel: int, error: AMQPError) -> None:
        """Close a channel because of an error that no method of the client's has caused."""
        self.refuse(self.slots[channel], channel, error, ChannelClose)

    def committing(self, channel: int, complete: Callable[[], None]) -> None:
        """Take nothing but channel.close on a channel until what came with tx.commit is used up; then ``complete``.

        RabbitMQ has to hear from the queues first. A client that does not wait for commit-ok loses that race.
        """
        slot = self.slots[channel]
        slot.state = ChannelState.COMMITTING
        self.after_input.commit(channel, lambda: self._complete_commit(channel, slot, complete))

    def _complete_commit(self, number: int, slot: Slot, complete: Callable[[], None]) -> None:
        if slot.state is ChannelState.COMMITTING and self.slots.get(number) is slot:
            slot.state = ChannelState.OPEN
            try:
                complete()
            except BrokerError as error:
                self.refuse(slot, number, in_amqp(error), TxCommit)

    def close_channel(self, slot: Slot) -> None:
        """End the engine's side of a channel."""
        channel, slot.channel = slot.channel, None
        if channel is not None:
            self.after_input.forget(channel.number)
            channel.close()

    def tuned(self, channel_max: int, frame_max: int) -> None:
        """The limits that hold from now on: channels open at once, and bytes a frame."""
        self._channel_max = channel_max
        self._frame_max = self.reader.cutter.frame_max = frame_max

    # the end

    def crash(self, channel: int) -> None:
        """Close the connection because of what a queue has said to a channel, behind what it said before."""
        self.after_input.send_answers(channel)
        self.fail_by(channel, in_amqp(internal_error()))

    def fail_by(self, channel: int, error: AMQPError, cause: type[Method] | None = None) -> None:
        """Close the connection because of an error that a channel has found, of ``cause`` unless that names another.
        That channel ends at once; the connection closes when the bytes in hand are used up, for RabbitMQ's reader does
        not hear of it before (CONN-CLOSE-03).
        """
        if error.blame and error.method is None:
            error.method = cause
        slot = self.slots.get(channel)
        if slot is not None:
            slot.state = ChannelState.CLOSING
            slot.has_failed = True
            self.close_channel(slot)
        if self.after_input.reading:
            self.after_input.end(lambda: self.fail(error), channel)
        else:
            self.fail(error)

    def fail(self, error: AMQPError) -> None:
        """Close the connection at once because of an error, or drop it where RabbitMQ says nothing before the login is
        through.
        """
        if self.state is ConnectionState.CLOSED:
            return
        if not self.handshake.answers(error):
            self.handshake.drop_later(str(error))
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
        self.node.journal.refused(*self.whose, refusal)

    @property
    def whose(self) -> tuple[Origin, str]:
        """Who makes facts of the connection happen, and the virtual host, which is empty before it is open."""
        connection = self.connection
        return (self.client.origin, "") if connection is None else (connection.origin, connection.vhost.name)

    def close(self, code: ReplyCode, text: str, class_id: int = 0, method_id: int = 0) -> None:
        """Send connection.close and give back what the connection holds; it ends with the client's close-ok."""
        if self.state is ConnectionState.CLOSED:
            return
        self._told = True
        self.release()
        self.method(0, ConnectionClose(code, text, class_id, method_id))
        self.handshake.closed()
        self.reader.resume()

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
        return bool(self.slots)

    def release(self) -> None:
        """Close the engine's side of the connection."""
        for number in self.slots:
            self.after_input.forget(number)
        self.slots.clear()
        self.reader.cutter.contents.clear()
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
        if not self.has_ended:
            self.has_ended = True
            self.dropped = self.gate is None or not self.gate.hides_end
            self.handshake.deaf = True
            if self.reader.blocked or self.reader.more:
                self.reader.stop()
            self.end_in(None)
            self.release()
            self.handshake.dropped()
            self.node.journal.client_gone(self.client)
            if self.wake is not None:
                self.wake()

    def hang_up(self) -> None:
        """The client sends no more, and is gone once that is noticed: when all is read that it has sent."""
        if self.reader.blocked or self.reader.more:
            self.reader.ended = True
        else:
            self.lost()

    def lost(self) -> None:
        """The client is gone."""
        if self.gate is not None and self.gate.keeps_loss():
            return
        if not self.dropped:
            self.output.clear()
            self._size = 0
            self.drop()
            self.node.run_due()

    # bytes out

    @property
    def has_output(self) -> bool:
        """Whether :meth:`take` has something to give."""
        return bool(self.output) or (self.gate is not None and self.gate.has_output)

    @property
    def is_behind(self) -> bool:
        """Whether some of the output is not in the stream yet."""
        return self._size > self._stream_size or self.after_input.due

    def take(self) -> bytes:
        """The next of the output, which goes into the stream; queues that had to wait for that are served."""
        data = self.take_bytes()
        if self.gate is not None:
            data = self.gate.leaving(data)
        if self.connection is not None and self.connection.unsent:
            self._tell_sent()
        return data

    def take_bytes(self) -> bytes:
        """:meth:`take`, where nobody waits for that."""
        if self._size > _CHUNK:
            return self._take_chunk()
        data = b"".join(self.output)
        self.output = []
        self.sent += self._size
        self._size = 0
        return data

    def _take_chunk(self) -> bytes:
        size = count = 0
        while size < _CHUNK and count < len(self.output):
            size += len(self.output[count])
            count += 1
        data = b"".join(self.output[:count])
        del self.output[:count]
        self._size -= size
        self.sent += size
        return data

    def _tell_sent(self) -> None:
        """Have queues hear that all was sent, if they wait for that."""
        connection = self.connection
        if connection is not None and connection.unsent and not self.is_behind:
            connection.sent()
            self.node.run_due()

    def write(self, data: bytes) -> None:
        """Add to the output: a command in frames, or a heartbeat."""
        if self.gate is not None and self.gate.keeps(data):
            return
        self.output.append(data)
        self._size += len(data)
        if self.handshake.heartbeat is not None:
            self.handshake.heartbeat.sent = True
        if self.wake is not None and len(self.output) == 1:
            self.wake()

    def method(self, channel: int, method: Method) -> None:
        """Send a method without content."""
        self.write(method.frame(channel))

    def queue_method(self, channel: int, method: Method) -> None:
        """Send a method of a queue's."""
        if self.after_input.reading:
            self.after_input.answer(channel, method.frame(channel))
        else:
            self.method(channel, method)

    def content(self, channel: int, method: Method, message: Message) -> None:
        """Send a method with a message."""
        frame = (method.frame(channel),)
        self.write(message_frames(channel, message.envelope.raw, message.body, self._frame_max, frame))

    def deliver(
        self, channel: int, consumer_tag: bytes, delivery_tag: int, redelivered: bool, message: Message
    ) -> None:
        """Send basic.deliver: the tag and the address stand ready as bytes, the content is passed through."""
        address = message.address
        frame = (
            _pack_deliver(METHOD, channel, 13 + len(consumer_tag) + len(address), _DELIVER_ID),
            consumer_tag,
            _pack_delivery(delivery_tag, redelivered),
            address,
            _END,
        )
        data = message_frames(channel, message.envelope.raw, message.body, self._frame_max, frame)
        if self.after_input.due and self.after_input.delays(channel):
            self.after_input.answer(channel, data)
        else:
            self.write(data)
