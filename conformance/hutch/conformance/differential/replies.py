"""Strategies for direct reply-to: consumers of replies, requests and replies."""

from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.drawing import flag, mostly, seldom
from hutch.conformance.differential.strategies import Strategy
from hutch.wire import methods as wire

#: The pseudo queue of direct reply-to.
PSEUDO: Final = "amq.rabbitmq.reply-to"
#: Aliases of the first reply names that the broker generates.
ALIASES: Final = ("~r1", "~r2", "~r3")


def consumers(tags: Strategy[str]) -> Strategy[wire.BasicConsume]:
    """Who waits for replies."""
    return st.builds(
        wire.BasicConsume,
        queue=st.just(PSEUDO),
        consumer_tag=tags,
        no_ack=mostly((True,), (False,), 12),
        exclusive=mostly((False,), (True,), 12),
    )


def requests(queues: tuple[str, ...], exchanges: tuple[str, ...]) -> Strategy[wire.BasicPublish]:
    """Messages that ask for a reply, with the properties :data:`REQUEST`."""
    by_key = st.builds(wire.BasicPublish, exchange=st.just(""), routing_key=st.sampled_from(queues), mandatory=flag())
    return st.one_of(
        by_key, st.builds(wire.BasicPublish, exchange=st.sampled_from(exchanges), routing_key=st.just("a"))
    )


REQUEST: Final[Strategy[dict[str, Any]]] = st.fixed_dictionaries(
    {"reply_to": st.just(PSEUDO)}, optional={"correlation_id": st.just("c"), "headers": st.just({"a": 1})}
)


def replies() -> Strategy[wire.BasicPublish]:
    """Messages that are replies, or sent where there is nobody."""
    return st.builds(
        wire.BasicPublish, exchange=st.just(""), routing_key=mostly(ALIASES, (PSEUDO,), 20), mandatory=flag()
    )


def questions() -> Strategy[wire.Method]:
    """Whether somebody waits for replies, and what else a name for them is not good for."""
    name = st.sampled_from((*ALIASES, PSEUDO))
    asked = st.builds(wire.QueueDeclare, queue=name, passive=st.just(True), nowait=seldom())
    return st.one_of(
        asked,
        asked,
        st.builds(wire.QueueDeclare, queue=name),
        st.builds(wire.BasicGet, queue=name, no_ack=flag()),
        st.builds(wire.QueueDelete, queue=name),
        st.builds(wire.QueuePurge, queue=name),
        st.builds(wire.QueueBind, queue=name, exchange=st.just("amq.direct"), routing_key=st.just("a")),
        st.builds(wire.BasicConsume, queue=st.sampled_from(ALIASES), no_ack=st.just(True)),
    )
