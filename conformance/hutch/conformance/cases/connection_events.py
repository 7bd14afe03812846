"""Events of connections and logins, as the plugin rabbitmq_event_exchange publishes them."""

from typing import Any, Final

from hutch.conformance.case import case
from hutch.conformance.check import equal, true, typed
from hutch.conformance.listener import Listener
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import CAPABILITIES, RawConnection
from hutch.wire.fields import FieldTable, Int64, type_name

_AGREED: Final = ("ssl_hash", "ssl_cipher", "ssl_key_exchange", "ssl_protocol")
#: Event headers about the client's certificate. They are empty if the client presents none, which TLS permits.
_CERTIFICATE: Final = ("peer_cert_validity", "peer_cert_issuer", "peer_cert_subject")
_BLANK: Final = (
    "user '{}' attempted to log in with a blank password, which is prohibited by the internal authN backend. To use "
    "TLS/x509 certificate-based authentication, see the rabbitmq_auth_mechanism_ssl plugin and configure the client to "
    "use the EXTERNAL authentication mechanism. Alternatively change the password for the user to be non-blank."
)


def _agreed(raw: RawConnection) -> dict[str, str]:
    """What is told of a connection's TLS, which agrees on no more than a cipher since its version 1.3."""
    machine = getattr(raw.transport, "ssl_object", None)
    if machine is None:
        return dict.fromkeys(_AGREED, "")
    suite, protocol, _ = machine.cipher()
    equal(protocol, "TLSv1.3", "the client's TLS")
    cipher = suite.removeprefix("TLS_").rpartition("_")[0].lower()
    return dict(zip(_AGREED, ("aead", cipher, "any", "tlsv1.3"), strict=True))


def _without_ends(rabbit: Rabbit, headers: dict[str, Any]) -> dict[str, Any]:
    """What is left of headers without addresses, and over TLS without what is told of the client's certificate."""
    for host in ("host", "peer_host"):
        true(headers.pop(host, ""), f"{host} is empty")
    for number in ("port", "peer_port", "connected_at"):
        equal(type_name(headers.pop(number, Int64(0))), "long", number)
    if rabbit.secure:
        return {key: value for key, value in headers.items() if not key.startswith("peer_cert_")}
    return headers


@case("EXCH-SYS-01")
def connections_have_events(rabbit: Rabbit) -> None:
    """Connection.created has the negotiated values, the client's properties, and once more the connection's name from
    these. Connection.closed has the client's properties and the name.
    """
    listener, given = Listener(rabbit, "connection.*"), rabbit.name("connection")
    properties: FieldTable = {"capabilities": CAPABILITIES, "connection_name": given, "x": 5}
    raw = rabbit.raw(channel_max=100, frame_max=10000, heartbeat=60, client_properties=properties)
    agreed = _agreed(raw)
    raw.close()
    key, created = listener.next(lambda _, headers: headers.get("user_provided_name") == given)
    equal(key, "connection.created")
    name = created.pop("name")
    true(name, "the connection has no name")
    capabilities = ",".join(f'{{<<"{each}">>,bool,true}}' for each in CAPABILITIES)
    told: FieldTable = {
        "client_properties": [
            f'{{<<"capabilities">>,table,[{capabilities}]}}',
            f'{{<<"connection_name">>,longstr,<<"{given}">>}}',
            '{<<"x">>,signedint,5}',
        ],
        "user_provided_name": given,
    }
    newer: FieldTable = rabbit.by_profile({"3.10": {}, "4.3": {"peer_cert_serial_number": ""}})
    empty: FieldTable = {} if rabbit.secure else {**dict.fromkeys(_CERTIFICATE, ""), **newer}
    wanted: FieldTable = {
        **told,
        **agreed,
        **empty,
        "auth_mechanism": "PLAIN",
        "channel_max": Int64(100),
        "frame_max": Int64(10000),
        "protocol": "{0,9,1}",
        "ssl": rabbit.secure,
        "timeout": Int64(60),
        "type": "network",
        "user": rabbit.userid,
        "user_who_performed_action": rabbit.userid,
        "vhost": rabbit.vhost,
    }
    equal(typed(_without_ends(rabbit, created)), typed(wanted))
    closed = listener.next(lambda _, headers: headers.get("user_provided_name") == given)
    equal((closed[0], typed(closed[1])), ("connection.closed", typed({**told, "name": name})))


@case("EXCH-SYS-01", "CONN-OPEN-01")
def connections_that_never_opened_are_closed(rabbit: Rabbit) -> None:
    """A connection that is refused has an event only at its end."""
    listener, given = Listener(rabbit, "connection.*"), rabbit.name("connection")
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in(client_properties={"connection_name": given})
    raw.tune()
    raw.close()
    key, _ = listener.next(lambda _, headers: headers.get("user_provided_name") == given)
    equal(key, "connection.closed")


@case("EXCH-SYS-01", "CONN-AUTH-01", "CONN-AUTH-03", "CONN-AUTH-05")
def logins_have_events(rabbit: Rabbit) -> None:
    """User.authentication.success and .failure name the user and how the login was tried; why it failed is a list of
    characters.
    """
    listener, user = Listener(rabbit, "user.authentication.*"), rabbit.admin.add_user()
    nobody = rabbit.name("nobody")
    attempts = (
        (user, b"secret", None),
        (user, b"wrong", f"user '{user}' - invalid credentials"),
        (nobody, b"wrong", f"user '{nobody}' - invalid credentials"),
        (nobody, b"", _BLANK.format(nobody)),
    )
    for name, password, reason in attempts:
        raw = rabbit.raw_unopened()
        raw.start()
        raw.log_in(response=b"\0" + name.encode() + b"\0" + password)
        _expect_login(rabbit, raw, listener, reason, {"name": name, "auth_mechanism": "PLAIN"})
        raw.close()


@case("EXCH-SYS-01", "CONN-AUTH-02", "CONN-AUTH-09")
def malformed_logins_have_events(rabbit: Rabbit) -> None:
    """The event of a login whose response cannot be read names no user. A login with a mechanism that was not offered
    has no event.
    """
    listener, mark = Listener(rabbit, "user.authentication.*"), rabbit.name()
    for mechanism, response, reason in (
        ("NOPE", mark.encode(), ""),
        ("AMQPLAIN", mark.encode(), ""),
        ("PLAIN", mark.encode(), f'response <<"{mark}">> invalid'),
        ("AMQPLAIN", b"\x05LOGINI\0\0\0\1", 'AMQPLAIN auth info [{<<"LOGIN">>,signedint,1}] is missing LOGIN or '),
    ):
        raw = rabbit.raw_unopened()
        raw.start()
        raw.log_in(mechanism=mechanism, response=response)
        if mechanism == "PLAIN":
            _expect_login(rabbit, raw, listener, reason, {"auth_mechanism": mechanism})
        raw.close()


def _expect_login(
    rabbit: Rabbit, raw: RawConnection, listener: Listener, reason: str | None, facts: FieldTable
) -> None:
    """The next login, of the user that ``facts`` name if they do, else with this ``reason``, must have failed for that
    reason, or succeeded.
    """
    user = facts.get("name")
    octets = None if reason is None else [Int64(octet) for octet in reason.encode()]

    def is_wanted(_: str, headers: dict[str, Any]) -> bool:
        return headers.get("name") == user if user is not None else headers.get("error") == octets

    key, headers = listener.next(is_wanted)
    true(headers.pop("connection_name", ""), "the connection has no name")
    error: FieldTable = {} if octets is None else {"error": octets}
    agreed = _agreed(raw)
    tls: FieldTable = {name: agreed[name] for name in ("ssl_cipher", "ssl_protocol") if agreed[name]}
    about: FieldTable = {"connection_type": "network", "protocol": "{0,9,1}", "ssl": bool(tls), **tls}
    outcome = "success" if reason is None else "failure"
    equal(
        (key, typed(_without_ends(rabbit, headers))),
        (f"user.authentication.{outcome}", typed({**about, **facts, **error})),
    )
