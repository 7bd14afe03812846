"""Events of connections: their logins, their beginnings and their ends
(:mod:`hutch.fakebroker.plugins.event_exchange`).
"""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.peer import TlsDetails
from hutch.fakebroker.plugins.event_exchange import EventExchange, printed
from hutch.wire.fields import FieldTable, Int64

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection

#: The fields about TLS in events of logins, if they have a value.
_TOLD_OF_LOGINS: Final = (
    *("peer_cert_validity", "peer_cert_subject", "peer_cert_issuer", "peer_cert_serial_number"),
    *("ssl_cipher", "ssl_protocol"),
)
_NO_TLS: Final = TlsDetails("", "", "", "")


class ConnectionEvents(Journal):
    """Publishes an event of each fact."""

    def __init__(self, events: EventExchange) -> None:
        self._events: Final = events

    def authenticated(self, client: Client, user: str) -> None:
        """user.authentication.success."""
        self._tell_login("success", client, {}, user)

    def authentication_failed(self, client: Client, user: str | None, reason: str) -> None:
        """user.authentication.failure. The reason is a list of characters."""
        self._tell_login("failure", client, {"error": [Int64(octet) for octet in reason.encode()]}, user)

    def _tell_login(self, outcome: str, client: Client, reason: FieldTable, user: str | None) -> None:
        peer = client.peer
        tls = {**self._certificate(client), **_agreed(client)}
        facts: FieldTable = {
            **reason,
            **{name: tls[name] for name in _TOLD_OF_LOGINS if tls.get(name)},
            "ssl": peer.tls is not None,
            "auth_mechanism": client.mechanism,
            "protocol": _protocol(client),
            "peer_port": Int64(peer.peer_port),
            "peer_host": peer.peer_host,
            "connection_name": peer.name,
            "host": peer.host,
            **({} if user is None else {"name": user}),
            "connection_type": "network",
        }
        self._events.publish(f"user.authentication.{outcome}", None, facts)

    def connected(self, connection: "Connection") -> None:
        """connection.created."""
        client, peer = connection.client, connection.client.peer
        facts: FieldTable = {
            "node": NODE_NAME,
            "connected_at": Int64(client.connected_at * 1000),
            "client_properties": printed(client.properties),
            "channel_max": Int64(client.channel_max),
            "frame_max": Int64(client.frame_max),
            "timeout": Int64(client.heartbeat),
            "vhost": connection.vhost.name,
            "user": connection.user,
            "protocol": _protocol(client),
            **_agreed(client),
            "auth_mechanism": client.mechanism,
            **self._certificate(client),
            "ssl": peer.tls is not None,
            "peer_host": peer.peer_host,
            "host": peer.host,
            "peer_port": Int64(peer.peer_port),
            "port": Int64(peer.port),
            "name": peer.name,
            "pid": self._events.process(client),
            "type": "network",
            **_given_name(client),
        }
        self._events.publish("connection.created", connection.origin, facts)

    def client_gone(self, client: Client) -> None:
        """connection.closed, be it one that was never open."""
        facts: FieldTable = {
            "client_properties": printed(client.properties),
            "node": NODE_NAME,
            "pid": self._events.process(client),
            "name": client.peer.name,
            **_given_name(client),
        }
        self._events.forget(client)
        self._events.publish("connection.closed", None, facts)

    def _certificate(self, client: Client) -> dict[str, str]:
        tls = client.peer.tls or _NO_TLS
        told = {
            "peer_cert_validity": tls.validity,
            "peer_cert_issuer": tls.issuer,
            "peer_cert_subject": tls.subject,
        }
        if self._events.profile.has_newer_events:
            told["peer_cert_serial_number"] = tls.serial_number
        return told


def _agreed(client: Client) -> dict[str, str]:
    """What TLS agreed on."""
    tls = client.peer.tls or _NO_TLS
    return {
        "ssl_hash": tls.hash,
        "ssl_cipher": tls.cipher,
        "ssl_key_exchange": tls.key_exchange,
        "ssl_protocol": tls.protocol,
    }


def _protocol(client: Client) -> str:
    """The version as Erlang prints it: ``{0,9,1}``."""
    return f"{{{','.join(map(str, client.protocol))}}}"


def _given_name(client: Client) -> FieldTable:
    name = client.properties.get("connection_name")
    return {"user_provided_name": name} if isinstance(name, str) else {}
