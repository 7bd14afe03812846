"""Faults for commands, in-process and over TCP alike: which commands they are for, and what happens then."""

import gc
import threading
from collections.abc import Callable

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091.session import Session
from hutch.wire.content import Content
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicConsume,
    BasicGet,
    BasicNack,
    BasicReturn,
    ChannelClose,
    ChannelCloseOk,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionTune,
    ConnectionTuneOk,
    ConnectionUnblocked,
    QueueDeclare,
    QueueDeclareOk,
    QueueDelete,
)

from .conftest import Connect
from .peers import CAPABILITIES, PATIENCE, Item, Peer, publishing


@pytest.fixture(params=["pipe", "tcp"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens connections to a broker, by either way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way


def came(broker: Broker, peer: Peer) -> list[Item]:
    """What the broker has told a client, once all is done that was sent."""
    broker.drain_clients()
    return list(peer.waiting())


def bodies(broker: Broker, queue: str = "q") -> list[bytes]:
    return [message.body for message in broker.queue(queue).messages]


def confirming(broker: Broker, connect: Connect) -> Peer:
    peer = connect(broker)
    peer.declare("q")
    peer.confirm()
    return peer


class TestMatching:
    def test_the_nth_over_all_connections(self, manual: Broker, connect: Connect) -> None:
        one, other = connect(manual), connect(manual)
        one.declare("q")
        fault = manual.faults.on("basic.publish", nth=3).close_channel(406, "the third")
        for peer, body in ((one, b"1"), (other, b"2"), (one, b"3"), (other, b"4")):
            peer.publish("q", body)
            manual.drain_clients()
        assert came(manual, one) == [ChannelClose(406, "PRECONDITION_FAILED - the third", 60, 40)]
        assert came(manual, other) == []
        assert bodies(manual) == [b"1", b"2", b"4"]
        assert (fault.hits, fault.matches) == (1, 3)

    def test_so_many_times_from_the_nth_on(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        fault = manual.faults.on("basic.publish", nth=2, times=2).nack()
        for number in range(5):
            peer.publish("q", b"%d" % number)
            manual.drain_clients()
        assert bodies(manual) == [b"0", b"3", b"4"]
        assert fault.hits == 2

    def test_the_next(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        fault = manual.faults.next("basic.publish").nack()
        for number in range(2):
            peer.publish("q", b"%d" % number)
            manual.drain_clients()
        assert [type(item) for item in came(manual, peer)] == [BasicNack, BasicAck]
        assert repr(fault) == "<Fault faults.next('basic.publish').nack(): hits 1 of 1 matches>"

    def test_every_one_until_it_ends(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        with manual.faults.on("basic.publish").lose() as fault:
            for number in range(3):
                peer.publish("q", b"%d" % number)
            manual.drain_clients()
        peer.publish("q", b"3")
        manual.drain_clients()
        assert bodies(manual) == [b"3"]
        assert fault.hits == 3

    def test_for_a_time(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        fault = manual.faults.on("basic.publish", seconds=5).lose()
        peer.publish("q", b"1")
        clock.advance(seconds=4.9)
        peer.publish("q", b"2")
        clock.advance(seconds=0.1)
        peer.publish("q", b"3")
        manual.drain_clients()
        assert bodies(manual) == [b"3"]
        assert fault.hits == 2

    def test_exchange_and_routing_key(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("order.one")
        lost = manual.faults.on("basic.publish", exchange="", routing_key="order.*").lose()
        unhit = manual.faults.on("basic.publish", exchange="amq.fanout").lose()
        peer.publish("order.one")
        peer.publish("order.one.more")
        peer.publish("order")
        manual.drain_clients()
        assert (lost.hits, unhit.hits) == (1, 0)
        assert manual.faults.unhit == [unhit]

    @pytest.mark.parametrize(
        ("pattern", "key", "matches"),
        [
            ("#", "a.b", True),
            ("a.#", "a", True),
            ("a.#.c", "a.b.b.c", True),
            ("a.*", "a", False),
            ("a.*", "a.b", True),
            ("a.*.c", "a.b.d", False),
        ],
    )
    def test_patterns(self, manual: Broker, pipe: Connect, pattern: str, key: str, matches: bool) -> None:
        peer = pipe(manual)
        fault = manual.faults.on("basic.publish", routing_key=pattern).lose()
        peer.publish(key)
        assert fault.hits == matches

    def test_the_queue_of_what_is_acknowledged(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        for queue in ("a", "b"):
            peer.declare(queue)
            peer.publish(queue, queue.encode())
            peer.get(queue, no_ack=False)
        fault = manual.faults.on("basic.ack", queue="b").lose()
        peer.method(BasicAck(1))
        assert came(manual, peer) == []
        assert fault.matches == 0
        peer.method(BasicAck(0, multiple=True))
        assert came(manual, peer) == []
        assert (fault.matches, manual.queue("b").unacked) == (1, 1)

    def test_an_empty_name_is_the_queue_declared_last(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        fault = manual.faults.next("basic.get", queue="q").close_channel(404)
        peer.method(BasicGet(0, ""))
        assert peer.expect(ChannelClose).reply_text == "NOT_FOUND"
        assert fault.hits == 1

    def test_the_connection(self, connect: Connect) -> None:
        with Broker(users={"ann": "a", "bob": "b"}, vhosts=("/", "other")) as broker:
            ann = connect(broker, user="ann", password="a")
            told = {**CAPABILITIES, "connection_name": "worker-1", "product": "pika"}
            bob = connect(broker, user="bob", password="b", vhost="other", client_properties=told)
            (name,) = [
                view.peer.name for view in (session.client for session in broker.hub.sessions) if view.user == "bob"
            ]
            criteria = (
                {"user": "bob"},
                {"connection": "worker-1"},
                {"connection": name},
                {"client": "pika"},
                {"vhost": "other"},
                {"user": "bob", "vhost": "other", "client": "pika"},
            )
            faults = [
                broker.faults.on("queue.declare", **each).never_answer()  # type: ignore[arg-type]
                for each in criteria
            ]
            others = [broker.faults.on("queue.declare", user="bob", vhost="/").never_answer()]
            ann.declare("q")
            bob.method(QueueDeclare(0, "q"))
            broker.drain_clients()
            assert [fault.matches for fault in faults] == [1] * len(faults)
            assert [fault.hits for fault in faults] == [1, 0, 0, 0, 0, 0], "the first one has it"
            assert [fault.matches for fault in others] == [0]

    def test_a_connection_that_comes_later(self, manual: Broker, connect: Connect) -> None:
        fault = manual.faults.next("queue.declare").close_channel(403, "later")
        peer = connect(manual)
        peer.method(QueueDeclare(0, "q"))
        assert peer.expect(ChannelClose).reply_text == "ACCESS_REFUSED - later"
        assert fault.hits == 1

    def test_who_loses_the_turn_has_the_next(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        first = manual.faults.next("basic.publish").nack()
        second = manual.faults.next("basic.publish").never_confirm()
        for number in range(3):
            peer.publish("q", b"%d" % number)
            manual.drain_clients()
        assert came(manual, peer) == [BasicNack(1, multiple=True), BasicAck(3)]
        assert (first.hits, second.hits, second.matches) == (1, 1, 2)


class TestMistakes:
    def test_an_unknown_method(self, broker: Broker) -> None:
        with pytest.raises(
            ValueError, match=r"'basic.publishh'; did you mean 'basic.publish'.*there are: 'access.request'"
        ):
            broker.faults.on("basic.publishh")
        with pytest.raises(ValueError, match=r"no method that a client sends, .* is called 'basic.get-ok'"):
            broker.faults.on("basic.get-ok")

    def test_a_criterion_that_does_not_fit(self, broker: Broker) -> None:
        with pytest.raises(
            TypeError, match=r"basic.publish cannot be told by its queue; it can by: .*, exchange, routing_key$"
        ):
            broker.faults.on("basic.publish", queue="q")
        with pytest.raises(TypeError, match=r"connection.start-ok cannot be told by its vhost"):
            broker.faults.on("connection.start-ok", vhost="/")
        with pytest.raises(TypeError, match="user is a text, not 1"):
            broker.faults.on("basic.publish", user=1)  # type: ignore[arg-type]

    @pytest.mark.parametrize("when", [{"nth": 0}, {"times": 0}, {"nth": 1.5}, {"seconds": 0}, {"seconds": -1}])
    def test_numbers_that_make_no_sense(self, broker: Broker, when: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(when))} is a "):
            broker.faults.on("basic.publish", **when)  # type: ignore[arg-type]

    def test_actions_that_do_not_fit(self, broker: Broker) -> None:
        faults = broker.faults
        wrong_ones: list[Callable[[], object]] = [
            lambda: faults.on("basic.get").nack(),
            lambda: faults.on("basic.ack").never_confirm(),
            lambda: faults.on("basic.publish").never_answer(),
            lambda: faults.on("basic.publish").refuse_login(),
            lambda: faults.on("queue.declare").cancel_consumer(),
            lambda: faults.on("connection.open").close_channel(406),
            lambda: faults.on("connection.open").hold_back(),
            lambda: faults.on("connection.open").lose(),
            lambda: faults.on("connection.open").call(print),
        ]
        for wrong in wrong_ones:
            with pytest.raises(TypeError, match=r"does not fit (basic|queue|connection)\.[a-z]+; it is for "):
                wrong()
        assert list(faults) == []

    def test_codes_that_do_not_fit(self, broker: Broker) -> None:
        with pytest.raises(ValueError, match=r"320 does not close a channel; these do: 311 CONTENT_TOO_LARGE, .*406"):
            broker.faults.on("basic.publish").close_channel(320)
        with pytest.raises(ValueError, match="406 does not close a connection; these do: 320 CONNECTION_FORCED, "):
            broker.faults.on("basic.publish").close_connection(406)
        with pytest.raises(ValueError, match="999 does not"):
            broker.faults.on("basic.publish").close_connection(999)

    def test_values_that_do_not_fit(self, broker: Broker) -> None:
        publish = broker.faults.on("basic.publish")
        with pytest.raises(ValueError, match="seconds is a time above 0, not 0"):
            publish.confirm_late(0)
        with pytest.raises(ValueError, match="a batch has 2 messages at least, not 1"):
            publish.confirm_in_batches(1)
        with pytest.raises(ValueError, match="an alarm is for 'memory' or 'disk', not 'fire'"):
            publish.raise_alarm("fire")


class TestEnds:
    def test_a_connection_is_closed(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        manual.faults.next("queue.declare").close_connection()
        peer.method(QueueDeclare(0, "q"))
        assert peer.read() == ConnectionClose(320, "CONNECTION_FORCED - Closed via management plugin", 0, 0)
        other = connect(manual)
        manual.faults.next("queue.declare").close_connection(541, carry_out=True)
        other.method(QueueDeclare(0, "q"))
        assert [other.expect(QueueDeclareOk).queue, other.read()] == [
            "q",
            ConnectionClose(541, "INTERNAL_ERROR", 50, 10),
        ]

    def test_opening_is_refused(self, manual: Broker, connect: Connect) -> None:
        manual.faults.next("connection.open", vhost="/").close_connection(530, "not now")
        with pytest.raises(AssertionError, match="530"):
            connect(manual)
        connect(manual).declare("q")

    def test_a_lost_acknowledgement_is_redelivered(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        peer.publish("q", b"1")
        fault = manual.faults.next("basic.ack", queue="q").reset_connection()
        peer.get("q", no_ack=False)
        peer.method(BasicAck(1))
        assert peer.ended()
        other = connect(manual)
        other.method(BasicGet(0, "q"))
        assert getattr(other.message().method, "redelivered", None) is True
        (refusal,) = manual.history.of("refused")
        assert fault.text in str(refusal.reason)

    def test_the_message_stays_and_its_confirm_is_lost(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.next("basic.publish").reset_connection(carry_out=True)
        peer.publish("q", b"1")
        assert peer.ended()
        assert bodies(manual) == [b"1"]

    def test_an_end_without_a_word(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        manual.faults.next("queue.declare").end_connection(carry_out=True)
        peer.method(QueueDeclare(0, "q"))
        assert peer.expect(QueueDeclareOk).queue == "q"
        assert peer.transport.receive(peer.transport.monotonic() + PATIENCE) == b""

    def test_what_comes_behind_is_not_done(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.on("basic.publish", nth=2).reset_connection()
        peer.send(publishing("q", b"1") + publishing("q", b"2") + publishing("q", b"3"))
        assert peer.ended()
        assert bodies(manual) == [b"1"]

    def test_at_a_delivery(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.on("basic.deliver", nth=2, queue="q").close_channel(406, "enough")
        peer.consume("q")
        for number in range(3):
            peer.publish("q", b"%d" % number)
        assert [peer.message().body, peer.message().body] == [b"0", b"1"]
        assert peer.expect(ChannelClose) == ChannelClose(406, "PRECONDITION_FAILED - enough", 0, 0)
        assert len(came(manual, peer)) == 0

    def test_a_delivery_is_lost_with_the_connection(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        peer.consume("q")
        manual.faults.next("basic.deliver").reset_connection()
        publisher = connect(manual)
        publisher.publish("q", b"1")
        assert peer.ended()
        publisher.method(BasicGet(0, "q"))
        assert getattr(publisher.message().method, "redelivered", None) is True


class TestLogins:
    def test_refused_so_many_times(self, manual: Broker, connect: Connect) -> None:
        fault = manual.faults.on("connection.start-ok", user="guest", times=2).refuse_login()
        for _ in range(2):
            with pytest.raises(AssertionError, match=r"403, .*ACCESS_REFUSED - Login was refused using"):
                connect(manual)
        connect(manual).declare("q")
        assert fault.hits == 2

    def test_without_the_capability_it_is_silent(self, manual: Broker, clock: ManualClock) -> None:
        manual.faults.next("connection.start-ok").refuse_login()
        peer = Peer(manual.transport())
        peer.greet()
        peer.log_in(client_properties={})
        assert peer.ended()
        assert clock.monotonic() == 3

    def test_an_answer_that_never_comes(self, manual: Broker, clock: ManualClock) -> None:
        manual.faults.next("connection.start-ok").never_answer()
        peer = Peer(manual.transport())
        peer.greet()
        peer.log_in()
        assert peer.ended(), "the handshake has 10 seconds"
        assert clock.monotonic() == 10

    def test_tuning_comes_late(self, manual: Broker, clock: ManualClock) -> None:
        manual.faults.next("connection.start-ok").answer_late(4)
        peer = Peer(manual.transport())
        peer.greet()
        peer.log_in()
        peer.expect(ConnectionTune)
        assert clock.monotonic() == 4
        peer.method(ConnectionTuneOk(2047, 131072, 0), 0)
        peer.method(ConnectionOpen("/"), 0)
        peer.expect(ConnectionOpenOk)


class TestAnswers:
    def test_one_that_never_comes(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        fault = manual.faults.next("queue.declare").never_answer()
        peer.method(QueueDeclare(0, "q"))
        peer.method(QueueDeclare(0, "r"))
        assert peer.expect(QueueDeclareOk).queue == "r"
        assert (fault.hits, bodies(manual)) == (1, [])

    def test_one_that_comes_late(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.next("basic.consume").answer_late(5)
        peer.publish("q", b"1")
        peer.method(BasicConsume(0, "q"))
        manual.drain_clients()
        clock.advance(seconds=4)
        assert came(manual, peer) == []
        clock.advance(seconds=1)
        consumed, delivered = came(manual, peer)
        assert (type(consumed).__name__, isinstance(delivered, Content)) == ("BasicConsumeOk", True)

    def test_one_that_is_let_go(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        fault = manual.faults.on("queue.declare").answer_late(5)
        peer.method(QueueDeclare(0, "q"))
        assert came(manual, peer) == []
        fault.end()
        assert peer.expect(QueueDeclareOk).queue == "q"

    def test_an_error_in_place_of_the_answer(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        manual.faults.on("queue.declare").never_answer()
        peer.method(QueueDeclare(0, "missing", passive=True))
        assert peer.expect(ChannelClose).reply_code == 404
        peer.method(ChannelCloseOk())
        peer.open_channel()

    def test_a_method_that_wants_none(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        manual.faults.next("queue.declare").never_answer()
        peer.method(QueueDeclare(0, "q", nowait=True))
        assert peer.declare("r").queue == "r"

    def test_a_message_that_is_got_late(self, manual: Broker, clock: ManualClock, pipe: Connect) -> None:
        peer = pipe(manual)
        peer.declare("q")
        peer.publish("q", b"1")
        manual.faults.next("basic.get").answer_late(2)
        assert (peer.get("q"), clock.monotonic()) == (b"1", 2)


class TestHoldingBack:
    def test_a_publish_and_what_is_behind_it(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.next("basic.publish").hold_back(3)
        for number in range(3):
            peer.publish("q", b"%d" % number)
        peer.open_channel(2)
        manual.drain_clients()
        assert bodies(manual) == []
        clock.advance(seconds=3)
        assert bodies(manual) == [b"0", b"1", b"2"]
        assert came(manual, peer) == [BasicAck(3, multiple=True)]

    def test_until_it_ends(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        with manual.faults.on("basic.publish").hold_back():
            peer.publish("q", b"1")
            peer.publish("q", b"2")
            manual.drain_clients()
            assert bodies(manual) == []
        assert bodies(manual) == [b"1", b"2"]

    def test_for_as_long_as_the_fault_lasts(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.on("basic.publish", seconds=10).hold_back()
        peer.publish("q", b"1")
        clock.advance(seconds=9)
        assert bodies(manual) == []
        clock.advance(seconds=1)
        assert bodies(manual) == [b"1"]

    def test_a_delivery(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        peer.consume("q")
        manual.faults.next("basic.deliver", queue="q").hold_back(3)
        for number in range(2):
            peer.publish("q", b"%d" % number)
        assert came(manual, peer) == []
        clock.advance(seconds=3)
        assert [item.body for item in came(manual, peer) if isinstance(item, Content)] == [b"0", b"1"]

    def test_a_client_that_goes_meanwhile(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.next("basic.publish").hold_back(3)
        peer.publish("q", b"1")
        manual.drain_clients()
        peer.vanish()
        assert connect(manual).count("q") == 0
        clock.advance(seconds=3)
        assert bodies(manual) == []

    def test_errors_come_late_too(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        manual.faults.next("queue.delete").hold_back(3)
        peer.method(QueueDeclare(0, "a"))
        peer.expect(QueueDeclareOk)
        peer.method(QueueDelete(0, "a", if_unused=True))
        peer.method(QueueDeclare(0, "missing", passive=True))
        manual.drain_clients()
        clock.advance(seconds=3)
        assert [type(item).__name__ for item in came(manual, peer)] == ["QueueDeleteOk", "ChannelClose"]


class TestConfirms:
    def test_a_nack(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        fault = manual.faults.on("basic.publish", nth=2).nack()
        peer.send(b"".join(publishing("q", b"%d" % number) for number in range(4)))
        assert came(manual, peer) == [BasicAck(1, multiple=True), BasicAck(3), BasicAck(4), BasicNack(2)]
        assert bodies(manual) == [b"0", b"2", b"3"]
        assert fault.hits == 1

    def test_a_nack_is_that_of_a_full_queue(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.next("basic.publish").nack()
        peer.publish("q", b"1")
        faulty = came(manual, peer)
        other = confirming(manual, connect)
        other.declare("full", {"x-max-length": 0, "x-overflow": "reject-publish"})
        other.publish("full", b"1")
        assert came(manual, other) == faulty == [BasicNack(1, multiple=True)]

    def test_it_still_has_to_be_a_good_publish(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.next("basic.publish").nack()
        peer.publish("q", exchange="missing")
        assert peer.expect(ChannelClose).reply_code == 404

    def test_channels_without_confirms_do_not_count(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        fault = manual.faults.on("basic.publish").nack()
        peer.publish("q", b"1")
        manual.drain_clients()
        assert (bodies(manual), fault.matches) == ([b"1"], 0)

    def test_one_that_never_comes(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.on("basic.publish", nth=3).never_confirm()
        peer.send(b"".join(publishing("q", b"%d" % number) for number in range(5)))
        assert came(manual, peer) == [BasicAck(2, multiple=True), BasicAck(4), BasicAck(5)]
        assert len(bodies(manual)) == 5

    def test_a_message_that_is_lost_in_the_broker(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.on("basic.publish", nth=2).lose()
        peer.send(b"".join(publishing("q", b"%d" % number) for number in range(3)))
        assert came(manual, peer) == [BasicAck(1, multiple=True), BasicAck(3)]
        assert bodies(manual) == [b"0", b"2"]

    def test_one_that_comes_late(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.next("basic.publish").confirm_late(5)
        peer.publish("q", b"1")
        peer.publish("q", b"2")
        assert came(manual, peer) == [BasicAck(2)]
        clock.advance(seconds=5)
        assert came(manual, peer) == [BasicAck(1)]

    def test_one_that_is_let_go(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        with manual.faults.on("basic.publish").confirm_late():
            peer.send(b"".join(publishing("q", b"%d" % number) for number in range(2)))
            assert came(manual, peer) == []
        assert came(manual, peer) == [BasicAck(1), BasicAck(2)]

    def test_one_by_one(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        burst = b"".join(publishing("q", b"%d" % number) for number in range(3))
        peer.send(burst)
        assert came(manual, peer) == [BasicAck(3, multiple=True)]
        manual.faults.on("basic.publish").confirm_singly()
        peer.send(burst)
        assert came(manual, peer) == [BasicAck(4), BasicAck(5), BasicAck(6)]

    def test_in_batches(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = confirming(manual, connect)
        manual.faults.on("basic.publish").confirm_in_batches(3, seconds=2)
        for number in range(5):
            peer.publish("q", b"%d" % number)
            manual.drain_clients()
        assert came(manual, peer) == [BasicAck(3, multiple=True)]
        clock.advance(seconds=2)
        assert came(manual, peer) == [BasicAck(5, multiple=True)]

    def test_unroutable(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        fault = manual.faults.on("basic.publish").return_unroutable()
        peer.publish("q", b"1", mandatory=True)
        returned, confirmed = came(manual, peer)
        assert isinstance(returned, Content)
        assert returned.method == BasicReturn(312, "NO_ROUTE", "", "q")
        assert confirmed == BasicAck(1)
        peer.publish("q", b"2")
        assert came(manual, peer) == [BasicAck(2)]
        assert (bodies(manual), fault.hits) == ([], 2)


class TestOthers:
    def test_a_consumer_is_cancelled(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        peer.consume("q", "worker")
        manual.faults.on("basic.ack", nth=2, queue="q").cancel_consumer()
        for number in range(3):
            peer.publish("q", b"%d" % number)
        tags = [getattr(peer.message().method, "delivery_tag", 0) for _ in range(3)]
        for tag in tags[:2]:
            peer.method(BasicAck(tag))
        assert peer.expect(BasicCancel) == BasicCancel("worker", nowait=True)
        manual.drain_clients()
        assert manual.queue("q").unacked == 1
        peer.method(BasicAck(tags[2]))
        peer.publish("q", b"4")
        assert came(manual, peer) == []
        assert bodies(manual) == [b"4"]

    def test_a_consumer_is_cancelled_behind_a_delivery(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        peer.consume("q", "worker")
        manual.faults.next("basic.deliver", queue="q").cancel_consumer()
        peer.publish("q", b"1")
        peer.publish("q", b"2")
        assert peer.message().body == b"1"
        assert peer.expect(BasicCancel).consumer_tag == "worker"
        assert came(manual, peer) == []

    def test_a_consumer_is_cancelled_at_once(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.next("basic.consume").cancel_consumer()
        tag = peer.consume("q")
        assert peer.expect(BasicCancel).consumer_tag == tag

    def test_an_alarm(self, manual: Broker, clock: ManualClock, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.on("basic.publish", nth=2).raise_alarm("disk", seconds=30)
        for number in range(4):
            peer.publish("q", b"%d" % number)
        assert peer.expect(ConnectionBlocked).reason == "low on disk"
        manual.drain_clients()
        assert bodies(manual) == [b"0", b"1"]
        clock.advance(seconds=30)
        assert peer.read() == ConnectionUnblocked()
        manual.drain_clients()
        assert bodies(manual) == [b"0", b"1", b"2", b"3"]

    def test_a_function_is_called_outside_of_turns(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        called: list[str] = []

        def restart() -> None:
            called.append(threading.current_thread().name)
            other = connect(manual)
            other.declare("by the function")
            other.close()

        fault = manual.faults.next("queue.declare", queue="r").call(restart)
        peer.method(QueueDeclare(0, "r"))
        assert peer.expect(QueueDeclareOk).queue == "r"
        assert (called, fault.hits) == (["hutch fault"], 1)
        assert connect(manual).count("by the function") == 0


class TestRemains:
    def test_nothing_is_left_behind(self, manual: Broker, connect: Connect) -> None:
        peer = confirming(manual, connect)
        sessions = manual.hub.sessions
        before = [session.reader.cutter.commands for session in sessions]
        manual.faults.next("basic.publish").nack()
        assert [session.reader.cutter.commands for session in sessions] != before
        peer.publish("q", b"1")
        manual.drain_clients()
        assert [session.reader.cutter.commands for session in sessions] == before
        assert [session.gate for session in sessions] == [None]
        assert manual.hub.new_session is Session

    def test_clear(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        peer.declare("q")
        manual.faults.on("basic.publish").hold_back()
        peer.publish("q", b"1")
        manual.drain_clients()
        manual.faults.clear()
        assert bodies(manual) == [b"1"]
        assert (list(manual.faults), manual.hub.new_session) == ([], Session)
        assert [session.gate for session in manual.hub.sessions] == [None]

    def test_a_return_to_a_snapshot_ends_all(self, manual: Broker, connect: Connect) -> None:
        peer = connect(manual)
        snapshot = manual.snapshot()
        manual.faults.on("queue.declare").never_answer()
        manual.restore(snapshot)
        assert list(manual.faults) == []
        assert peer.declare("q").queue == "q"

    def test_sessions_that_are_gone_are_forgotten(self, manual: Broker, pipe: Connect) -> None:
        def sessions() -> int:
            gc.collect()
            return sum(isinstance(each, Session) for each in gc.get_objects())

        manual.faults.on("basic.publish").lose()
        before = sessions()
        for _ in range(20):
            pipe(manual).close()
        assert sessions() < before + 10

    def test_who_never_asks_does_not_import_them(self) -> None:
        broker = Broker()
        assert broker.hub.faults is None
        broker.close()
