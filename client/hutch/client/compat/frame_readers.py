"""Readers whose frames, or methods, go to functions: what :mod:`hutch.client.method_framing` is made of."""

from collections.abc import Callable
from typing import Any

from hutch.client.exceptions import AMQPError, MethodSig
from hutch.client.message import ReceivedMessage
from hutch.client.reader import ANY_SIZE, FROM_SERVER, ToPeers, Violation, unread
from hutch.wire.content import Content
from hutch.wire.cutter import COMMAND, NOTHING, Commands, Cutter
from hutch.wire.declaration import Method
from hutch.wire.frames import Frame, frame
from hutch.wire.methods import BasicDeliver

#: The handler of a frame. It returns whether the frame completed a method.
OnFrame = Callable[[Frame], bool]
#: The callback for a method. It gets channel number, ids, payload of the method's frame, and message or ``None``.
OnMethod = Callable[[int, MethodSig, bytes, Any], object]


class HookedReader(Cutter):
    """A reader that gives each frame to a function, :attr:`on_frame`. It takes over from another reader."""

    def __init__(self, other: Cutter, peers: ToPeers, on_frame: OnFrame) -> None:
        super().__init__(FROM_SERVER, peers, (), BasicDeliver, ANY_SIZE, other.frame_max)
        self.add(unread(other))
        self._peers = peers
        self.on_frame: Callable[[Frame], object] = on_frame  # the application's, which may return what it likes

    def next(self, by_frames: bool = False) -> int:  # noqa: ARG002  (it goes by frames always)
        """Pass on frames until one has completed a method, if one at hand does.

        Raises:
            Violation: the peer sent what it must not.
            FrameError: it sent bytes that are no frame.
            Exception: what the function raises.
        """
        while (received := self.next_frame()) is not None:
            if self._peers.only_connection and received[1]:
                continue
            try:
                if self.on_frame(received):
                    return COMMAND
            except AMQPError as error:
                if isinstance(error.__cause__, Violation) and error.__cause__.error is error:
                    raise error.__cause__ from None
                raise
        return NOTHING


class FrameAssembler(Commands):
    """Takes frames, not bytes, and calls a function with each method."""

    def __init__(self, on_method: OnMethod) -> None:
        self._on_method = on_method
        self._cutter = Cutter(FROM_SERVER, self, (), BasicDeliver, ANY_SIZE)

    def take_frame(self, received: Frame) -> bool:
        """Take a frame; whether it completed a method.

        Raises:
            AMQPError: the peer sent what it must not.
            Exception: what the function raises.
        """
        self._cutter.add(frame(*received))
        try:
            return self._cutter.next(by_frames=True) == COMMAND
        except Violation as violation:
            violation.error.__cause__ = violation  # as `raise from` does, which compiled code does not
            raise violation.error  # noqa: B904

    def command(self, channel: int, method: Method, content: Content | None) -> None:
        """Call the function."""
        sig, payload = (method.CLASS_ID, method.METHOD_ID), method.encode()
        message = None
        if content is not None:
            message = ReceivedMessage(None, content.body, content.properties)
            message.frame_method, message.frame_args = sig, payload
        self._on_method(channel, sig, payload, message)
