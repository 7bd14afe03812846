"""How a connection opens: from connection.start to connection.open-ok, and the states it goes through meanwhile."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from hutch.client import negotiation
from hutch.client.exceptions import ConnectionError, UnexpectedFrame  # noqa: A004
from hutch.client.heartbeats import Heartbeats
from hutch.client.promise import ensure_promise
from hutch.client.raw_methods import RawMethods
from hutch.client.reader import Violation
from hutch.client.sasl import SASL
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldTable
from hutch.wire.frames import OVERHEAD
from hutch.wire.methods import (
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionSecure,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from hutch.wire.states import FROM_CLIENT, FROM_SERVER, ConnectionState, IllegalMethod, next_connection_state

_log = logging.getLogger("hutch.client")

_NOTHING_YET: Final[FieldTable] = MappingProxyType({})


class OpeningMethods(RawMethods):
    """What a server says while a connection opens, and the answers. Base of :class:`Connection`, which documents it."""

    #: What every connection tells the server of itself, beside ``client_properties``.
    library_properties: Mapping[str, Any] = negotiation.LIBRARY_PROPERTIES
    #: The protocol extensions to use where the server has them.
    negotiate_capabilities: Mapping[str, bool] = negotiation.NEGOTIATE_CAPABILITIES

    def __init__(self, *args: Any, client_properties: Mapping[str, Any] | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.authentication: tuple[SASL, ...] = ()
        self.client_properties: dict[str, Any] = {**self.library_properties, **(client_properties or {})}
        self.locale = "en_US"
        self.virtual_host = "/"
        self.channel_max = 65535
        self.frame_max = 131072
        self.client_heartbeat: float = 0
        self.server_heartbeat: int | None = None
        self.heartbeat: int | None = None
        self.on_tune_ok: Any = None
        self.version_major = 0
        self.version_minor = 0
        self.server_properties: FieldTable = _NOTHING_YET
        self.mechanisms: list[bytes] = []
        self.locales: list[str] = []
        self._servers_choice = False
        self._state = ConnectionState.CLOSED
        #: The step that the server's next word answers, while the connection opens.
        self._last_step: Method | None = None
        self._handlers[ConnectionStart] = self._on_start
        self._handlers[ConnectionSecure] = self._on_secure
        self._handlers[ConnectionTune] = self._on_tune
        self._handlers[ConnectionOpenOk] = self._on_open_ok

    @property
    def opening_state(self) -> str:
        """How far it has been opened: the name of its state, as the states of :mod:`hutch.wire.states` are named."""
        return self._state.value

    @property
    def server_capabilities(self) -> Mapping[str, Any]:
        """The protocol extensions that the server has, name to ``True``."""
        capabilities = self.server_properties.get("capabilities")
        return capabilities if isinstance(capabilities, dict) else {}

    def receive_method(self, method: Method, content: Content | None) -> None:
        """Take a method on channel 0, if the connection's state allows it. The link calls it."""
        closing = self._state is ConnectionState.CLOSING
        if closing and not isinstance(method, ConnectionClose | ConnectionCloseOk):
            return
        try:
            self._state = next_connection_state(FROM_SERVER, self._state, type(method))
        except IllegalMethod as illegal:
            signature = (method.CLASS_ID, method.METHOD_ID)
            error = UnexpectedFrame(f"{illegal.code} - {illegal.text}", signature, reply_code=illegal.code)
            raise Violation(error) from None
        super().receive_method(method, content)

    def _note_sent(self, method: Method) -> None:
        self._state = FROM_CLIENT[self._state].get(type(method), self._state)

    def _step(self, method: Method) -> bytes:
        """The frame of our next step, for the caller to send."""
        self._last_step = method
        self._state = next_connection_state(FROM_CLIENT, self._state, type(method))
        return self._frame(method)

    def _on_start(self, start: ConnectionStart, _content: Content | None) -> None:
        self.version_major = start.version_major
        self.version_minor = start.version_minor
        self.server_properties = {
            name: dict(value) if isinstance(value, dict) else value for name, value in start.server_properties.items()
        }
        self.mechanisms = start.mechanisms.split()
        self.locales = start.locales.decode("utf-8", "replace").split()
        _log.debug("server: %s, mechanisms %s, locales %s", start.server_properties, self.mechanisms, self.locales)
        offered = self.server_capabilities
        wanted = {name: value for name, value in self.negotiate_capabilities.items() if offered.get(name)}
        given = self.client_properties.get("capabilities") or {}
        if given or wanted:
            self.client_properties["capabilities"] = {**given, **wanted}
        mechanisms: Sequence[SASL] = self.authentication
        if self._servers_choice:
            mechanisms = negotiation.in_servers_order(mechanisms, self.mechanisms)
        mechanism, response = negotiation.first_response(self, mechanisms, self.mechanisms)
        step = self._step(ConnectionStartOk(self.client_properties, mechanism.decode(), response, self.locale))
        self._opened("connection.start-ok").send(step)

    def _on_secure(self, _secure: ConnectionSecure, _content: Content | None) -> None:
        raise ConnectionError("the server asks for a further step of the login, which no mechanism here has")

    def _on_tune(self, tune: ConnectionTune, _content: Content | None) -> None:
        link = self._opened("connection.tune")
        self.channel_max = tune.channel_max or self.channel_max
        self.frame_max = tune.frame_max or self.frame_max
        self.server_heartbeat = tune.heartbeat
        self.heartbeat = negotiation.heartbeat(self.client_heartbeat, tune.heartbeat)
        tune_ok = self._step(ConnectionTuneOk(self.channel_max, self.frame_max, self.heartbeat))
        link.frame_limit = self.frame_max - OVERHEAD
        link.reader.frame_max = self.frame_max
        if self.heartbeat:
            link.heartbeats = Heartbeats(self.heartbeat, link.transport.monotonic())
        ensure_promise(self.on_tune_ok)(self)
        link.send(tune_ok + self._step(ConnectionOpen(self.virtual_host)))  # one write, one thing to wake up for

    def _on_open_ok(self, _opened: ConnectionOpenOk, _content: Content | None) -> None:
        self._last_step = None
