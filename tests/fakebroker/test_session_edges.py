"""Sessions at their edges: what comes in a segment of its own or behind an end, and clients that are blocked."""

import socket
from struct import pack

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicNack,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
    Method,
    QueueDeclare,
)

from .conftest import Connect
from .peers import PATIENCE, TCP, Peer, publishing

LOW_ON_MEMORY = ConnectionBlocked("low on memory")


def test_a_refused_login_that_does_not_confirm_its_closing_is_dropped_after_three_seconds(
    manual: Broker, clock: ManualClock
) -> None:
    with Peer(manual.transport()) as peer:
        peer.greet()
        peer.log_in(password="wrong")
        assert peer.expect(ConnectionClose).reply_code == 403
        clock.advance(milliseconds=2999)
        assert peer.waiting() == []
        clock.advance(milliseconds=1)
        assert peer.ended()


@pytest.mark.parametrize("mistake", ["login", "tune"])
def test_what_comes_along_with_a_mistake_counts_for_nothing(manual: Broker, clock: ManualClock, mistake: str) -> None:
    """As on live 3.10 and 4.3: silence, and the end after three seconds."""
    with Peer(manual.transport()) as peer:
        peer.greet()
        if mistake == "tune":
            peer.log_in()
            peer.expect(ConnectionTune)
            wrong: Method = ConnectionTuneOk(0, 0, 0)
        else:
            wrong = ConnectionStartOk({}, "PLAIN", b"\0guest\0wrong")
        behind = (ConnectionTuneOk(2047, 131072, 0), ConnectionOpen("/"))
        peer.send(b"".join(method.frame(0) for method in (wrong, *behind)))
        clock.advance(milliseconds=2999)
        assert peer.waiting() == []
        clock.advance(milliseconds=1)
        assert peer.ended()


@pytest.mark.parametrize("what", ["an ack", "a message"])
def test_a_wrong_end_of_what_comes_by_itself(manual: Broker, pipe: Connect, what: str) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.publish("q", b"1")
    assert peer.get("q", no_ack=False) == b"1"
    bad = bytearray(BasicAck(1).frame(1) if what == "an ack" else publishing("q", b"2"))
    bad[-1] = 0
    peer.send(bytes(bad))
    assert peer.expect(ConnectionClose).reply_code == 501
    assert manual.queue("q").ready == 1  # the unacknowledged message was requeued


@pytest.mark.parametrize("end", [ConnectionClose(200), ConnectionCloseOk()], ids=["close", "close-ok"])
@pytest.mark.parametrize("together", [True, False])
def test_no_end_counts_behind_a_bad_frame(
    manual: Broker, clock: ManualClock, pipe: Connect, end: Method, together: bool
) -> None:
    """Live 3.10 and 4.3 answer neither, and end the stream when they would without."""
    peer = pipe(manual)
    bad = bytearray(method_frame(1, QueueDeclare(0, "x").encode()))
    bad[-1] = 0
    pieces = [bytes(bad), end.frame(0)]
    for piece in [b"".join(pieces)] if together else pieces:
        peer.send(piece)
    assert peer.expect(ConnectionClose).reply_code == 501
    clock.advance(2.9)
    assert peer.waiting() == []


def test_a_bad_frame_behind_an_error_is_not_told(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """As on live 3.10 and 4.3: there is one connection.close."""
    peer = pipe(manual)
    peer.method(ConnectionStart(), 0)
    assert peer.expect(ConnectionClose).reply_code != 501
    bad = bytearray(method_frame(1, QueueDeclare(0, "x").encode()))
    bad[-1] = 0
    peer.send(bytes(bad))
    clock.advance(2.9)
    assert peer.waiting() == []


@pytest.mark.parametrize("method", [BasicAck(1), BasicNack(1)])
def test_a_method_in_the_midst_of_a_message_that_comes_by_itself(manual: Broker, pipe: Connect, method: Method) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.publish("q", b"1")
    assert peer.get("q", no_ack=False) == b"1"
    whole = publishing("q", b"2")
    peer.send(whole[: whole.index(b"2") - 7])
    peer.open_channel(2)
    peer.method(method)
    close = peer.expect(ConnectionClose)
    assert (close.reply_code, close.class_id, close.method_id) == (505, 60, 40)


def test_the_time_while_it_was_blocked_is_no_silence(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    """A client that was blocked amid an interval has two whole ones from then on."""
    peer = pipe(manual, heartbeat=10)
    manual.admin.raise_alarm("memory")
    peer.publish("q", b"x")
    clock.advance(605)
    manual.admin.clear_alarm("memory")
    clock.advance(20)
    assert manual.history.of("disconnected") == []
    clock.advance(10)
    assert len(manual.history.of("disconnected")) == 1


def test_who_is_reset_while_blocked_waits_for_no_alarm_any_more(manual: Broker, tcp: Connect, pipe: Connect) -> None:
    """A reset is noticed once there is something to deliver."""
    peer, other = tcp(manual), pipe(manual)
    other.declare("q")
    other.publish("q", b"1")
    assert other.get("q", no_ack=False) == b"1"
    peer.consume("q")
    manual.admin.raise_alarm("memory")
    peer.publish("nowhere", b"x")
    assert peer.read() == LOW_ON_MEMORY
    assert isinstance(peer.transport, TCP)
    peer.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    peer.vanish()
    tag = 1
    while not manual.history.of("disconnected"):
        changes = manual.hub.changes
        other.method(BasicNack(tag, requeue=True))
        manual.hub.wait(changes, PATIENCE)
        if (body := other.get("q", no_ack=False)) is not None:
            assert body == b"1"
            tag += 1
    manual.admin.clear_alarm("memory")
    assert [event.kind for event in manual.history.of("blocked", "unblocked")] == ["blocked"]


def test_a_client_that_is_being_closed_already_is_told_nothing_more(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.method(BasicAck(1), 7)
    manual.close(grace=0.1)
    assert peer.expect(ConnectionClose).reply_code == 504
    peer.method(ConnectionCloseOk(), 0)
    assert peer.ended()
