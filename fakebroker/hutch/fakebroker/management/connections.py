"""Connections and channels (HTTP-CONN)."""

from collections.abc import Iterable
from typing import Any, Final

from hutch.fakebroker.engine.connection import Connection
from hutch.fakebroker.engine.names import NODE_NAME
from hutch.fakebroker.engine.peer import TlsDetails
from hutch.fakebroker.json_values import json_of_table
from hutch.fakebroker.management.access import Access, is_monitoring
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.channels import facts as channel_facts
from hutch.fakebroker.management.channels import single_facts
from hutch.fakebroker.management.consumers import address, connection_named
from hutch.fakebroker.management.counts import with_rates
from hutch.fakebroker.management.errors import bad_request, crash, not_authorised, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.routing import Route

_REASON: Final = "Closed via management plugin"


def facts(connection: Connection, call: Call, *, without_tls: object = None) -> dict[str, Any]:
    """What the API reports of a connection. ``without_tls`` stands for what there is not without TLS."""
    client, peer = connection.client, connection.client.peer
    octets = call.statistics.traffic.of(connection)
    told: dict[str, Any] = {
        "name": connection.name,
        "node": NODE_NAME,
        "user": connection.user,
        "user_who_performed_action": connection.user,
        "vhost": connection.vhost.name,
        "protocol": f"AMQP {'-'.join(map(str, client.protocol))}",
        "type": "network",
        "state": "running",
        "auth_mechanism": client.mechanism,
        "host": address(peer.host),
        "port": peer.port,
        "peer_host": address(peer.peer_host),
        "peer_port": peer.peer_port,
        "ssl": peer.tls is not None,
        "connected_at": int(client.connected_at * 1000),
        "timeout": client.heartbeat,
        "frame_max": client.frame_max,
        "channel_max": client.channel_max,
        "channels": len(connection.sinks),
        "client_properties": json_of_table(client.properties),
        **with_rates(octets.values, octets.rates),
        **_tls(peer.tls, without_tls),
    }
    if call.profile.has_newer_paths:
        told["peer_cert_serial_number"] = without_tls if peer.tls is None else peer.tls.serial_number or without_tls
    name = client.properties.get("connection_name")
    if isinstance(name, str):
        told["user_provided_name"] = name
    return told


def _tls(tls: TlsDetails | None, nothing: object) -> dict[str, Any]:
    return {
        "ssl_protocol": nothing if tls is None else tls.protocol,
        "ssl_key_exchange": nothing if tls is None else tls.key_exchange,
        "ssl_cipher": nothing if tls is None else tls.cipher,
        "ssl_hash": nothing if tls is None else tls.hash,
        "peer_cert_subject": nothing if tls is None else tls.subject or nothing,
        "peer_cert_issuer": nothing if tls is None else tls.issuer or nothing,
        "peer_cert_validity": nothing if tls is None else tls.validity or nothing,
    }


def _brief(connection: Connection) -> dict[str, Any]:
    return {"name": connection.name, "vhost": connection.vhost.name, "user": connection.user, "node": NODE_NAME}


def _seen(connections: Iterable[Connection], call: Call) -> list[Connection]:
    """Those that the user may see: their own ones, or all (HTTP-AUTH-17)."""
    everything = is_monitoring(call.user)
    seen = (each for each in connections if everything or each.user == call.user.name)
    return sorted(seen, key=lambda each: each.name)


def list_all(call: Call) -> list[Item]:
    """The connections that the user may see."""
    return [facts(each, call) for each in _seen(call.node.connections, call)]


def list_vhost(call: Call) -> list[Item]:
    """Those to a virtual host."""
    vhost = call.vhost
    return [facts(each, call) for each in _seen(call.node.connections, call) if each.vhost is vhost]


def _named(call: Call) -> Connection:
    """The connection that a path names; a stranger's is refused."""
    found = connection_named(call, call.names["C"])
    if found is None:
        if not is_monitoring(call.user):
            raise crash()
        raise object_not_found()
    _check_own(call, found.user)
    return found


def _check_own(call: Call, user: str) -> None:
    access = Access.ADMINISTRATOR if call.request.method == "DELETE" else Access.MONITORING
    if user != call.user.name and not access.has(call.user.tags):
        raise not_authorised("User not authorised to access object")


def show(call: Call) -> Item:
    """One connection."""
    return facts(_named(call), call, without_tls="")


def list_sessions(call: Call) -> None:
    """The sessions of AMQP 1.0, which no connection has."""
    _named(call)
    raise bad_request("connection does not use AMQP 1.0")


def close(call: Call) -> None:
    """Close a connection; the client is told the reason that the header x-reason has (HTTP-CONN-02)."""
    _named(call).force_close(_reason(call))


def _reason(call: Call) -> str:
    return call.request.headers.get("x-reason") or _REASON


def channels_of(call: Call) -> list[Item]:
    """The channels of a connection."""
    connection = connection_named(call, call.names["C"])
    if connection is None:
        raise crash()
    _check_own(call, connection.user)
    return [channel_facts(sink, connection, call) for sink in connection.sinks]


def list_user(call: Call) -> list[Item]:
    """The connections of a user, in short."""
    _check_user(call)
    return [_brief(each) for each in call.node.connections if each.user == call.names["U"]]


def _check_user(call: Call) -> None:
    if call.names["U"] != call.user.name and not is_monitoring(call.user) and not call.profile.hides_foreign_vhosts:
        raise crash()
    _check_own(call, call.names["U"])


def close_user(call: Call) -> None:
    """Close the connections of a user."""
    _check_user(call)
    call.node.close_connections(_reason(call), user=call.names["U"])


# channels


def _channels(call: Call, connections: Iterable[Connection]) -> list[Item]:
    return [channel_facts(sink, each, call) for each in _seen(connections, call) for sink in each.sinks]


def list_channels(call: Call) -> list[Item]:
    """The channels of the connections that the user may see."""
    return _channels(call, call.node.connections)


def list_channels_vhost(call: Call) -> list[Item]:
    """Those in a virtual host."""
    vhost = call.vhost
    return _channels(call, [each for each in call.node.connections if each.vhost is vhost])


def show_channel(call: Call) -> Item:
    """One channel, with its consumers."""
    for connection in call.node.connections:
        for sink in connection.sinks:
            if f"{connection.name} ({sink.origin.channel})" == call.names["CHANNEL"]:
                _check_own(call, connection.user)
                return single_facts(sink, connection, call)
    raise object_not_found() if is_monitoring(call.user) else crash()


ROUTES: Final = (
    Route("connections", {"GET": list_all}, pages=True),
    Route("connections/C", {"GET": show, "DELETE": close}, columns=False),
    Route("connections/C/channels", {"GET": channels_of}),
    Route("connections/C/sessions", {"GET": list_sessions}, newer=True),
    Route("connections/username/U", {"GET": list_user, "DELETE": close_user}),
    Route("vhosts/V/connections", {"GET": list_vhost}),
    Route("vhosts/V/channels", {"GET": list_channels_vhost}),
    Route("channels", {"GET": list_channels}, pages=True),
    Route("channels/CHANNEL", {"GET": show_channel}, columns=False),
)
