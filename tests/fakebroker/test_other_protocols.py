"""Clients that are sent away: what the broker keeps of the reason, in its history and its log."""

import logging
from collections.abc import Callable

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.frames import METHOD, frame, method_frame
from hutch.wire.methods import (
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
    QueueDeclare,
)

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer

STRANGERS = {
    b"AMQP\0\1\0\0": "client speaks AMQP 1.0, which is not emulated",
    b"AMQP\3\1\0\0": "client speaks AMQP 1.0, which is not emulated",
    b"AMQP\2\1\0\0": "client speaks AMQP 1.0, which is not emulated",
    b"AMQP\0\0\x09\0": "client sent the protocol header AMQP 0 0 9 0; that of AMQP 0-9-1 is AMQP 0 0 9 1",
    b"AMQP\1\1\0\x0a": "client sent the protocol header AMQP 1 1 0 10; that of AMQP 0-9-1 is AMQP 0 0 9 1",
    # CONNECT of MQTT 3.1, 3.1.1 and 5; the last one is long
    b"\x10\x13\0\6MQIsdp\3\2\0\x3c\0\5hutch": "client speaks MQTT, which is not emulated",
    b"\x10\x11\0\4MQTT\4\2\0\x3c\0\5hutch": "client speaks MQTT, which is not emulated",
    b"\x10\xff\x01\0\4MQTT\5\2\0\x3c" + bytes(240): "client speaks MQTT, which is not emulated",
    b"STOMP\naccept-version:1.2\n\n\0": "client speaks STOMP, which is not emulated",
    b"CONNECT\nlogin:guest\npasscode:guest\n\n\0": "client speaks STOMP, which is not emulated",
    b"CONNECT\r\nlogin:guest\r\n\r\n\0": "client speaks STOMP, which is not emulated",
    # PeerProperties, version 1, correlation 1, no properties
    b"\0\0\0\x0c\0\x11\0\1\0\0\0\1\0\0\0\0": "client speaks RabbitMQ's stream protocol, which is not emulated",
    b"\x16\3\1\2\0\1\0\1\xfc\3\3": "client speaks TLS, and this port is not for TLS",
    b"GET /api/overview HTTP/1.1\r\n\r\n": "client speaks HTTP, and this port is for AMQP",
    b"CONNECT rabbit:5672 HTTP/1.1\r\n\r\n": "client speaks HTTP, and this port is for AMQP",
    b"hello, broker": "client sent b'hello, b', which is no protocol header",
}


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
@pytest.mark.parametrize(("sent", "reason"), STRANGERS.items())
def test_what_else_a_client_speaks(profile: str, sent: bytes, reason: str) -> None:
    with Broker(profile) as broker:
        peer = Peer(broker.transport())
        peer.send(sent)
        assert [event.reason for event in broker.history.of("refused")] == [reason]


def test_the_log_tells_what_else_a_client_speaks(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hutch.fakebroker"), Peer(TCP(broker.url)) as peer:
        peer.send(b"AMQP\3\1\0\0")
        assert peer.transport.receive(peer.transport.monotonic() + PATIENCE) == b"AMQP\3\1\0\0"
        assert peer.ended()
        broker.close()
    accepted, closed = caplog.messages
    assert closed == accepted.replace("accepted", "closed: client speaks AMQP 1.0, which is not emulated")


# Other reasons to end a connection silently


def tuned(peer: Peer, limits: ConnectionTuneOk) -> None:
    peer.greet()
    peer.log_in()
    peer.expect(ConnectionTune)
    peer.method(limits, 0)


def too_early(peer: Peer) -> None:
    peer.greet()
    peer.method(ConnectionOpen("/"), 0)


def too_large(peer: Peer) -> None:
    peer.greet()
    peer.send(b"\1\0\0" + (8193).to_bytes(4))


def wrong_password(peer: Peer) -> None:
    peer.greet()
    peer.log_in(password="wrong", client_properties={})


def malformed_login(peer: Peer) -> None:
    peer.greet()
    peer.method(ConnectionStartOk(response=b"guest"), 0)


def silent(peer: Peer) -> None:
    peer.greet()


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (silent, "the connection was not open within 10 seconds"),
        (
            too_early,
            "504 CHANNEL_ERROR - unexpected method in connection state starting",
        ),
        (
            too_large,
            "501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}",
        ),
        (malformed_login, 'login failed: response <<"guest">> invalid'),
        (wrong_password, "login refused: user 'guest' - invalid credentials"),
        (
            lambda peer: tuned(peer, ConnectionTuneOk(2047, 0)),
            "client asked for channel_max 2047 and frame_max 0; allowed are 1 to 2047 and 8192 to 131072",
        ),
        (
            lambda peer: tuned(peer, ConnectionTuneOk(2047, 131072, 2)),
            "missed heartbeats from client, timeout: 2s",
        ),
    ],
)
def test_why_a_handshake_ends_without_a_word(
    manual: Broker, clock: ManualClock, play: Callable[[Peer], None], reason: str
) -> None:
    peer = Peer(manual.transport())
    play(peer)
    clock.advance(9)
    clock.advance(30)
    assert [event.reason for event in manual.history.of("refused")] == [reason]
    peer.fill_until_end()


def test_why_an_open_connection_ends_without_a_word(manual: Broker, pipe: Connect) -> None:
    reasons = {
        frame(METHOD, 1, b"\0\x63\0\1"): "client sent a method that does not exist: class 99, method 1",
        frame(METHOD, 1, QueueDeclare(queue="q").encode()[:-4] + b"\0\0\0\4\1aZ\1"): (
            "client sent a table that RabbitMQ cannot read: unknown field type 'Z'"
        ),
    }
    for sent in reasons:
        peer = pipe(manual)
        peer.send(sent)
        peer.fill_until_end()
    assert [event.reason for event in manual.history.of("refused")] == list(reasons.values())


def test_the_end_of_a_closed_connection_is_no_refusal(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.send(method_frame(0, ConnectionCloseOk().encode()))
    clock.advance(40)
    peer.fill_until_end()
    assert len(manual.history.of("refused")) == 1
