"""The broker as its users hold it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hutch.fakebroker import PROFILES, Broker, Event, ManualClock, SystemClock
from hutch.wire.content import Content
from hutch.wire.methods import (
    BasicAck,
    BasicCancel,
    BasicCancelOk,
    BasicConsume,
    BasicGet,
    BasicNack,
    BasicReject,
    BasicReturn,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionTune,
    ConnectionTuneOk,
    ExchangeDeclare,
    ExchangeDelete,
    Method,
    QueueBind,
    QueueDeclare,
    QueueDelete,
    QueuePurge,
    QueueUnbind,
)
from hutch.wire.url import parse_url

from .conftest import Connect
from .own import own
from .peers import TCP, Peer, publishing

# Profiles, users, virtual hosts


@pytest.mark.parametrize("name", ["4.3", "3.10"])
def test_a_profile_is_found_by_its_name(name: str, pipe: Connect) -> None:
    with Broker(name) as broker, Peer(broker.transport()) as peer:
        assert broker.profile.name == name
        assert str(peer.greet().server_properties["version"]).startswith(name)
        assert name in repr(broker)


def test_there_are_profiles_for_two_versions_and_the_newer_is_the_default() -> None:
    assert set(PROFILES) == {"3.10", "4.3"}
    with Broker() as broker:
        assert broker.profile is PROFILES["4.3"]
        assert isinstance(broker.clock, SystemClock)


@pytest.mark.parametrize("name", ["", "4", "4.3.6", "latest"])
def test_an_unknown_profile_is_refused_with_the_names_of_those_there_are(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^profile '.*' is unknown;( did you mean '4.3'[?])? choose from '3.10', '4.3'$"
    ):
        Broker(name)


def test_users_log_in_with_their_passwords(manual: Broker) -> None:
    manual.admin.add_user("ann", "first")
    manual.admin.set_permissions("ann")
    Peer.opened(manual.transport(), user="ann", password="first").vanish()
    manual.admin.add_user("ann", "second")
    Peer.opened(manual.transport(), user="ann", password="second").vanish()
    refused = Peer(manual.transport())
    refused.greet()
    refused.log_in("ann", "first")
    assert refused.expect(ConnectionClose).reply_code == 403


def test_guest_is_nobody_where_other_users_are_named() -> None:
    with Broker(users={"ann": "pw"}) as broker, Peer(broker.transport()) as peer:
        peer.greet()
        peer.log_in()
        assert peer.expect(ConnectionClose).reply_code == 403


def test_virtual_hosts_are_worlds_of_their_own(manual: Broker) -> None:
    manual.admin.add_vhost("other")
    here = Peer.opened(manual.transport())
    there = Peer.opened(manual.transport(), vhost="other")
    here.declare("q")
    there.declare("q")
    here.publish("q", b"here")
    assert there.get("q") is None
    assert manual.queue("q").ready == 1
    assert manual.queue("q", "other").ready == 0
    manual.admin.add_vhost("other")  # the virtual host exists; its contents stay
    assert manual.queue("q", "other").name == "q"


def test_a_virtual_host_that_is_not_there_is_refused(manual: Broker) -> None:
    peer = Peer(manual.transport())
    peer.greet()
    peer.log_in()
    peer.expect(ConnectionTune)
    peer.method(ConnectionTuneOk(2047, 131072, 0), 0)
    peer.method(ConnectionOpen("nowhere"), 0)
    assert peer.expect(ConnectionClose).reply_text == "NOT_ALLOWED - vhost nowhere not found"


# Looking into queues


def test_a_queue_can_be_looked_into_at_any_moment(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    view = manual.queue("q")
    assert (view.name, view.ready, view.unacked, view.consumers, view.messages) == ("q", 0, 0, 0, [])
    peer.publish("q", b"one", headers={"n": 1}, correlation_id="c")
    peer.publish("q", b"two")
    first, second = view.messages
    assert (first.body, first.exchange, first.routing_key) == (b"one", "", "q")
    assert first.headers == {"n": 1}
    assert first.properties.values["correlation_id"] == "c"
    assert (second.body, dict(second.headers)) == (b"two", {})
    assert peer.get("q", no_ack=False) == b"one"
    assert (view.ready, view.unacked) == (1, 1)
    peer.consume("q")
    assert (view.ready, view.unacked, view.consumers) == (0, 2, 1)
    assert repr(view) == "<queue 'q': 0 ready, 2 unacked, 1 consumers>"
    peer.vanish()
    assert (view.ready, view.unacked, view.consumers) == (2, 0, 0)
    assert [message.body for message in view.messages] == [b"one", b"two"]


def test_asking_for_a_queue_that_is_not_there_names_those_there_are(manual: Broker, pipe: Connect) -> None:
    with pytest.raises(LookupError) as caught:
        manual.queue("q")
    assert caught.value.args == ("no queue 'q' in vhost '/'; there are: none",)
    peer = pipe(manual)
    peer.declare("orders")
    peer.declare("payments")
    with pytest.raises(LookupError) as caught:
        manual.queue("order")
    assert caught.value.args == (
        "no queue 'order' in vhost '/'; did you mean 'orders'? there are: 'orders', 'payments'",
    )
    with pytest.raises(LookupError, match=r"^no queue 'orders' in vhost 'elsewhere'; there are: none$"):
        manual.queue("orders", "elsewhere")


# History


def happened(broker: Broker, *kinds: str) -> list[tuple[str, str | None, bytes | None, object]]:
    return [
        (event.kind, event.queue, event.message.body if event.message else None, own(event))
        for event in broker.history.of(*kinds)
    ]


def test_history_tells_of_what_was_declared_and_bound(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    for method in (
        ExchangeDeclare(0, "x", "topic"),
        ExchangeDeclare(0, "x", "topic"),  # no effect
        QueueBind(0, "q", "x", "a.#"),
        QueueUnbind(0, "q", "x", "a.#"),
        QueueBind(0, "q", "x", "b"),
        QueuePurge(0, "q"),
        ExchangeDelete(0, "x"),
        QueueDelete(0, "q"),
    ):
        peer.method(method)
        peer.read()
    peer.close()
    assert happened(manual, *{event.kind for event in manual.history}) == [
        ("connected", None, None, None),
        ("declared", "q", None, None),
        ("declared", None, None, "x"),
        ("bound", None, None, ("x", "q", "a.#")),
        ("unbound", None, None, ("x", "q", "a.#")),
        ("bound", None, None, ("x", "q", "b")),
        ("purged", "q", None, 0),
        ("unbound", None, None, ("x", "q", "b")),
        ("deleted", None, None, "x"),
        ("deleted", "q", None, None),
        ("disconnected", None, None, None),
    ]


def test_history_tells_the_way_of_each_message(manual: Broker, clock: ManualClock, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("dead")
    peer.declare("q", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    peer.declare("plain")
    manual.history.clear()
    peer.publish("q", b"1")
    peer.publish("nowhere", b"2", mandatory=True)
    assert isinstance(peer.message().method, BasicReturn)
    assert peer.get("q", no_ack=False) == b"1"
    peer.method(BasicReject(1, requeue=True))
    tag = peer.consume("q", "reader")
    peer.message()
    peer.method(BasicNack(2, requeue=False))
    peer.method(BasicCancel(tag))
    peer.expect(BasicCancelOk)
    assert peer.get("dead", no_ack=False) == b"1"
    peer.method(BasicAck(3))
    clock.advance(1)
    peer.publish("q", b"3", expiration="500")
    peer.publish("plain", b"4", expiration="500")
    clock.advance(2)
    assert happened(manual, *{event.kind for event in manual.history}) == [
        ("published", None, b"1", ("q",)),
        ("published", None, b"2", ()),
        ("returned", None, b"2", "NO_ROUTE"),
        ("got", "q", b"1", (1, False)),
        ("requeued", "q", b"1", None),
        ("consuming", "q", None, "reader"),
        ("delivered", "q", b"1", ("reader", 2, True)),
        ("rejected", "q", b"1", None),
        ("dead-lettered", "q", b"1", ("rejected", ("dead",), 1)),
        ("cancelled", "q", None, "reader"),
        ("got", "dead", b"1", (3, True)),  # the rejection counts as a failed delivery
        ("acked", "dead", b"1", None),
        ("published", None, b"3", ("q",)),
        ("published", None, b"4", ("plain",)),
        ("expired", "q", b"3", None),
        ("dead-lettered", "q", b"3", ("expired", ("dead",), 4)),
        ("expired", "plain", b"4", None),
        ("dropped", "plain", b"4", None),
    ]
    assert [event.at for event in manual.history.of("published")] == [0.0, 0.0, 1.0, 1.0]
    assert [event.at for event in manual.history.of("expired")] == [1.5, 1.5]
    assert {event.vhost for event in manual.history} == {"/"}


def test_history_tells_why_the_broker_closed_something(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.method(BasicGet(0, "missing"))
    peer.read()
    peer.method(ConnectionOpen("/"), 0)
    peer.read()
    assert [event.reason for event in manual.history.of("refused")] == [
        "NOT_FOUND - no queue 'missing' in vhost '/'",
        "CHANNEL_ERROR - unexpected method in connection state running",
    ]


def test_events_are_named_tuples_and_history_can_be_cleared(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    declared = manual.history.of("declared")
    assert declared == [Event(0.0, "declared", "/", "q", origin=declared[0].origin)]
    assert repr(declared) == (
        "[Event(at=0.0, kind='declared', vhost='/', queue='q', origin=Origin('in-process client 1', 1, 'guest'))]"
    )
    assert len(manual.history) == len(list(manual.history)) == 2
    manual.history.clear()
    assert len(manual.history) == 0
    assert [event.kind for event in declared] == ["declared"]


# Closing


def test_closing_the_broker_closes_its_clients_with_320(manual: Broker, pipe: Connect, tcp: Connect) -> None:
    near, far = pipe(manual), tcp(manual)
    manual.close(grace=0.1)
    for peer in (near, far):
        assert peer.read() == ConnectionClose(
            320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
        )
    near.method(ConnectionCloseOk(), 0)
    assert near.ended()
    assert far.ended()
    manual.close()  # a second time


@pytest.mark.parametrize("way", ["in-process", "TCP"])
def test_who_is_not_yet_in_is_sent_away_without_a_word(manual: Broker, way: str) -> None:
    stages: list[Peer] = []
    for stage in range(4):
        peer = Peer(TCP(manual.url) if way == "TCP" else manual.transport())
        stages.append(peer)
        if stage > 0:
            peer.greet()
        if stage > 1:
            peer.log_in()
            peer.expect(ConnectionTune)
        if stage > 2:
            peer.method(ConnectionTuneOk(2047, 131072, 0), 0)
    manual.drain_clients()
    manual.close()
    for peer in stages:
        assert peer.ended()
        peer.vanish()


def test_a_closed_broker_takes_no_new_client() -> None:
    broker = Broker()
    url = broker.url
    broker.close()
    with pytest.raises(ConnectionRefusedError):
        broker.transport().connect(None)
    transport = TCP(url)
    with pytest.raises(ConnectionRefusedError):
        transport.connect(transport.monotonic() + 1)
    transport.close()


def test_a_closed_broker_does_not_begin_to_listen() -> None:
    broker = Broker()
    broker.close()
    with pytest.raises(RuntimeError, match="closed"):
        broker.listen()


def test_a_broker_is_a_context_manager_and_closes_on_an_error_too(pipe: Connect) -> None:
    broker = Broker()
    peer = pipe(broker)

    def fail() -> None:
        with broker:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert peer.expect(ConnectionClose).reply_code == 320


def test_what_is_unacknowledged_goes_back_when_the_broker_closes(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    peer.publish("q", b"1")
    peer.get("q", no_ack=False)
    view = manual.queue("q")
    manual.close()
    assert (view.ready, view.unacked) == (1, 0)


def test_a_dying_connection_gets_none_of_what_it_gives_back(manual: Broker, pipe: Connect) -> None:
    """Its channels go together: what one of them held is not delivered to another of them."""
    peer = pipe(manual)
    peer.open_channel(2)
    peer.declare("q")
    peer.consume("q", "first")
    peer.publish("q", b"1")
    peer.message()
    peer.consume("q", "second", channel=2)
    manual.history.clear()
    peer.vanish()
    assert [event.kind for event in manual.history] == ["requeued", "disconnected"]
    assert manual.queue("q").ready == 1


# Listening


def test_the_url_listens_on_first_use_and_stays(broker: Broker, tcp: Connect) -> None:
    url = broker.url
    (address,) = parse_url(url)
    assert (address.scheme, address.host, address.userid, address.password) == ("amqp", "127.0.0.1", "guest", "guest")
    assert address.virtual_host == "/"
    assert broker.url == broker.listen() == url
    assert tcp(broker).declare("q").queue == "q"


def test_a_port_can_be_asked_for_and_a_taken_one_is_an_error(broker: Broker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            broker.listen(port=port)
    (address,) = parse_url(broker.listen(port=port))
    assert address.port == port


@pytest.mark.parametrize(
    ("host", "port", "error"),
    [("127.0.0.1", 65536, OverflowError), ("127.0.0.1", -1, OverflowError), ("203.0.113.7", 0, OSError)],
)
def test_an_address_that_cannot_be_is_an_error_at_once(
    broker: Broker, host: str, port: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        broker.listen(host, port)
    assert broker.url.startswith("amqp://")


def test_an_ipv6_address_stands_in_brackets(broker: Broker, tcp: Connect) -> None:
    try:
        url = broker.listen("::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    assert "@[::1]:" in url


def test_the_url_escapes_user_password_and_virtual_host() -> None:
    with Broker(users={"a/b@c": "p:w%d?é"}, vhosts=["shop/eu #1"]) as broker:
        (address,) = parse_url(broker.url)
        assert (address.userid, address.password) == ("a/b@c", "p:w%d?é")
        assert address.virtual_host == "shop/eu #1"
        transport = TCP(broker.url)
        with Peer.opened(transport, user="a/b@c", password="p:w%d?é", vhost="shop/eu #1") as peer:
            peer.declare("q")


# Determinism


def play(profile: str) -> bytes:
    """All that a broker says in answer to a script, and what it remembers of it."""
    clock = ManualClock()
    with Broker(profile, clock, seed=7) as broker:
        said = []
        one, two = Peer.opened(broker.transport()), Peer.opened(broker.transport())
        script: list[tuple[Peer, Method | bytes]] = [
            (one, QueueDeclare(0, "")),
            (two, QueueDeclare(0, "")),
            (one, ExchangeDeclare(0, "t", "topic")),
            (one, ExchangeDeclare(0, "h", "headers")),
            *((one, QueueDeclare(0, f"q{n}", arguments={"x-dead-letter-exchange": "t"})) for n in range(5)),
            *((one, QueueBind(0, f"q{n}", "t", key)) for n in range(5) for key in ("#", "a.*", "*.b", "a.b")),
            *((one, QueueBind(0, f"q{n}", "h", "", arguments={"x-match": "any", "n": n})) for n in range(5)),
            *((two, BasicConsume(0, f"q{n}")) for n in range(3)),
            (one, publishing("a.b", b"1", "t", headers={"b": 1, "a": {"z": 1, "y": 2}}, expiration="100")),
            (one, publishing("", b"2", "h", headers={"n": 3})),
            (two, BasicNack(2, multiple=True, requeue=False)),
            (one, BasicGet(0, "q4")),
            (one, QueueDelete(0, "q1")),
            (one, ExchangeDelete(0, "t")),
        ]
        for peer, step in script:
            if isinstance(step, Method):
                peer.method(step)
            else:
                peer.send(step)
            clock.advance(milliseconds=40)
            for reader in (one, two):
                said += [
                    repr(item).encode() if isinstance(item, Method) else repr(item[1:]).encode()
                    for item in reader.waiting()
                ]
        said += [repr(event).encode() for event in broker.history]
    return b"\n".join(said)


@pytest.mark.parametrize("profile", ["4.3", "3.10"])
def test_the_same_calls_give_the_same_bytes_in_every_process(profile: str) -> None:
    here = play(profile)
    assert here == play(profile)
    assert b"amq.gen-" in here
    assert b"amq.ctag-" in here
    program = f"import sys; from tests.fakebroker.test_broker import play; sys.stdout.buffer.write(play({profile!r}))"
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
            timeout=30,
        )
        assert there.stdout == here


def test_another_seed_makes_other_names(pipe: Connect) -> None:
    names = []
    for seed in (0, 0, 1):
        with Broker(seed=seed) as broker:
            peer = pipe(broker)
            names.append((peer.declare("").queue, peer.consume("")))
    assert names[0] == names[1] != names[2]


def test_a_message_goes_through_untouched(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.declare("q")
    body = bytes(range(256)) * 2000
    peer.publish("q", body, content_type="x/y", headers={"a": [1, {"b": None}], "c": 2.5}, timestamp=1, app_id="é")
    peer.method(BasicGet(0, "q", no_ack=True))
    got = peer.read()
    assert isinstance(got, Content)
    assert got.body == body


def test_a_broker_has_a_dozen_names_and_the_operators_verbs_are_elsewhere(manual: Broker) -> None:
    names = {name for name in {*vars(manual), *dir(Broker)} if not name.startswith("_")}
    ways_in = {"url", "memory_url", "management_url", "transport", "listen", "listen_tls", "listen_management"}
    ways_in.add("add_node")
    assert names == ways_in | {
        "admin",
        "faults",
        "history",
        "queue",
        "clock",
        "profile",
        "run_due",
        "drain_clients",
        "snapshot",
        "reset",
        "restore",
        "close",
        "hub",
        "undrained_history",
    }
