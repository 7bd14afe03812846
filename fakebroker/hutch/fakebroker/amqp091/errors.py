"""Errors as AMQP 0-9-1 tells them: with a reply code, which says whether the channel or the connection closes (spec,
section 1.2).
"""

from hutch.fakebroker.engine.errors import BrokerError
from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method


class AMQPError(Exception):
    """What channel.close or connection.close tells.

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
            # The text quotes bytes that are not UTF-8. 4.3 decodes each as one character. 3.10 would send the raw
            # bytes.
            text = raw.decode("latin-1")
            raw = text.encode()
        return text if len(raw) <= 255 else raw[:252].decode(errors="ignore") + "..."

    def __str__(self) -> str:
        return f"{int(self.code)} {self.reply_text}"


def in_amqp(error: AMQPError | BrokerError, method: type[Method] | None = None) -> AMQPError:
    """An error as AMQP tells it: the engine's names of errors are those of reply codes. ``method`` is its cause.

    An error without a text is a crash in RabbitMQ, which blames no method (CONN-FRAME-24).
    """
    if isinstance(error, AMQPError):
        return error
    return AMQPError(ReplyCode[error.name], error.text, method=method, blame=error.text != "")
