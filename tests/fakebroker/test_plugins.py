"""Plugins, which bring exchange types; and the hashes that some of these go by, as Erlang has them."""

from collections.abc import Iterable

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.erlang.hashing import Atom, Term, jump, phash2
from hutch.wire.methods import ExchangeDeclare, ExchangeDeclareOk, QueueBind, QueueBindOk

from .conftest import Connect
from .peers import Peer


def test_without_its_plugin_a_type_is_unknown(manual: Broker, pipe: Connect) -> None:
    peer = pipe(manual)
    peer.method(ExchangeDeclare(exchange="x", type="x-random"))
    peer.read()
    assert manual.history.of("refused")[-1].reason == "PRECONDITION_FAILED - unknown exchange type 'x-random'"


def test_an_unknown_plugin_is_told_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"plugin 'rabbitmq_random' is unknown; did you mean '.*choose from 'rabbitmq_con"
    ):
        Broker(plugins=["rabbitmq_random"])


def test_plugins_are_no_text() -> None:
    with pytest.raises(TypeError, match="plugins takes a collection of names"):
        Broker(plugins="rabbitmq_random_exchange")


def _bind(peer: Peer, exchange: str, type_: str, keys: Iterable[str]) -> None:
    peer.method(ExchangeDeclare(exchange=exchange, type=type_))
    peer.expect(ExchangeDeclareOk)
    for key in keys:
        peer.declare(f"q{key}")
        peer.method(QueueBind(queue=f"q{key}", exchange=exchange, routing_key=key))
        peer.expect(QueueBindOk)


def test_random_exchanges_go_by_the_seed(pipe: Connect) -> None:
    picked = []
    for seed in (1, 1, 2):
        with Broker(clock=ManualClock(), seed=seed, plugins=["rabbitmq_random_exchange"]) as broker:
            peer = pipe(broker)
            _bind(peer, "x", "x-random", "abc")
            for _ in range(20):
                peer.publish("k", exchange="x")
            picked.append([event.routed_to for event in broker.history.of("published")])
    assert picked[0] == picked[1] != picked[2]


def test_a_weight_of_any_size_costs_nothing(pipe: Connect) -> None:
    with Broker("3.10", ManualClock(), plugins=["rabbitmq_consistent_hash_exchange"]) as broker:
        peer = pipe(broker)
        heavy = "9" * 250
        _bind(peer, "x", "x-consistent-hash", [heavy[:2], heavy])
        for number in range(20):
            peer.publish(str(number), exchange="x")
        assert peer.count(f"q{heavy}") == 20


# Results of erlang:phash2/1 in Erlang/OTP 25 and 27.
@pytest.mark.parametrize(
    ("term", "number"),
    [
        (b"", 13708901),
        (b"a", 112802447),
        (b"abcdefghijk", 96993671),
        (b"abcdefghijkl", 15432855),
        (b"abcdefghijklm", 11441572),
        (Atom("undefined"), 45914356),
        (Atom("true"), 506293),
        (0, 88723725),
        (-1, 44071773),
        (134217728, 12354923),
        (-134217729, 76739502),
        ((1 << 64) - 1, 53435350),
        (-0.0, 20875736),
        (1.5, 10380315),
        ((), 87486268),
        ((Atom("longstr"), b"x"), 14442427),
        ([], 113427502),
        ([1], 84609158),
        ([1, 2, 3, 4, 5], 66056394),
        ([b"a", b"b"], 3094894),
        ([Atom("a"), 1, 2, Atom("b"), 3], 421232),
        ([1, 300, 2, 2, 2, 2, 2], 32353452),
        ((Atom("table"), [(b"k", Atom("longstr"), b"v")]), 95356243),
    ],
)
def test_hashes_are_erlangs(term: Term, number: int) -> None:
    assert phash2(term) == number


# Results of Erlang's random numbers with rand:seed_s(exs1024, {Key, Key, Key}).
@pytest.mark.parametrize(
    ("key", "buckets", "bucket"),
    [
        (0, 2, 0),
        (1, 10, 3),
        (77, 100, 99),
        (13708901, 1000, 161),
        (112802447, 3, 1),
        (134217727, 1000000, 588834),
        (-5, 7, 2),
        (1099511627776, 1000000000000, 3143911474),
    ],
)
def test_buckets_are_those_of_erlangs_numbers(key: int, buckets: int, bucket: int) -> None:
    assert jump(key, buckets) == bucket
