"""The two kinds of error that AMQP knows (spec, section 1.2): soft ones close the channel, hard ones the connection."""

from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method


class AMQPError(Exception):
    """Raised inside the engine; the session turns it into channel.close or connection.close.

    ``code`` is the reply code and ``text`` what follows its name in the reply text. ``method`` is the method the close
    names as its cause: the type in hand unless given, or none at all with ``blame=False`` (0 and 0 on the wire).
    """

    def __init__(
        self, code: ReplyCode, text: str = "", *, method: type[Method] | None = None, blame: bool = True
    ) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.method = method
        self.blame = blame

    @property
    def reply_text(self) -> str:
        """The whole reply text: code name, dash, explanation; cut as RabbitMQ cuts it at 255 bytes (CHAN-17)."""
        text = f"{self.code} - {self.text}" if self.text else str(self.code)
        raw = text.encode("utf-8", "surrogateescape")
        if raw.decode("utf-8", "replace") != text:
            # It quotes bytes that are no text. 4.3 takes each for a character; 3.10 would send them as they are.
            text = raw.decode("latin-1")
            raw = text.encode()
        return text if len(raw) <= 255 else raw[:252].decode(errors="ignore") + "..."

    def __str__(self) -> str:
        return f"{int(self.code)} {self.reply_text}"


class SoftError(AMQPError):
    """Closes the channel."""


class HardError(AMQPError):
    """Closes the connection."""


def not_found(kind: str, name: str, vhost: str) -> SoftError:
    """404 for an exchange or queue (EXCH-DECLARE-02, QUEUE-DECLARE-07)."""
    return SoftError(ReplyCode.NOT_FOUND, f"no {kind} '{name}' in vhost '{vhost}'")


def refused(text: str) -> SoftError:
    """403 ACCESS_REFUSED."""
    return SoftError(ReplyCode.ACCESS_REFUSED, text)


def precondition_failed(text: str) -> SoftError:
    """406 PRECONDITION_FAILED."""
    return SoftError(ReplyCode.PRECONDITION_FAILED, text)


def not_implemented(what: str) -> HardError:
    """540 naming what is asked for: RabbitMQ's answer to what it lacks, and the emulator's to what it lacks."""
    return HardError(ReplyCode.NOT_IMPLEMENTED, what)


def internal_error() -> HardError:
    """541 as RabbitMQ sends it when a connection's process crashes: no explanation, no method (CONN-FRAME-24)."""
    return HardError(ReplyCode.INTERNAL_ERROR, blame=False)
