"""Topic exchanges against a regular expression that says the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from hutch.fakebroker import Broker
from hutch.wire.methods import QueueBind, QueueBindOk, QueueUnbind, QueueUnbindOk

from .conftest import Connect
from .peers import Peer

WORDS = st.sampled_from(["", "a", "b", "ab", "a*", "#a", "é", "\n", "[", ".*"])
PATTERNS = st.lists(WORDS | st.sampled_from(["*", "#", "#"]), max_size=6).map(".".join)
KEYS = st.lists(WORDS | st.sampled_from(["*", "#"]), max_size=6).map(".".join)


def matches(pattern: str, key: str) -> bool:
    """Whether a pattern's words match a key's: ``*`` one word, ``#`` any number, none included; no key, no words."""
    if not pattern:
        return not key
    expression = ""
    for word in pattern.split("."):
        # Each word includes the dot after it. So the key gets one more dot at its end.
        expression += {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}.get(word, re.escape(word) + r"\.")
    return re.fullmatch(expression, f"{key}." if key else "", re.DOTALL) is not None


def published_to(broker: Broker, peer: Peer, key: str) -> set[str]:
    """The queues that a message with this key goes to."""
    broker.history.clear()
    peer.publish(key, b"", "amq.topic")
    (published,) = broker.history.of("published")
    assert len(set(published.routed_to)) == len(published.routed_to)
    return set(published.routed_to)


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), PATTERNS, st.booleans()), min_size=1, max_size=12),
    st.lists(KEYS, min_size=1, max_size=8),
)
def test_bindings_come_and_go_and_match_as_told(changes: list[tuple[str, str, bool]], keys: list[str]) -> None:
    # 4.3 refuses patterns with more than two #
    with Broker("3.10") as broker, Peer.opened(broker.transport()) as peer:
        bound: set[tuple[str, str]] = set()
        for queue in "xyz":
            peer.declare(queue)
        for queue, pattern, unbind in changes:
            peer.method(QueueBind(0, queue, "amq.topic", pattern))
            peer.expect(QueueBindOk)
            bound.add((queue, pattern))
            if unbind:
                gone = min(bound)
                bound.remove(gone)
                peer.method(QueueUnbind(0, gone[0], "amq.topic", gone[1]))
                peer.expect(QueueUnbindOk)
            for key in keys:
                expected = {queue for queue, pattern in bound if matches(pattern, key)}
                assert published_to(broker, peer, key) == expected, key


def test_many_hashes_and_a_long_key_take_no_time_to_speak_of() -> None:
    with Broker("3.10") as broker, Peer.opened(broker.transport()) as peer:
        peer.declare("yes")
        peer.declare("no")
        key = ".".join("a" * 100)
        for queue, last in (("yes", "a"), ("no", "b")):
            peer.method(QueueBind(0, queue, "amq.topic", "#.a." * 40 + last))
            peer.expect(QueueBindOk)
        assert published_to(broker, peer, key) == {"yes"}


def test_unbinding_leaves_no_trace(broker: Broker, pipe: Connect) -> None:
    peer = pipe(broker)
    peer.declare("q")
    for _ in range(3):
        for pattern in ("a.b.c", "a.b", "a.#", "#", ""):
            peer.method(QueueBind(0, "q", "amq.topic", pattern))
            peer.expect(QueueBindOk)
        for pattern in ("a.b", "#", "a.b.c", "", "a.#"):
            peer.method(QueueUnbind(0, "q", "amq.topic", pattern))
            peer.expect(QueueUnbindOk)
        assert published_to(broker, peer, "a.b.c") == published_to(broker, peer, "") == set()
