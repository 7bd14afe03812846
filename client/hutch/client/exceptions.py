"""What can go wrong, in the tree of exceptions that py-amqp's users know.

Two lines run through it: whether the connection or one channel is lost, and whether trying again may help. A broker's
reply code picks the class (AMQP 0-9-1 specification, section 1.2).
"""

from functools import cache

from hutch.wire.methods import METHODS

__all__ = [
    "AMQPError",
    "AMQPNotImplementedError",
    "AccessRefused",
    "ChannelError",
    "ChannelNotOpen",
    "ConnectionError",
    "ConnectionForced",
    "ConsumerCancelled",
    "ContentTooLarge",
    "FrameError",
    "FrameSyntaxError",
    "InternalError",
    "InvalidCommand",
    "InvalidPath",
    "IrrecoverableChannelError",
    "IrrecoverableConnectionError",
    "MessageNacked",
    "NoConsumers",
    "NotAllowed",
    "NotFound",
    "PreconditionFailed",
    "RecoverableChannelError",
    "RecoverableConnectionError",
    "ResourceError",
    "ResourceLocked",
    "UnexpectedFrame",
    "error_for_code",
]

#: Class id and method id of the method an error is about; ``(0, 0)`` where the broker names none.
MethodSig = tuple[int, int]


@cache
def method_name(method_sig: MethodSig) -> str:
    """py-amqp's spelling of a method's name, ``Queue.declare_ok``; empty for ids that no method has."""
    method = METHODS.get(method_sig[0] << 16 | method_sig[1])
    return method.NAME.replace("-", "_").capitalize() if method else ""


class MessageNacked(Exception):
    """The broker refused to take responsibility for a published message (https://www.rabbitmq.com/docs/confirms)."""


class AMQPError(Exception):
    """Base of the errors that AMQP itself knows.

    Attributes:
        reply_code: the broker's code, or the class's :attr:`code` where the client raised it. Also ``args[0]``.
        reply_text: the broker's text; ``message`` is the same.
        method_sig: ids of the method that caused it, if any.
        method_name: its name, ``Queue.declare``; ``method`` is this or the ids.
    """

    code = 0

    def __init__(
        self,
        reply_text: str | None = None,
        method_sig: MethodSig | None = None,
        method_name: str | None = None,
        reply_code: int | None = None,
    ) -> None:
        number = None if reply_code is None else int(reply_code)  # where it is one of ReplyCode, which prints its name
        self.message = reply_text
        self.reply_text = reply_text
        self.reply_code = number or self.code
        self.method_sig = method_sig
        self.method_name = method_name or (_name_of(method_sig) if method_sig else "")
        super().__init__(number, reply_text, method_sig, self.method_name)

    @property
    def method(self) -> str | MethodSig | None:
        """What caused it: the method's name, its ids where it has no name, or nothing."""
        return self.method_name or self.method_sig

    def __str__(self) -> str:
        if self.method_name:
            return f"{self.method_name}: ({self.reply_code}) {self.reply_text}"
        if self.method_sig:
            place = "" if self.method_sig == (0, 0) else f"{self.method_sig}: "
            return f"{place}({self.reply_code}) {self.reply_text}"
        return self.reply_text or f"<{type(self).__name__}: unknown error>"


_name_of = method_name


class ConnectionError(AMQPError):  # noqa: A001  (py-amqp's name)
    """The connection is lost, or was never made."""


class ChannelError(AMQPError):
    """A channel was closed, or refused something."""


class RecoverableChannelError(ChannelError):
    """Trying again on a channel may help."""


class IrrecoverableChannelError(ChannelError):
    """Trying again will not help."""


class RecoverableConnectionError(ConnectionError):
    """Trying again on a new connection may help."""


class IrrecoverableConnectionError(ConnectionError):
    """Trying again will not help."""


class ConsumerCancelled(RecoverableConnectionError):
    """The broker ended a consumer that has no ``on_cancel`` (https://www.rabbitmq.com/docs/consumer-cancel)."""


class ContentTooLarge(RecoverableChannelError):
    """311: the content is larger than the broker can take just now."""

    code = 311


class NoConsumers(RecoverableChannelError):
    """313: an immediate message had no consumer."""

    code = 313


class ConnectionForced(RecoverableConnectionError):
    """320: an operator or the broker closed the connection, or its heartbeats stopped."""

    code = 320


class InvalidPath(IrrecoverableConnectionError):
    """402: an unknown virtual host, in the specification's own words; RabbitMQ says 530."""

    code = 402


class AccessRefused(IrrecoverableChannelError):
    """403: no permission, or the login was refused."""

    code = 403


class NotFound(IrrecoverableChannelError):
    """404: no such queue or exchange."""

    code = 404


class ResourceLocked(RecoverableChannelError):
    """405: the queue is exclusive to another connection."""

    code = 405


class PreconditionFailed(IrrecoverableChannelError):
    """406: declared otherwise before, an unknown delivery tag, or the like."""

    code = 406


class FrameError(IrrecoverableConnectionError):
    """501: bytes that are no frame."""

    code = 501


class FrameSyntaxError(IrrecoverableConnectionError):
    """502: a field that cannot be read, or cannot be written."""

    code = 502


class InvalidCommand(IrrecoverableConnectionError):
    """503: a method out of place."""

    code = 503


class ChannelNotOpen(IrrecoverableConnectionError):
    """504: a method on a channel that is not open."""

    code = 504


class UnexpectedFrame(IrrecoverableConnectionError):
    """505: a frame out of place."""

    code = 505


class ResourceError(RecoverableConnectionError):
    """506: a resource is used up."""

    code = 506


class NotAllowed(IrrecoverableConnectionError):
    """530: refused on principle; a missing virtual host, too many channels, a consumer tag used twice."""

    code = 530


class AMQPNotImplementedError(IrrecoverableConnectionError):
    """540: the other side has not implemented it."""

    code = 540


class InternalError(IrrecoverableConnectionError):
    """541: the broker failed, or denies a deprecated feature."""

    code = 541


_BY_CODE: dict[int, type[AMQPError]] = {
    kind.code: kind
    for kind in (
        ContentTooLarge,
        NoConsumers,
        ConnectionForced,
        InvalidPath,
        AccessRefused,
        NotFound,
        ResourceLocked,
        PreconditionFailed,
        FrameError,
        FrameSyntaxError,
        InvalidCommand,
        ChannelNotOpen,
        UnexpectedFrame,
        ResourceError,
        NotAllowed,
        AMQPNotImplementedError,
        InternalError,
    )
}


def error_for_code(code: int, text: str, method: MethodSig | None, default: type[AMQPError]) -> AMQPError:
    """The error that stands for a reply code; one of class ``default`` for a code that has no class."""
    return _BY_CODE.get(code, default)(text, method, reply_code=code)
