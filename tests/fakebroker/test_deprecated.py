"""Deprecated features, permitted and denied as in RabbitMQ's configuration. The texts are a live 4.3.6's."""

from typing import Any

import pytest

from hutch.client import Connection, InternalError, Message, PreconditionFailed
from hutch.fakebroker import Broker
from hutch.pytest_plugin import FakeBroker


def refusal(broker: FakeBroker, **kwargs: Any) -> str:
    """How a declaration ends the connection."""
    with pytest.raises(InternalError) as caught:
        broker.connect().channel().queue_declare("q", auto_delete=False, **kwargs)
    assert (caught.value.reply_code, caught.value.method_sig) == (541, (50, 10))
    return str(caught.value.reply_text)


def test_denied_queues_that_are_neither_durable_nor_exclusive() -> None:
    with FakeBroker(permit_deprecated_features={"transient_nonexcl_queues": False}) as broker:
        text = (
            "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted per the "
            "configuration (overriding the default, which is permitted):\n"
            '    "deprecated_features.permit.transient_nonexcl_queues = false"\nIts use will not be permit...'
        )
        assert refusal(broker) == text
        assert refusal(broker, arguments={"x-queue-master-locator": "random"}) == text
        assert refusal(broker, arguments={"x-queue-type": "quorum"}) == text
        broker.admin.set_vhost_limit("max-queues", 0)
        assert refusal(broker) == text
        broker.admin.clear_vhost_limit("max-queues")
        channel = broker.connect().channel()
        channel.queue_declare("durable", durable=True)
        channel.queue_declare("exclusive", exclusive=True)
        channel.queue_declare("exclusive", passive=True)
        with pytest.raises(PreconditionFailed, match="invalid arg 'x-max-length'"):
            channel.queue_declare("bad", arguments={"x-max-length": -1})


def test_permitted_master_locators_are_not_looked_at() -> None:
    with FakeBroker() as broker:
        assert refusal(broker, durable=True, arguments={"x-queue-master-locator": "random"}).startswith(
            "INTERNAL_ERROR - Feature `queue_master_locator` is deprecated.\nBy default, this feature is not permitted"
        )
    with FakeBroker(permit_deprecated_features={"queue_master_locator": True}) as broker:
        for locator in ("random", "bogus", 5, ""):
            broker.connect().channel().queue_declare(f"q-{locator}", arguments={"x-queue-master-locator": locator})


@pytest.mark.parametrize("permitted", [True, False])
def test_a_global_prefetch_is_shared_where_it_is_permitted(permitted: bool) -> None:
    with FakeBroker(permit_deprecated_features={"global_qos": permitted}) as broker:
        channel = broker.connect().channel()
        channel.queue_declare("q", auto_delete=False)
        channel.basic_qos(0, 2, True)
        channel.basic_consume("q")
        channel.basic_consume("q")
        for _ in range(5):
            channel.basic_publish(Message(b""), routing_key="q")
        assert broker.queue("q").unacked == (2 if permitted else 4)


@pytest.mark.fakebroker(permit_deprecated_features={"transient_nonexcl_queues": False})
def test_the_marker_denies_features(fakebroker: FakeBroker) -> None:
    with Connection(transport=fakebroker.transport) as connection, pytest.raises(InternalError):
        connection.channel().queue_declare("q")


def test_unknown_features_are_refused_with_the_names_of_those_there_are() -> None:
    for name in ("transient_queues", "ram_node_type"):
        with pytest.raises(
            ValueError, match=f"4.3 has no .* '{name}' .* it has 'global_qos', 'queue_master_locator', "
        ):
            Broker(permit_deprecated_features={name: True})
    with pytest.raises(ValueError, match=r"3\.10 has no .* 'global_qos' .* it has none"):
        Broker("3.10", permit_deprecated_features={"global_qos": False})
