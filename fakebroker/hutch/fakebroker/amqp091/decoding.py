"""From a frame's bytes to a method, or to the error that RabbitMQ answers with."""

from typing import Final

from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.engine.errors import internal_error
from hutch.fakebroker.engine.table_checks import NotFinite, check_table, too_deep
from hutch.fakebroker.erlang.terms import frame_snippet, print_binary
from hutch.wire.codes import ReplyCode
from hutch.wire.fields import FieldError, TruncatedField, UnknownFieldType
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, FrameError, FrameTooLarge, WrongFrameEnd
from hutch.wire.methods import METHODS, MalformedShortStr, Method, MethodDecodeError, decode_method

#: Minimum payload size of a channel's frame, in bytes, by frame type.
_SHORTEST: Final = {METHOD: 4, HEADER: 12, BODY: 0}


class Unanswerable(Exception):
    """What makes RabbitMQ drop a connection without a word; its text is for logs and the history."""


def check_frame(frame_type: int, payload: bytes) -> None:
    """Refuse what is no method, content header or body, as RabbitMQ does before it looks for a frame's channel.

    Raises:
        AMQPError: 505, it is a heartbeat; 501, it is none of them, or cut short (CONN-FRAME-03, -04, -14, -15).
        Unanswerable: there is no such method.
    """
    if frame_type == HEARTBEAT:
        raise AMQPError(ReplyCode.UNEXPECTED_FRAME, frame_snippet(frame_type, payload), blame=False)
    shortest = _SHORTEST.get(frame_type)
    if shortest is None or len(payload) < shortest:
        text = f"{frame_snippet(frame_type, payload)}: unknown_frame"
        raise AMQPError(ReplyCode.FRAME_ERROR, text, blame=False)
    if frame_type == METHOD and int.from_bytes(payload[:4]) not in METHODS:
        raise _unknown_method(payload)


def _unknown_method(payload: bytes) -> Unanswerable:
    class_id, method_id = (int.from_bytes(payload[at : at + 2]) for at in (0, 2))
    return Unanswerable(f"client sent a method that does not exist: class {class_id}, method {method_id}")


def decode(payload: bytes, channel: int) -> Method:
    """The method of a frame on a channel.

    Raises:
        AMQPError: 501, it cannot be decoded (CONN-FRAME-15 to CONN-FRAME-19).
        BrokerError: 541 for that on channel 0; 540, its table is nested too deeply.
        Unanswerable: there is no such method, or its table holds what RabbitMQ cannot read.
    """
    try:
        method = decode_method(payload)
        for name in method.TABLES:
            if table := getattr(method, name):
                check_table(table)
        return method
    except KeyError:
        raise _unknown_method(payload) from None
    except (NotFinite, UnknownFieldType) as error:
        raise Unanswerable(f"client sent a table that RabbitMQ cannot read: {error}") from None
    except TruncatedField:
        text = f"{frame_snippet(METHOD, payload)}: unknown_frame"
        raise AMQPError(ReplyCode.FRAME_ERROR, text, blame=False) from None
    except MethodDecodeError as wrong:
        if not channel:
            raise internal_error() from None
        text = f"cannot decode {print_binary(wrong.arguments)}"
        raise AMQPError(ReplyCode.FRAME_ERROR, text, method=wrong.method) from None
    except MalformedShortStr:
        blamed = None if channel else METHODS[int.from_bytes(payload[:4])]
        text = "Malformed UTF-8 in shortstr"
        raise AMQPError(ReplyCode.FRAME_ERROR, text, method=blamed, blame=blamed is not None) from None
    except FieldError:
        raise too_deep() from None


def frame_error(error: FrameError) -> AMQPError:
    """The 501 for bytes that are no frame (CONN-FRAME-21)."""
    reason = ""
    if isinstance(error, FrameTooLarge):
        reason = f"{{frame_too_large,{error.size},{error.limit}}}"
    elif isinstance(error, WrongFrameEnd):
        reason = f"{{invalid_frame_end_marker,{error.end}}}"
    text = f"{frame_snippet(error.frame_type, error.payload)}: {reason}"
    return AMQPError(ReplyCode.FRAME_ERROR, text, blame=False)
