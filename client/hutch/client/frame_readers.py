"""Readers whose frames, or methods, go to functions: what :mod:`hutch.client.method_framing` is made of."""

from collections.abc import Callable
from typing import Any

from hutch.client.exceptions import AMQPError, MethodSig
from hutch.client.message import ReceivedMessage
from hutch.client.reader import Reader, Violation
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.frames import Frame

#: What takes a frame, and tells whether it completed a method.
OnFrame = Callable[[Frame], bool]
#: What is called with a method: channel number, ids, payload of its frame, message or ``None``.
OnMethod = Callable[[int, MethodSig, bytes, Any], object]


class HookedReader(Reader):
    """A reader that gives each frame to a function, :attr:`on_frame`. It takes over from another reader."""

    __slots__ = ("_only_connection", "on_frame")

    def __init__(self, other: Reader, on_frame: OnFrame) -> None:
        super().__init__({})
        self.frame_max = other.frame_max
        self.feed(other.unread)
        self._only_connection = False
        self.on_frame: Callable[[Frame], object] = on_frame  # the application's, which may return what it likes

    def drop_channels(self) -> None:
        """From now on pass on only the frames of the connection itself."""
        self._only_connection = True

    def next_method(self) -> bool:
        """Pass on frames until one has completed a method; ``False`` if none at hand does.

        Raises:
            Violation: the peer sent what it must not.
            Exception: whatever the function raises.
        """
        while (frame := self._next_frame()) is not None:
            frame_type, number, payload = frame
            if self._only_connection and number:
                continue
            received = frame_type, number, bytes(payload)
            try:
                if self.on_frame(received):
                    return True
            except AMQPError as error:
                if isinstance(error.__cause__, Violation) and error.__cause__.error is error:
                    raise error.__cause__ from None
                raise
        return False


class FrameAssembler(Reader):
    """Takes frames, not bytes, and calls a function with each method."""

    __slots__ = ("_on_method",)

    def __init__(self, on_method: OnMethod) -> None:
        super().__init__({})
        self._on_method = on_method

    def take_frame(self, received: Frame) -> bool:
        """Take a frame; whether it completed a method.

        Raises:
            AMQPError: the peer sent what it must not.
            Exception: whatever the function raises.
        """
        try:
            return self._take(*received)
        except Violation as violation:
            violation.error.__cause__ = violation  # as `raise from` does, which compiled code does not
            raise violation.error  # noqa: B904

    def _hand_on(self, number: int, method: Method, content: Content | None) -> None:
        sig, payload = (method.CLASS_ID, method.METHOD_ID), method.encode()
        message = None
        if content is not None:
            message = ReceivedMessage(None, content.body, content.header[12:])
            message.frame_method, message.frame_args = sig, payload
        self._on_method(number, sig, payload, message)
