"""Without a virtual host of its own, a case neither disturbs what others have there nor is disturbed by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from hutch.client import Connection
from hutch.conformance.administration import Operator
from hutch.conformance.case import PROFILES, TOPICS, all_cases
from hutch.conformance.control import Control
from hutch.conformance.http import Http
from hutch.conformance.runner import Outcome, run
from hutch.conformance.site import Inapplicable, Site
from hutch.conformance.targets import InProcess, _EmulatorSite
from hutch.fakebroker import Broker, ManualClock

#: A long name, because RabbitMQ truncates texts with long names.
VHOST: Final = "a virtual host of a long name that others use"
#: Names that other users of the broker may have.
QUEUES: Final = (*"abckpqtx", "q1", "key", "dead", "new", "orders")
EXCHANGES: Final = ("x", "x1", "internal")


class SharedSite(_EmulatorSite):
    """A place in a virtual host that others use, where nobody administers."""

    vhost = VHOST
    userid = password = "bob"

    def name(self, prefix: str) -> str:
        return super().name(f"hutch-1-{prefix}")

    def connection(self, **kwargs: Any) -> Connection:
        return super().connection(**{"userid": self.userid, "password": self.password, **kwargs})

    def operator(self) -> Operator:
        raise Inapplicable("needs an operator")

    def http(self) -> Http:
        raise Inapplicable("needs the management API")

    def control(self) -> Control:
        raise Inapplicable("needs control")


class Shared(InProcess):
    """A broker in which others have queues and exchanges."""

    @contextmanager
    def site(self) -> Iterator[Site]:
        clock = ManualClock()
        with Broker(self.profile, clock, users={"bob": "bob"}, vhosts=(VHOST, "/")) as broker:
            others = Others(broker)
            site = SharedSite(self.profile, broker, clock)
            yield site
            others.expect_unchanged(site.given)


class Others:
    """What others have in the virtual host."""

    def __init__(self, broker: Broker) -> None:
        self._vhost = broker.hub.node.vhosts[VHOST]
        self._connection = Connection(transport=broker.transport, userid="bob", password="bob", virtual_host=VHOST)
        self._connection.connect()
        channel = self._connection.channel()
        for queue in QUEUES:
            channel.queue_declare(queue, durable=True, auto_delete=False)
        for exchange in EXCHANGES:
            channel.exchange_declare(exchange, "fanout", durable=True, auto_delete=False)
            channel.queue_bind("orders", exchange)
        for exchange in ("amq.topic", "amq.fanout"):
            channel.queue_bind("orders", exchange, "#")
        channel.queue_bind("orders", "amq.headers", arguments={"x-match": "all"})
        self._exchanges = set(self._vhost.exchanges)

    def expect_unchanged(self, given: list[str]) -> None:
        """The suite can delete what has a name that was given; nothing else may be new or different."""
        assert set(self._vhost.queues) - set(given) == set(QUEUES)
        assert set(self._vhost.exchanges) - set(given) == self._exchanges
        channel = self._connection.channel()
        ready = {queue: channel.queue_declare(queue, passive=True).message_count for queue in QUEUES}
        assert {queue: count for queue, count in ready.items() if count} == {}
        self._connection.close()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("topic", TOPICS)
def test_cases_among_others(topic: str, profile: str) -> None:
    results = list(run((case for case in all_cases() if case.topic == topic), Shared(profile)))
    assert [(result.case.name, result.message) for result in results if result.outcome is Outcome.FAILED] == []
