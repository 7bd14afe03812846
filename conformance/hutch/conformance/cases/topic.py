"""Topic exchanges: every binding key of a set against every routing key of a set (EXCH-TOPIC, TOPIC-M)."""

from typing import Final

from hutch.conformance.case import Play, case
from hutch.conformance.check import equal
from hutch.conformance.rabbit import Rabbit

#: Each row: the behaviours shown, the routing key, and the binding keys of _BINDINGS that match it.
_MATRIX: Final = (
    (("TOPIC-M01", "EXCH-TOPIC-03"), "", "# #.# <empty>"),
    (("TOPIC-M02", "EXCH-TOPIC-01"), "a", "# * a a.# #.# #.* *.# #.a.#"),
    (("TOPIC-M03", "EXCH-TOPIC-02"), "a.b", "# a.b *.b a.* a.# #.b a.#.b *.* #.# #.* *.# a.*.# *.#.* #.a.#"),
    (("TOPIC-M04", "EXCH-TOPIC-01"), "a.b.c", "# a.# #.# #.* *.# a.*.# *.#.* #.a.#"),
    (("TOPIC-M05", "EXCH-TOPIC-02"), ".", "# *.* #.# #.* *.# . *. *.#.*"),
    (("TOPIC-M06", "EXCH-TOPIC-04"), "..", "# #.# #.* *.# *.#.*"),
    (("TOPIC-M07", "EXCH-TOPIC-04"), "a.", "# a.* a.# *.* #.# #.* *.# a.*.# a. *. *.#.* #.a.#"),
    (("TOPIC-M08", "EXCH-TOPIC-04"), ".a", "# *.* #.# #.* *.# .a *.#.* #.a.#"),
    (("TOPIC-M09", "EXCH-TOPIC-04"), "a..b", "# a.# #.b a.#.b #.# #.* *.# a.*.# a..b a.*.b *.#.* #.a.#"),
    (("TOPIC-M10",), "b", "# * #.b #.# #.* *.#"),
    (("TOPIC-M11", "EXCH-TOPIC-05"), "a*", "# * #.# #.* *.# a*"),
    (("TOPIC-M12", "EXCH-TOPIC-06"), "#", "# * #.# #.* *.#"),
    (("TOPIC-M13", "EXCH-TOPIC-06"), "*", "# * #.# #.* *.#"),
    (("TOPIC-M14", "EXCH-TOPIC-05"), "#a", "# * #.# #.* *.# #a"),
    (("TOPIC-M15",), "A", "# * #.# #.* *.# A"),
    (("TOPIC-M16",), "a.b.b", "# a.# #.b a.#.b #.# #.* *.# a.*.# a.*.b *.#.* #.a.#"),
    (("TOPIC-M17",), "a.x.y.b", "# a.# #.b a.#.b #.# #.* *.# a.*.# *.#.* #.a.#"),
)
_BINDINGS: Final = (
    *("#", "*", "a", "a.b", "*.b", "a.*", "a.#", "#.b", "a.#.b", "*.*", "#.#", "#.*", "*.#", "a.*.#", "<empty>"),
    *(".", "a.", ".a", "*.", "a..b", "a.*.b", "A", "a*", "#a", "a#", "*.#.*", "#.a.#"),
)


def _row(routing_key: str, matching: list[str]) -> Play:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        exchange = rabbit.exchange(channel, "topic")
        queues = {}
        for binding in _BINDINGS:
            queues[binding] = rabbit.queue(channel)
            channel.queue_bind(queues[binding], exchange, "" if binding == "<empty>" else binding)
        rabbit.publish(channel, b"x", exchange, routing_key)
        matched = [binding for binding, queue in queues.items() if rabbit.bodies(channel, queue)]
        equal(sorted(matched), sorted(matching), f"binding keys that match {routing_key!r}")

    return play


def _register() -> None:
    for behaviours, routing_key, matching in _MATRIX:
        play = _row(routing_key, matching.split())
        play.__name__ = "topic_matrix_" + behaviours[0].rpartition("M")[2]
        play.__doc__ = (
            f"The routing key '{routing_key}' is matched by the binding keys {matching}, of many others by none."
        )
        case(*behaviours)(play)


_register()


@case("EXCH-TOPIC-01", "EXCH-BIND-03")
def unbinding_topic_patterns(rabbit: Rabbit) -> None:
    """Unbinding a pattern leaves those alone that begin, end or match alike."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "topic")
    patterns = ["a.#", "a.*", "a.b", "#", "a"]
    queues = {pattern: rabbit.bound(channel, exchange, pattern) for pattern in patterns}
    for removed in patterns:
        channel.queue_unbind(queues[removed], exchange, removed)
        rabbit.publish(channel, b"x", exchange, "a.b")
        left = {"a.#", "a.*", "a.b", "#"} - set(patterns[: patterns.index(removed) + 1])
        matched = {pattern for pattern, queue in queues.items() if rabbit.bodies(channel, queue)}
        equal(matched, left, f"patterns that match after {removed!r} was unbound")


@case("EXCH-TOPIC-01", "EXCH-BIND-03")
def unbinding_the_beginning_of_a_pattern(rabbit: Rabbit) -> None:
    """Unbinding a pattern leaves a longer one that begins like it, and a shorter one that it begins with."""
    channel = rabbit.channel()
    exchange = rabbit.exchange(channel, "topic")
    queues = {pattern: rabbit.bound(channel, exchange, pattern) for pattern in ("a", "a.b", "a.b.c", "a.#", "a.#.c")}
    for removed in ("a.b", "a.#"):
        channel.queue_unbind(queues.pop(removed), exchange, removed)
        for key, patterns in (("a", ["a"]), ("a.b", []), ("a.b.c", ["a.b.c", "a.#.c"]), ("a.c", ["a.#.c"])):
            rabbit.publish(channel, b"x", exchange, key)
            wanted = {*patterns, *({"a.#"} & set(queues))}
            equal({pattern for pattern, queue in queues.items() if rabbit.bodies(channel, queue)}, wanted, key)
