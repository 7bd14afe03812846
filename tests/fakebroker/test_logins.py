"""Who may log in. That guest comes from this machine alone (CONN-AUTH-14) no case shows: live brokers that tests run on
listen on this machine alone.
"""

import pytest

from hutch.fakebroker import Broker
from hutch.fakebroker.amqp091.sasl import LoginRefused, authenticate
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.peer import Peer
from hutch.fakebroker.server.protocol import is_loopback
from hutch.wire.frames import FrameParser, method_frame
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    ConnectionClose,
    ConnectionStartOk,
    ConnectionTune,
    Method,
    decode_method,
)

ADDRESSES = [
    (("127.0.0.1", 5672), True),
    (("127.1.2.3", 5672), True),
    (("::1", 5672, 0, 0), True),
    (("::ffff:127.0.0.1", 5672, 0, 0), True),
    (("192.0.2.1", 5672), False),
    (("::ffff:192.0.2.1", 5672, 0, 0), False),
    (("fe80::1%eth0", 5672, 0, 2), False),
    (None, False),
]


@pytest.mark.parametrize(("address", "loopback"), ADDRESSES)
def test_addresses_that_only_this_machine_reaches(
    address: tuple[str, int] | tuple[str, int, int, int] | None, loopback: bool
) -> None:
    assert is_loopback(address) is loopback


def answer(broker: Broker, user: str, mechanism: str = "PLAIN", *, local: bool = False) -> Method:
    """What the broker says to a login of ``user``, whose password is its name."""
    session = Session(broker.hub.node, broker.hub.profile, Peer("a test", local=local), lambda: None)
    session.receive(PROTOCOL_HEADER)
    session.take()
    capabilities = {"capabilities": {"authentication_failure_close": True}}
    login = ConnectionStartOk(capabilities, mechanism, f"\0{user}\0{user}".encode())
    session.receive(method_frame(0, login.encode()))
    ((_, _, payload),) = FrameParser().feed(session.take())
    return decode_method(payload)


@pytest.mark.parametrize("mechanism", ["PLAIN", "ANONYMOUS"])
def test_guest_comes_from_this_machine_alone(broker: Broker, mechanism: str) -> None:
    assert isinstance(answer(broker, "guest", mechanism, local=True), ConnectionTune)
    refusal = answer(broker, "guest", mechanism)
    assert isinstance(refusal, ConnectionClose)
    assert refusal.reply_code == 403
    assert refusal.reply_text == (
        f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. For details see the broker "
        "logfile."
    )


def test_who_comes_from_this_machine_alone_can_be_said(broker: Broker) -> None:
    broker.admin.add_user("ann", "ann")
    assert isinstance(answer(broker, "ann"), ConnectionTune)
    broker.admin.set_loopback_users("ann")
    assert isinstance(answer(broker, "ann"), ConnectionClose)
    assert isinstance(answer(broker, "guest"), ConnectionTune)
    broker.admin.set_loopback_users()
    assert isinstance(answer(broker, "ann"), ConnectionTune)


def test_anonymous_clients_are_guest_as_long_as_that_has_its_first_password(broker: Broker) -> None:
    """They log in with RabbitMQ's anonymous_login_user and anonymous_login_pass."""
    broker.admin.add_user("guest", "another")
    assert isinstance(answer(broker, "guest", "ANONYMOUS", local=True), ConnectionClose)
    broker.admin.add_user("guest", "guest")
    assert isinstance(answer(broker, "guest", "ANONYMOUS", local=True), ConnectionTune)


@pytest.mark.parametrize(
    ("certified", "user", "reason"),
    [
        ("", None, "connection peer presented no TLS (x.509) certificate"),
        ("ann", "ann", "user 'ann' - invalid credentials"),
    ],
)
def test_certificates_that_are_nobodys(certified: str, user: str | None, reason: str) -> None:
    with pytest.raises(LoginRefused) as refused:
        authenticate("EXTERNAL", b"", ("EXTERNAL",), {}, certified)
    assert (refused.value.user, refused.value.reason) == (user, reason)
