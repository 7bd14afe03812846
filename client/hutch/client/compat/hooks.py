"""Where a connection's frames go through functions of the application's: see :mod:`hutch.client.method_framing`."""

import threading
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hutch.client.abstract_channel import AbstractChannel
from hutch.client.compat.frame_readers import HookedReader, OnFrame
from hutch.client.compat.raw_methods import RawMethods
from hutch.client.exceptions import ChannelNotOpen, MethodSig, RecoverableConnectionError
from hutch.client.link import Link
from hutch.client.message import ReceivedMessage
from hutch.client.method_framing import FrameHandler, FrameWriter, WriteFrame, frame_handler, frame_writer
from hutch.client.opening import OpeningMethods
from hutch.client.reader import Violation
from hutch.wire.content import ContentAssembler
from hutch.wire.frames import METHOD, FrameParser
from hutch.wire.methods import METHODS, PROTOCOL_HEADER
from hutch.wire.transport import Transport

if TYPE_CHECKING:
    from hutch.client.connection import Connection


class HookedTransport(Transport):
    """A transport whose frames to send are written by a function, :attr:`write_frame`, which calls :meth:`write`.

    What else there is of the transport, there is here too.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._sending = threading.local()
        self.write_frame: WriteFrame | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, within the time that is left for the frames being written."""
        self._inner.send(bytes(data), getattr(self._sending, "deadline", None))

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Have whole frames, of whole methods, written by the function."""
        if self.write_frame is None or data == PROTOCOL_HEADER:
            self._inner.send(data, deadline)
            return
        self._sending.deadline = deadline
        try:
            self._write(self.write_frame, data)
        finally:
            self._sending.deadline = None

    @staticmethod
    def _write(write_frame: WriteFrame, data: bytes) -> None:
        assembler = ContentAssembler(None)
        method = b""
        for kind, number, payload in FrameParser().feed(data):
            message = None
            if kind == METHOD:
                method = payload
                declared = METHODS.get(int.from_bytes(payload[:4]))
                if declared is not None and declared.CONTENT:
                    assembler.begin(declared.decode(payload))
                    continue
            elif assembler.method is None:
                write_frame(kind, number, None, None, None)
                continue
            else:
                content = assembler.add(kind, payload)
                if content is None:
                    continue
                message = ReceivedMessage(None, content.body, content.properties)
            sig = (int.from_bytes(method[:2]), int.from_bytes(method[2:4]))
            write_frame(METHOD, number, sig, method[4:], message)

    def connect(self, deadline: float | None) -> None:
        """Connect the transport."""
        self._inner.connect(deadline)

    def receive(self, deadline: float | None = None) -> bytes:
        """What the transport receives."""
        return self._inner.receive(deadline)

    def readable(self) -> bool:
        """Whether the transport has something to receive."""
        return self._inner.readable()

    def close(self) -> None:
        """Close the transport."""
        self._inner.close()

    def fileno(self) -> int | None:
        """The transport's file descriptor."""
        return self._inner.fileno()

    def monotonic(self) -> float:
        """The transport's clock."""
        return self._inner.monotonic()

    def receive_into(self, room: memoryview, deadline: float | None = None) -> int | None:
        """Receive into a room, if the transport does."""
        return self._inner.receive_into(room, deadline)

    @property
    def holds_unread(self) -> bool:
        """Whether the transport does."""
        return self._inner.holds_unread

    @property
    def poll_interval(self) -> float:
        """The transport's."""
        return self._inner.poll_interval

    @property
    def sock(self) -> Any:
        """The transport's socket."""
        return self._inner.sock


class HookMethods(OpeningMethods):
    """What frames pass on their way. Base of :class:`Connection`.

    Attributes:
        frame_handler_cls, frame_writer_cls: what makes the functions when the connection connects.
    """

    Channel: ClassVar[type[RawMethods]]
    channels: dict[int, AbstractChannel] | None

    frame_handler_cls: FrameHandler
    frame_writer_cls: FrameWriter
    _on_inbound_frame: OnFrame | None = None
    _frame_writer: WriteFrame | None = None
    _hooked: HookedTransport | None = None

    def on_inbound_method(self, channel_id: int, method_sig: MethodSig, payload: bytes, content: Any) -> None:
        """Take a method that a frame handler has put together, to the channel of that number: its callback.

        Raises:
            RecoverableConnectionError: the connection is closed.
            ChannelNotOpen: there is no such channel.
            AMQPError, Exception: as :meth:`dispatch_method`.
        """
        if self.channels is None:
            raise RecoverableConnectionError("connection already closed")
        channel = self.channels.get(channel_id)
        if channel is None:
            error = ChannelNotOpen(f"method {method_sig} on channel {channel_id}, not open", method_sig, reply_code=504)
            raise error from Violation(error)
        cast("RawMethods", channel).dispatch_method(method_sig, payload, content)

    @property
    def on_inbound_frame(self) -> OnFrame:
        """The function that takes each frame received; another one may be set while the connection is open.

        Raises:
            RecoverableConnectionError: the connection is closed.
        """
        self._opened("on_inbound_frame")
        if self._on_inbound_frame is None:
            self._on_inbound_frame = self.frame_handler_cls(cast("Connection", self), self.on_inbound_method)
        return self._on_inbound_frame

    @on_inbound_frame.setter
    def on_inbound_frame(self, on_frame: OnFrame) -> None:
        link = self._opened("on_inbound_frame")
        self._on_inbound_frame = on_frame
        if isinstance(link.reader, HookedReader):
            link.reader.on_frame = on_frame
        else:
            link.reader = HookedReader(link.reader, link.peers, on_frame)

    @property
    def frame_writer(self) -> WriteFrame:
        """The function that writes each method to send; another one may be set while the connection is open.

        Raises:
            RecoverableConnectionError: the connection is closed.
        """
        link = self._opened("frame_writer")
        if self._frame_writer is None:
            self._frame_writer = self.frame_writer_cls(cast("Connection", self), self._hookable(link))
        return self._frame_writer

    @frame_writer.setter
    def frame_writer(self, write_frame: WriteFrame) -> None:
        link = self._opened("frame_writer")
        self._frame_writer = write_frame
        hooked = self._hookable(link)
        hooked.write_frame = write_frame
        link.transport = hooked

    def _hookable(self, link: Link) -> HookedTransport:
        if self._hooked is None:
            self._hooked = HookedTransport(link.transport)
        return self._hooked

    def _hook(self) -> None:
        """Put in place what the connection was made with, if it is not what the shorter ways amount to."""
        self._on_inbound_frame = self._frame_writer = self._hooked = None
        takes_methods = (
            self.frame_handler_cls is not frame_handler
            or type(self).on_inbound_method is not HookMethods.on_inbound_method
            or type(self).dispatch_method is not RawMethods.dispatch_method
            or self.Channel.dispatch_method is not RawMethods.dispatch_method
        )
        if takes_methods:
            self.on_inbound_frame = self.frame_handler_cls(cast("Connection", self), self.on_inbound_method)
        if self.frame_writer_cls is not frame_writer:
            link = self._opened("frame_writer")
            self.frame_writer = self.frame_writer_cls(cast("Connection", self), self._hookable(link))
