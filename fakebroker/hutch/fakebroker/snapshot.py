"""A state of a broker that it can return to."""

from collections.abc import Mapping
from dataclasses import dataclass

from hutch.fakebroker.engine.state.values import NodeState


@dataclass(frozen=True)
class Snapshot:
    """What :meth:`Broker.snapshot <hutch.fakebroker.Broker.snapshot>` gives. It never changes.

    ``profile`` is the name of the broker's RabbitMQ version. ``logins`` are the passwords that are known, by user: a
    URL may have them.
    """

    profile: str
    state: NodeState
    logins: Mapping[str, str]

    def __repr__(self) -> str:
        queues = sum(len(vhost.queues) for vhost in self.state.vhosts)
        return f"<Snapshot of RabbitMQ {self.profile}: queues {queues}, vhosts {len(self.state.vhosts)}>"
