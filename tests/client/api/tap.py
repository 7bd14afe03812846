"""Listening in on a connection: which methods the client sends, whatever broker it talks to."""

from typing import Any, TypeVar

from hutch.client import Connection
from hutch.wire.declaration import Method, decode_method
from hutch.wire.frames import METHOD, FrameParser
from hutch.wire.methods import PROTOCOL_HEADER
from hutch.wire.transport import RecordingTransport, Transport
from tests.targets import Target

M = TypeVar("M", bound=Method)


class _Tapped(RecordingTransport):
    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._real = inner

    @property
    def sock(self) -> Any:
        return getattr(self._real, "sock", None)


class Tap:
    """What passes over the wire of one connection."""

    def __init__(self) -> None:
        self._transport: _Tapped | None = None

    def on(self, transport: Transport) -> Transport:
        """Listen in on ``transport`` from now on."""
        self._transport = _Tapped(transport)
        return self._transport

    def sent(self, kind: type[M]) -> list[M]:
        """The methods of that type that the client sent, in order."""
        return self._methods("sent", kind)

    def received(self, kind: type[M]) -> list[M]:
        """The methods of that type that the broker sent, in order."""
        return self._methods("received", kind)

    def _methods(self, way: str, kind: type[M]) -> list[M]:
        assert self._transport is not None, "not connected"
        data = b"".join(data for passed, data in self._transport.log if passed == way)
        frames = FrameParser(1 << 20).feed(data.removeprefix(PROTOCOL_HEADER))
        methods = [decode_method(payload) for frame_type, _, payload in frames if frame_type == METHOD]
        return [method for method in methods if isinstance(method, kind)]


def tapped(target: Target, **parameters: Any) -> tuple[Connection, Tap]:
    """A connection to ``target``, not yet opened, and what passes over it."""
    tap = Tap()
    make = target.parameters.get("transport")
    if make is not None:
        return target.connection(**{**parameters, "transport": lambda: tap.on(make())}), tap
    connection = target.connection(**parameters)
    make = connection.Transport
    connection.Transport = lambda *args, **kwargs: tap.on(make(*args, **kwargs))  # type: ignore[method-assign]
    return connection, tap
