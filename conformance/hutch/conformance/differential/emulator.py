"""The emulator that one script is played on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from hutch.conformance.administration import Operator
from hutch.conformance.site import Site
from hutch.fakebroker import Broker, ManualClock
from hutch.wire.transport import Transport

#: The plugin that provides each exchange type.
PLUGINS: Final = {
    "x-consistent-hash": "rabbitmq_consistent_hash_exchange",
    "x-modulus-hash": "rabbitmq_sharding",
    "x-random": "rabbitmq_random_exchange",
    "x-recent-history": "rabbitmq_recent_history_exchange",
}


class Emulator:
    """A broker in this process, on a clock that is moved by hand."""

    patience = 5.0

    def __init__(self, broker: Broker, clock: ManualClock, like: Site) -> None:
        self.userid: Final = like.userid
        self.password: Final = like.password
        self.vhost: Final = like.vhost
        self._broker: Final = broker
        self._clock: Final = clock

    def transport(self) -> Transport:
        """A stream to it, not yet connected."""
        return self._broker.transport()

    def operator(self) -> Operator:
        """Who administers it."""
        return self._broker.admin

    def restart(self) -> None:
        """Restart it, in no time."""
        self._broker.admin.restart()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def upcoming(self) -> float | None:
        """Seconds until something falls due of itself; ``None`` for never."""
        at = self._clock.next_timer_at()
        return None if at is None else at - self._clock.monotonic()

    def handed_over(self) -> int:
        """How many messages quorum queues handed over that dead-letter at least once."""
        vhost = self._broker.hub.node.vhosts[self.vhost]
        return sum(
            event.queue in vhost.queues and vhost.queues[event.queue].settings.dead_letters_at_least_once
            for event in self._broker.history.of("dead-lettered")
        )


@contextmanager
def emulator(profile: str, like: Site, types: Iterable[str]) -> Iterator[Emulator]:
    """A new emulator with the virtual host and the user of another site, and the exchange types of plugins there."""
    clock = ManualClock()
    plugins = [PLUGINS[type_] for type_ in types if type_ in PLUGINS]
    with Broker(
        profile,
        clock,
        users={like.userid: like.password},
        vhosts=(like.vhost,),
        plugins=plugins,
        history_events=None,
    ) as broker:
        yield Emulator(broker, clock, like)
