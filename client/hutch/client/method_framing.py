"""Frames and methods, as two functions that may be replaced or wrapped (py-amqp's module of this name has them too).

A *frame handler* is called as ``handler(connection, callback)`` when a connection connects, and returns a function that
is given each frame received, as ``(type, channel, payload)``. That one calls ``callback(channel, method_sig, payload,
message)`` for each method that is complete, ``payload`` being that of the method's frame, and returns whether it did.

A *frame writer* is called as ``writer(connection, transport)``, and returns a function that is called with ``(1,
channel, method_sig, arguments, message)`` for each method to send, or ``(8, 0, None, None, None)`` for a heartbeat. It
writes the frames with ``transport.write(data)``.

::

    def traced(connection, callback):
        on_frame = frame_handler(connection, callback)

        def trace(frame):
            print(frame)
            return on_frame(frame)

        return trace

    Connection("localhost:5672", frame_handler=traced)

A connection with the handler and the writer of this module does without them: it knows shorter ways to the same end.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hutch.client.compat.frame_readers import FrameAssembler, OnFrame, OnMethod
from hutch.client.exceptions import MethodSig
from hutch.client.message import wire_content
from hutch.wire.frames import METHOD, OVERHEAD, content_frames, content_header, frame, method_frame

__all__ = [
    "FrameHandler",
    "FrameWriter",
    "OnFrame",
    "OnMethod",
    "WriteFrame",
    "frame_handler",
    "frame_writer",
    "method_frames",
]

if TYPE_CHECKING:
    from hutch.client.connection import Connection

#: The function that sends a method or a heartbeat. It gets type of the frame, channel number, ids, arguments, message.
WriteFrame = Callable[[int, int, MethodSig | None, bytes | str | None, Any], object]

FrameHandler = Callable[["Connection", OnMethod], OnFrame]
FrameWriter = Callable[["Connection", Any], WriteFrame]


def frame_handler(connection: "Connection", callback: OnMethod) -> OnFrame:  # noqa: ARG001  (others need it)
    """Put methods and their contents together, and call ``callback`` with each.

    The function returned raises UnexpectedFrame, FrameError, FrameSyntaxError, InvalidCommand or
    AMQPNotImplementedError for frames that are none or out of place, and what ``callback`` raises.
    """
    return FrameAssembler(callback).take_frame


def frame_writer(connection: "Connection", transport: Any) -> WriteFrame:
    """Write each method, with its content cut to ``connection.frame_max``, in one go.

    The function returned raises what ``transport.write`` raises, FrameSyntaxError for properties that cannot be
    written, and ValueError for more of them than a frame holds.
    """

    def write_frame(
        type_: int, channel: int, method_sig: MethodSig | None, args: bytes | str | None, content: Any
    ) -> None:
        if type_ != METHOD or method_sig is None:
            transport.write(frame(type_, channel, b""))
            return
        arguments = args.encode("utf-8", "surrogateescape") if isinstance(args, str) else args or b""
        transport.write(method_frames(channel, method_sig, arguments, content, connection.frame_max - OVERHEAD))

    return write_frame


def method_frames(channel: int, sig: MethodSig, arguments: bytes, message: Any, limit: int) -> bytes:
    """The frames of a method with the message it carries, if any; ``limit`` is for a frame's payload, in bytes.

    Raises:
        FrameSyntaxError: a property that does not fit its wire type.
        ValueError: properties that do not fit a frame.
    """
    head = method_frame(channel, sig[0].to_bytes(2) + sig[1].to_bytes(2) + arguments)
    if message is None:
        return head
    properties, body = wire_content(message)
    header = content_header(len(body), properties, sig[0])
    if len(header) > limit:
        raise ValueError(f"properties of {len(properties)} bytes do not fit a frame of {limit}")
    return head + content_frames(channel, header, body, limit + OVERHEAD)
