"""Channel 0: the protocol header, login, tuning, opening, heartbeats and the closing handshake."""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.connection import AMQPConnection
from hutch.fakebroker.amqp091.decoding import decode
from hutch.fakebroker.amqp091.errors import AMQPError, in_amqp
from hutch.fakebroker.amqp091.heartbeat import Heartbeat
from hutch.fakebroker.amqp091.other_protocols import HEADER_1_0_SASL, refusal
from hutch.fakebroker.amqp091.sasl import LoginRefused, MalformedResponse, UnreadableResponse, authenticate
from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.vhosts import enter
from hutch.fakebroker.erlang.terms import frame_snippet
from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method
from hutch.wire.fields import FieldTable
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, HEARTBEAT_FRAME, METHOD
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
    ConnectionUnblocked,
    ConnectionUpdateSecret,
    ConnectionUpdateSecretOk,
)
from hutch.wire.states import FROM_CLIENT, FROM_SERVER, ConnectionState, IllegalMethod, next_connection_state

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.profile import AMQPProfile
    from hutch.fakebroker.amqp091.session import Session

#: Seconds that a client may take to open its connection (CONN-HDR-10).
HANDSHAKE_TIMEOUT: Final = 10.0
#: Seconds that RabbitMQ delays the end after a refused login or tuning (CONN-AUTH-04).
SILENCE: Final = 3.0

#: Seconds that a closed connection waits for the client to end the stream. A shorter negotiated heartbeat shortens the
#: wait (CONN-CLOSE-01, CONN-CLOSE-05).
CLOSING_TIMEOUT: Final = 30.0

_HEADER_0_9 = b"AMQP\x01\x01\x00\x09"
_HEADER_0_8 = b"AMQP\x01\x01\x08\x00"

#: States in which errors are not answered.
_SILENT: Final = frozenset(
    {ConnectionState.GREETING, ConnectionState.STARTING, ConnectionState.SECURING, ConnectionState.TUNING}
)

#: In RabbitMQ's order (CONN-HDR-13).
_CAPABILITIES: Final = dict.fromkeys(
    (
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ),
    True,
)


def server_properties(profile: "AMQPProfile") -> FieldTable:
    """What connection.start says of the broker (CONN-HDR-12). ``cluster_name`` tells that it is an emulator."""
    return {
        "capabilities": _CAPABILITIES,
        "cluster_name": NODE_NAME,
        "copyright": profile.copyright,
        "information": "Licensed under the MPL 2.0. Website: https://rabbitmq.com",
        "platform": profile.platform,
        "product": "RabbitMQ",
        "version": profile.version,
    }


@lru_cache
def _start(profile: "AMQPProfile", mechanisms: tuple[str, ...], major: int) -> bytes:
    """The frame of connection.start, which is the same for every client."""
    start = ConnectionStart(
        version_major=major,
        version_minor=0 if major else 9,
        server_properties=server_properties(profile),
        mechanisms=" ".join(mechanisms).encode(),
    )
    return start.frame(0)


class Handshake:
    """The connection-level half of a session. ``deaf`` is set once nothing that the client sends counts any more.

    ``state`` is CLOSING from the client's connection.close until the bytes that came with it are used up, and CLOSED as
    soon as connection.close was sent or answered. ``closing_timeout`` is how many seconds the client may take then.
    ``identity`` is as of :class:`Session`.
    """

    def __init__(self, session: "Session", identity: str | None) -> None:
        self.state = ConnectionState.GREETING
        self.deaf = False
        self.closing_timeout = CLOSING_TIMEOUT
        self._session: Final = session
        self._profile: Final = session.profile
        self._identity: Final = identity
        self._mechanisms: Final = (
            self._profile.mechanisms if identity is None else self._profile.mechanisms_with_external
        )
        self._header = b""
        #: The reason to refuse a valid login; empty if it is accepted.
        self.refusal = ""
        self._capabilities: FieldTable = {}
        self._client: Final = session.client
        #: Notified of traffic, once heartbeats are negotiated.
        self.heartbeat: Heartbeat | None = None
        session.end_in(HANDSHAKE_TIMEOUT, f"the connection was not open within {HANDSHAKE_TIMEOUT:g} seconds")

    def answers(self, error: AMQPError) -> bool:
        """Whether an error is answered with connection.close: not before the login is through (CONN-OPEN-08), and an
        internal one not before the connection is open.
        """
        if self.state is ConnectionState.OPENING:
            return error.code is not ReplyCode.INTERNAL_ERROR
        return self.state not in _SILENT

    def closed(self) -> None:
        """Connection.close was sent, or answered. Heartbeats go on, and none is expected."""
        self.state = ConnectionState.CLOSED
        if self.heartbeat is not None:
            self.heartbeat.pause_monitor()
        self._session.end_in(self.closing_timeout)

    def dropped(self) -> None:
        """The stream ends, and heartbeats with it."""
        self.state = ConnectionState.CLOSED
        self.deaf = True
        if self.heartbeat is not None:
            self.heartbeat.stop()
            self.heartbeat = None

    def block(self, reason: str | None) -> None:
        """Tell a client that wants to know that it is not read from now on, or with ``None`` that it is again; its
        heartbeats do not count meanwhile (CONN-BLOCK-02, CONN-BLOCK-03).
        """
        if self.heartbeat is not None and reason is not None:
            self.heartbeat.pause_monitor()
        elif self.heartbeat is not None:
            self.heartbeat.resume_monitor()
        if self._capabilities.get("connection.blocked") is True:
            self._send(ConnectionUnblocked() if reason is None else ConnectionBlocked(reason))

    def drop_later(self, reason: str) -> None:
        """Say nothing, hear nothing, and end in a while; ``reason`` is for logs and the history."""
        self._session.note(reason)
        self.fall_silent()

    def fall_silent(self) -> None:
        """Hear nothing more, and end in a while."""
        self.deaf = True
        self._session.end_in(SILENCE)

    # the protocol header

    def greet(self, data: bytes) -> bytes:
        """Take the protocol header; what stands behind it (CONN-HDR)."""
        self._header += data
        if len(self._header) < 8:
            return b""
        header, rest = self._header[:8], self._header[8:]
        speaks_0_8 = header == _HEADER_0_8 and self._profile.accepts_0_8
        if speaks_0_8 or header in {PROTOCOL_HEADER, _HEADER_0_9}:
            self.state = next_connection_state(FROM_SERVER, self.state, ConnectionStart)
            if speaks_0_8:
                self._client.protocol = (0, 8, 0)
            self._session.write(_start(self._profile, self._mechanisms, 8 if speaks_0_8 else 0))
            return rest
        # A wrong 0-9 revision gets the 0-9-1 header. Other headers get AMQP 1.0's if the version speaks it, else
        # 0-9-1's.
        wrong_revision = header[:7] == PROTOCOL_HEADER[:7]
        other = HEADER_1_0_SASL if self._profile.speaks_1_0 and not wrong_revision else PROTOCOL_HEADER
        self._session.write(other)
        self._session.note(refusal(header))
        self._session.drop()
        return b""

    # frames

    def frame(self, frame_type: int, number: int, payload: bytes) -> None:
        """A frame on channel 0, or on any channel while the connection is not running."""
        if self.state in {ConnectionState.CLOSING, ConnectionState.CLOSED}:
            if frame_type == METHOD and not number and len(payload) >= 4:
                self._await_end(payload)
            return
        if frame_type == HEARTBEAT and number == 0 and not payload:
            return
        if frame_type not in {METHOD, HEADER, BODY} and (frame_type != HEARTBEAT or number == 0):
            text = f"{frame_snippet(frame_type, payload)}: unknown_frame"
            raise AMQPError(ReplyCode.FRAME_ERROR, text, blame=False)
        if number or frame_type != METHOD:
            raise AMQPError(ReplyCode.UNEXPECTED_FRAME, frame_snippet(frame_type, payload), blame=False)
        method = decode(payload, number)
        if self._session.gate is None:
            self.carry_out(method)
        else:
            self._session.gate.connection_method(method)

    def _await_end(self, payload: bytes) -> None:
        """Nothing counts but the end of the closing handshake (CONN-CLOSE-02, CONN-CLOSE-04)."""
        method = decode(payload, 0)
        if isinstance(method, ConnectionClose):
            self._session.method(0, ConnectionCloseOk())
        elif isinstance(method, ConnectionCloseOk) and self.state is ConnectionState.CLOSED:
            self._session.after_input.end(self._session.drop)

    def _answer_close(self) -> None:
        """Answer the client's connection.close, unless an error was found meanwhile."""
        if self.state is ConnectionState.CLOSING:
            self._session.method(0, ConnectionCloseOk())
            # The client should end the stream; the broker ends it after a timeout (CONN-CLOSE-01).
            self.closed()

    def carry_out(self, method: Method) -> None:
        """Do what a method of channel 0 asks for.

        Raises:
            AMQPError, BrokerError: the connection is to close.
        """
        try:
            following = next_connection_state(FROM_CLIENT, self.state, type(method))
        except IllegalMethod as error:
            raise AMQPError(error.code, error.text, method=error.method) from None
        if type(method) is ConnectionStartOk:
            self.state = following
            self._log_in(method)
        elif type(method) is ConnectionTuneOk:
            self._tune(method, following)
        elif type(method) is ConnectionOpen:
            self.state = following
            self._open(method)
        elif type(method) is ConnectionUpdateSecret:
            self._update_secret()
        elif type(method) is ConnectionClose:
            # Open channels end first. They report that after the bytes at hand are processed.
            has_channels = self._session.has_channels
            self._session.release()
            self.state = following
            if has_channels:
                self._session.after_input.end(self._answer_close)
            else:
                self._answer_close()

    def _send(self, method: Method) -> None:
        self.state = next_connection_state(FROM_SERVER, self.state, type(method))
        self._session.method(0, method)

    # steps

    def _log_in(self, method: ConnectionStartOk) -> None:
        session, client = self._session, self._client
        client.properties, client.mechanism = method.client_properties, method.mechanism
        capabilities = method.client_properties.get("capabilities", {})
        if isinstance(capabilities, dict):
            self._capabilities = capabilities
        try:
            user = authenticate(method.mechanism, method.response, self._mechanisms, session.node.users, self._identity)
            if not session.peer.local and user in session.node.loopback_users:
                raise LoginRefused(user, f"user '{user}' can only connect via localhost")
            if self.refusal:
                raise LoginRefused(user, self.refusal)
        except MalformedResponse as malformed:
            if not isinstance(malformed, UnreadableResponse):
                session.node.journal.authentication_failed(client, None, str(malformed))
            self.drop_later(f"login failed: {malformed}")
            return
        except LoginRefused as refused:
            session.node.journal.authentication_failed(client, refused.user, refused.reason)
            if self._capabilities.get("authentication_failure_close") is not True:
                self.drop_later(f"login refused: {refused.reason}")
                return
            text = f"Login was refused using authentication mechanism {method.mechanism}. "
            session.fail(AMQPError(ReplyCode.ACCESS_REFUSED, text + "For details see the broker logfile.", blame=False))
            session.refusal = f"{method.mechanism} login refused: {refused.reason}"  # the details are for the log
            # For this close-ok the broker waits less than usual.
            session.end_in(SILENCE)
            return
        client.user = user
        session.node.journal.authenticated(client, user)
        profile = self._profile
        self._send(ConnectionTune(profile.channel_max, profile.frame_max, profile.heartbeat))

    def _tune(self, method: ConnectionTuneOk, following: ConnectionState) -> None:
        session, profile = self._session, self._profile
        channels_fit = 1 <= method.channel_max <= profile.channel_max
        if not channels_fit or not profile.frame_min <= method.frame_max <= profile.frame_max:
            limits = f"channel_max {method.channel_max} and frame_max {method.frame_max}"
            allowed = f"1 to {profile.channel_max} and {profile.frame_min} to {profile.frame_max}"
            self.drop_later(f"client asked for {limits}; allowed are {allowed}")
            return
        session.tuned(method.channel_max, method.frame_max)
        client = self._client
        client.channel_max, client.frame_max, client.heartbeat = method.channel_max, method.frame_max, method.heartbeat
        if method.heartbeat:
            self.heartbeat = Heartbeat(session.timers, method.heartbeat, self._beat, self._give_up)
            self.closing_timeout = min(CLOSING_TIMEOUT, method.heartbeat)
        self.state = following

    def _update_secret(self) -> None:
        """The secret counts for nothing: users are the broker's own (CONN-AUTH-13)."""
        connection = self._session.connection
        if connection is not None and self._profile.update_secret_forgets_permissions:
            for channel in connection.channels.values():
                channel.actor.forget()
        self._send(ConnectionUpdateSecretOk())

    def _beat(self) -> None:
        self._session.write(HEARTBEAT_FRAME)

    def _give_up(self) -> None:
        self._session.note(f"missed heartbeats from client, timeout: {self._client.heartbeat}s")
        self._session.drop()

    def _open(self, method: ConnectionOpen) -> None:
        session = self._session
        user = self._client.user or ""
        try:
            vhost = enter(session.node, user, method.virtual_host)
        except BrokerError as error:
            raise in_amqp(error, ConnectionOpen) from None
        session.end_in(None)
        cancel_notify = self._capabilities.get("consumer_cancel_notify") is True
        session.connection = AMQPConnection(
            self._client, user, vhost, session, session.after_input, self._profile, cancel_notify=cancel_notify
        )
        self._send(ConnectionOpenOk())
