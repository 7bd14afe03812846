"""Events of one client's connection: its logins, its beginning and its end
(:mod:`hutch.fakebroker.plugins.event_exchange`).
"""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.peer import TlsDetails
from hutch.fakebroker.plugins.event_exchange import printed
from hutch.wire.fields import FieldTable, Int64

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.peer import Peer

#: What is told of TLS when somebody logs in, as far as there is anything.
_TOLD_OF_LOGINS: Final = (
    *("peer_cert_validity", "peer_cert_subject", "peer_cert_issuer", "peer_cert_serial_number"),
    *("ssl_cipher", "ssl_protocol"),
)
_NO_TLS: Final = TlsDetails("", "", "", "")


class ConnectionEvents:
    """What is told of a connection that begins now; ``owner`` stands for its process. Without the plugin each method
    does nothing.
    """

    def __init__(self, node: "Node", peer: "Peer", owner: object) -> None:
        self._node: Final = node
        self._peer: Final = peer
        self._owner: Final = owner
        self._connected_at: Final = Int64(node.clock.time() * 1000)
        #: What the client said of itself, the SASL mechanism it took, and the version of AMQP that it speaks.
        self.client_properties: FieldTable = {}
        self.mechanism = ""
        self.protocol = "{0,9,1}"
        #: How many channels and bytes a frame were agreed on, and the seconds between heartbeats.
        self.limits = (0, 0, 0)

    def logged_in(self, user: str) -> None:
        """user.authentication.success."""
        self._tell_login("success", {}, user)

    def refused(self, reason: str, user: str | None) -> None:
        """user.authentication.failure; ``None`` where it is not known whose. The reason is a list of characters."""
        self._tell_login("failure", {"error": [Int64(octet) for octet in reason.encode()]}, user)

    def _tell_login(self, outcome: str, reason: FieldTable, user: str | None) -> None:
        if self._node.event_exchange is None:
            return
        tls = {**self._certificate, **self._agreed}
        facts: FieldTable = {
            **reason,
            **{name: tls[name] for name in _TOLD_OF_LOGINS if tls.get(name)},
            "ssl": self._peer.tls is not None,
            "auth_mechanism": self.mechanism,
            "protocol": self.protocol,
            "peer_port": Int64(self._peer.peer_port),
            "peer_host": self._peer.peer_host,
            "connection_name": self._peer.name,
            "host": self._peer.host,
            **({} if user is None else {"name": user}),
            "connection_type": "network",
        }
        self._node.event_exchange.publish(f"user.authentication.{outcome}", None, facts)

    def created(self, user: str, vhost: str) -> None:
        """connection.created."""
        if self._node.event_exchange is None:
            return
        channel_max, frame_max, heartbeat = self.limits
        facts: FieldTable = {
            "node": NODE_NAME,
            "connected_at": self._connected_at,
            "client_properties": printed(self.client_properties),
            "channel_max": Int64(channel_max),
            "frame_max": Int64(frame_max),
            "timeout": Int64(heartbeat),
            "vhost": vhost,
            "user": user,
            "protocol": self.protocol,
            **self._agreed,
            "auth_mechanism": self.mechanism,
            **self._certificate,
            "ssl": self._peer.tls is not None,
            "peer_host": self._peer.peer_host,
            "host": self._peer.host,
            "peer_port": Int64(self._peer.peer_port),
            "port": Int64(self._peer.port),
            "name": self._peer.name,
            "pid": self._node.event_exchange.process(self._owner),
            "type": "network",
            **self._given_name,
        }
        self._node.event_exchange.publish("connection.created", user, facts)

    def closed(self) -> None:
        """connection.closed, be it one that was never open."""
        events = self._node.event_exchange
        if events is None:
            return
        facts: FieldTable = {
            "client_properties": printed(self.client_properties),
            "node": NODE_NAME,
            "pid": events.process(self._owner),
            "name": self._peer.name,
            **self._given_name,
        }
        events.forget(self._owner)
        events.publish("connection.closed", None, facts)

    @property
    def _agreed(self) -> dict[str, str]:
        tls = self._peer.tls or _NO_TLS
        return {
            "ssl_hash": tls.hash,
            "ssl_cipher": tls.cipher,
            "ssl_key_exchange": tls.key_exchange,
            "ssl_protocol": tls.protocol,
        }

    @property
    def _certificate(self) -> dict[str, str]:
        tls = self._peer.tls or _NO_TLS
        told = {
            "peer_cert_validity": tls.validity,
            "peer_cert_issuer": tls.issuer,
            "peer_cert_subject": tls.subject,
        }
        if self._node.profile.has_newer_events:
            told["peer_cert_serial_number"] = tls.serial_number
        return told

    @property
    def _given_name(self) -> FieldTable:
        name = self.client_properties.get("connection_name")
        return {"user_provided_name": name} if isinstance(name, str) else {}
