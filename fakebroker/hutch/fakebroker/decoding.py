"""From a frame's bytes to a method, or to the error that RabbitMQ answers with."""

from hutch.fakebroker.engine.errors import HardError
from hutch.fakebroker.engine.tables import NotFinite, check_table, too_deep
from hutch.fakebroker.engine.terms import frame_snippet, print_binary
from hutch.wire.codes import ReplyCode
from hutch.wire.fields import FieldError, TruncatedField, UnknownFieldType
from hutch.wire.frames import METHOD, FrameError, FrameTooLarge, WrongFrameEnd
from hutch.wire.methods import MalformedShortStr, Method, MethodDecodeError, decode_method


class Unanswerable(Exception):
    """What makes RabbitMQ drop a connection without a word."""


def decode(payload: bytes) -> Method:
    """The method of a frame.

    Raises:
        HardError: 501, it cannot be decoded (CONN-FRAME-15 to CONN-FRAME-19); 540, its table is nested too deeply.
        Unanswerable: there is no such method, or its table holds what RabbitMQ cannot read.
    """
    try:
        method = decode_method(payload)
        for name in method.TABLES:
            check_table(getattr(method, name))
        return method
    except (KeyError, NotFinite, UnknownFieldType):
        raise Unanswerable from None
    except TruncatedField:
        text = f"{frame_snippet(METHOD, payload)}: unknown_frame"
        raise HardError(ReplyCode.FRAME_ERROR, text, blame=False) from None
    except MethodDecodeError as error:
        text = f"cannot decode {print_binary(error.arguments)}"
        raise HardError(ReplyCode.FRAME_ERROR, text, method=error.method) from None
    except MalformedShortStr:
        raise HardError(ReplyCode.FRAME_ERROR, "Malformed UTF-8 in shortstr", blame=False) from None
    except FieldError:
        raise too_deep() from None


def frame_error(error: FrameError) -> HardError:
    """The 501 for bytes that are no frame (CONN-FRAME-21)."""
    reason = ""
    if isinstance(error, FrameTooLarge):
        reason = f"{{frame_too_large,{error.size},{error.limit}}}"
    elif isinstance(error, WrongFrameEnd):
        reason = f"{{invalid_frame_end_marker,{error.end}}}"
    text = f"{frame_snippet(error.frame_type, error.payload)}: {reason}"
    return HardError(ReplyCode.FRAME_ERROR, text, blame=False)
