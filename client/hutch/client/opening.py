"""How a connection opens: from connection.start to connection.open-ok, and the states it goes through meanwhile."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from hutch.client import negotiation
from hutch.client.abstract_channel import frame_of
from hutch.client.compat.raw_methods import RawMethods
from hutch.client.exceptions import ConnectionError, UnexpectedFrame  # noqa: A004
from hutch.client.heartbeats import Heartbeats
from hutch.client.link import Link
from hutch.client.promise import ensure_promise
from hutch.client.reader import Violation
from hutch.client.sasl import SASL
from hutch.wire.content import Content
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldTable
from hutch.wire.frames import OVERHEAD
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionSecure,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
)
from hutch.wire.states import FROM_CLIENT, FROM_SERVER, ConnectionState, IllegalMethod, next_connection_state

#: The first bytes of a TLS server's answer to bytes that are not TLS (RFC 8446, section 5.1).
_TLS_ALERT: Final = b"\x15\x03"
#: The method that each state waits for, for the text of an error.
_NEXT_STEP: Final = {state: f"the server's next step in connection state {state.value}" for state in ConnectionState}

#: The methods that carry the opening of a connection forward.
_STEPS: Final = {ConnectionStart, ConnectionSecure, ConnectionTune, ConnectionOpenOk}

_NOTHING_YET: Final = ConnectionStart(0, 0, MappingProxyType({}), b"", b"")


def _check_greeting(begin: bytes) -> None:
    """Tell what a server is that does not answer with a method of AMQP 0-9-1."""
    if begin.startswith(b"AMQP"):
        version = "-".join(map(str, begin[4:]))
        raise ConnectionError(f"the server wants another version of AMQP: {version}, not 0-0-9-1")
    if begin.startswith(_TLS_ALERT):
        raise ConnectionError("the server speaks TLS there: ssl is wanted")


class OpeningMethods(RawMethods):
    """What a server says while a connection opens, and the answers. Base of :class:`Connection`, which documents it."""

    #: What every connection tells the server about itself, beside ``client_properties``.
    library_properties: Mapping[str, Any] = negotiation.LIBRARY_PROPERTIES
    #: The protocol extensions to use where the server has them.
    negotiate_capabilities: Mapping[str, bool] = negotiation.NEGOTIATE_CAPABILITIES

    authentication: tuple[SASL, ...]
    client_properties: dict[str, Any]
    locale: str
    virtual_host: str
    #: Seconds that the client asked for, as the constructor was told; ``None`` on the class, as in py-amqp.
    client_heartbeat: float | None = None
    on_tune_ok: Any
    channel_max = 65535
    frame_max = 131072
    server_heartbeat: int | None = None
    heartbeat: int | None = None
    userid: str | None
    _password: str | None
    _state = ConnectionState.CLOSED
    _start = _NOTHING_YET
    _server_properties: FieldTable | None = None
    #: The step that the server's next word answers, while the connection opens, and that word.
    _last_step: type[Method] | None = None
    _answer: Method | None = None

    @property
    def opening_state(self) -> str:
        """How far it has been opened: the name of its state, as the states of :mod:`hutch.wire.states` are named."""
        return self._state.value

    # what the server said of itself

    @property
    def version_major(self) -> int:
        """The first number of the server's version of AMQP."""
        return self._start.version_major

    @property
    def version_minor(self) -> int:
        """The second number."""
        return self._start.version_minor

    @property
    def server_properties(self) -> FieldTable:
        """What the server is, and can do."""
        if self._server_properties is None:
            said = self._start.server_properties
            self._server_properties = {
                name: dict(value) if isinstance(value, dict) else value for name, value in said.items()
            }
        return self._server_properties

    @server_properties.setter
    def server_properties(self, properties: FieldTable) -> None:
        self._server_properties = properties

    @property
    def mechanisms(self) -> list[bytes]:
        """The login mechanisms that the server takes."""
        return self._start.mechanisms.split()

    @property
    def locales(self) -> list[str]:
        """The languages of the server's texts."""
        return self._start.locales.decode("utf-8", "replace").split()

    @property
    def server_capabilities(self) -> Mapping[str, Any]:
        """The protocol extensions that the server has, name to ``True``."""
        return negotiation.capabilities(self.server_properties)

    # opening

    def receive_method(self, method: Method, content: Content | None) -> None:
        """Take a method on channel 0, if the connection's state allows it. The link calls it."""
        kind = type(method)
        following = FROM_SERVER[self._state].get(kind)
        if following is None:
            if self._state is ConnectionState.CLOSING:
                return
            raise self._out_of_place(kind)
        self._state = following
        if kind in _STEPS:
            self._answer = method
        else:
            super().receive_method(method, content)

    def _out_of_place(self, kind: type[Method]) -> Violation:
        try:
            next_connection_state(FROM_SERVER, self._state, kind)
        except IllegalMethod as illegal:
            signature = (kind.CLASS_ID, kind.METHOD_ID)
            error = UnexpectedFrame(f"{illegal.code} - {illegal.text}", signature, reply_code=illegal.code)
        return Violation(error)

    def _note_sent(self, method: Method) -> None:
        self._state = FROM_CLIENT[self._state].get(type(method), self._state)

    def _open(self, link: Link, deadline: float | None) -> None:
        """Go from the protocol header to connection.open-ok, one step after the other.

        Raises as :meth:`Connection.connect`.
        """
        self._state = ConnectionState.GREETING
        link.transport.send(PROTOCOL_HEADER, deadline)
        start: Any = self._next_answer(link, deadline)
        self._start = start
        self._server_properties = None
        self._state = ConnectionState.AUTHENTICATING
        self._last_step = ConnectionStartOk
        link.send(self._start_ok(start))

        tune: Any = self._next_answer(link, deadline)
        if isinstance(tune, ConnectionSecure):
            raise ConnectionError("the server asks for a further step of the login, which no mechanism here has")
        self.channel_max = tune.channel_max or self.channel_max
        self.frame_max = tune.frame_max or self.frame_max
        self.server_heartbeat = tune.heartbeat
        self.heartbeat = negotiation.heartbeat(self.client_heartbeat, tune.heartbeat) if self.client_heartbeat else 0
        self._last_step = ConnectionTuneOk
        self._state = ConnectionState.OPENING
        frame = negotiation.usual_frame(ConnectionTuneOk, self.channel_max, self.frame_max, self.heartbeat)
        link.frame_limit = self.frame_max - OVERHEAD
        link.reader.frame_max = self.frame_max
        if self.heartbeat:
            link.heartbeats = Heartbeats(self.heartbeat, link.transport.monotonic())
        if self.on_tune_ok is not None:
            ensure_promise(self.on_tune_ok)(self)

        self._last_step = ConnectionOpen
        self._state = ConnectionState.ACCEPTING
        frame += negotiation.usual_frame(ConnectionOpen, self.virtual_host)
        link.send(frame)  # one write, one thing to wake up for
        self._next_answer(link, deadline)
        self._last_step = None

    def _next_answer(self, link: Link, deadline: float | None) -> Method:
        """The server's next step, which :meth:`receive_method` has found to be legal in this state."""
        self._answer = None
        while self._answer is None:
            if not (link.reader.has_unseen() and link.next_method()):
                link.receive(deadline, _NEXT_STEP[self._state])
                if self._state is ConnectionState.GREETING:
                    _check_greeting(link.reader.rest[:8])
        return self._answer

    def _start_ok(self, start: ConnectionStart) -> bytes:
        """The frame with the login and the client's properties."""
        offered = negotiation.capabilities(start.server_properties)
        wanted = {name: value for name, value in self.negotiate_capabilities.items() if offered.get(name)}
        told = self.client_properties
        usual = (
            told == negotiation.LIBRARY_PROPERTIES
            and self.negotiate_capabilities is negotiation.NEGOTIATE_CAPABILITIES
            and not self.authentication
        )
        given = told.get("capabilities") or {}
        if given or wanted:
            told["capabilities"] = {**given, **wanted}
        if usual and wanted:  # as nearly always
            frame = negotiation.usual_start_ok(
                tuple(wanted), start.mechanisms, self.userid, self._password, self.locale
            )
            if frame is not None:
                return frame
        mechanisms = start.mechanisms.split()
        ours: Iterable[SASL] = self.authentication
        if not self.authentication:
            ours = negotiation.by_default(self.userid, self._password, mechanisms)
        mechanism, response = negotiation.first_response(self, ours, mechanisms)
        return frame_of(ConnectionStartOk(told, mechanism.decode(), response, self.locale), 0)
