"""What a channel waits for: the answers to its requests, and methods that somebody asked for by their ids."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from hutch.client.message import Message
from hutch.client.promise import ensure_promise
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.methods import BasicCancel, BasicNack, ChannelOpenOk, ConnectionBlocked, ConnectionOpenOk

#: For some methods py-amqp shows only so many arguments.
_SHOWN: Final[dict[type[Method], int]] = {
    BasicCancel: 1,
    BasicNack: 2,
    ChannelOpenOk: 0,
    ConnectionBlocked: 0,
    ConnectionOpenOk: 0,
}


class Request:
    """A request on its way. ``replies`` are the types of method that answer it; ``on_reply`` is called with the answer
    before anything behind it is handed on.
    """

    __slots__ = ("awaited", "content", "error", "followed", "name", "on_reply", "ready", "replies", "reply", "waiting")

    def __init__(
        self, name: str, replies: tuple[type[Method], ...], on_reply: Callable[[Any], None] | None = None
    ) -> None:
        self.name = name
        self.replies = replies
        self.on_reply = on_reply
        #: Whether somebody waits for the answer, and who does so by its ids.
        self.awaited = False
        self.waiting: Waiting | None = None
        self.followed = False
        #: The answer, of one of these types.
        self.reply: Any = None
        self.content: Content | None = None
        self.ready = False
        self.error: Exception | None = None

    def __str__(self) -> str:
        return " or ".join(reply.NAME for reply in self.replies) + f", the answer to {self.name}"


class Waiting:
    """Somebody who waits for one of several methods, and what to call with it: its ids, then its arguments."""

    __slots__ = ("_promise", "error", "followed", "kinds", "ready")

    def __init__(self, kinds: Iterable[type[Method]], callback: Any) -> None:
        self.kinds = frozenset(kinds)
        self._promise = ensure_promise(callback)
        self.ready = False
        self.error: Exception | None = None
        self.followed = False

    def __str__(self) -> str:
        return " or ".join(sorted(kind.NAME for kind in self.kinds))

    def take(self, method: Method, message: Message | None) -> None:
        """Take the method, with the message it carries, if any.

        Raises:
            Exception: what the function to call raises, unless another thread is the one to hear of it.
        """
        arguments = [*_arguments(method), message] if message is not None else _arguments(method)
        try:
            self._promise((method.CLASS_ID, method.METHOD_ID), *arguments)
        except Exception as error:
            self.error = error
            if not self.followed:
                raise
        else:
            self.ready = True

    def result(self, returns_tuple: bool) -> Any:
        """The method's arguments, or the first one alone; of a method without any, and with a function, ``()``."""
        if not self._promise.value:
            return None
        (_, *arguments), _ = self._promise.value
        if returns_tuple:
            return tuple(arguments)
        return arguments[0] if arguments else ()


def _arguments(method: Method) -> list[Any]:
    """The arguments as py-amqp shows them: long strings as text, and not quite all."""
    values = [getattr(method, name) for name in method.FIELDS[: _SHOWN.get(type(method))]]
    return [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]
