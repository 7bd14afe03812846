"""Dead-lettering at least once (https://www.rabbitmq.com/docs/quorum-queues#dead-lettering): a quorum queue keeps what
died in it until all queues that it is routed to have taken it.
"""

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.clock import Timer
from hutch.fakebroker.engine.deadletter import dead_letter_message
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.queues.quorum_ready import QuorumEntry, load_quorum_entry
from hutch.fakebroker.engine.queues.quorum_state import AtLeastOnceState, KeptState
from hutch.fakebroker.engine.state.books import Dumping, Loading
from hutch.fakebroker.engine.targets import Publisher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutch.fakebroker.engine.queues.queue import Queue
    from hutch.fakebroker.engine.queues.quorum import QuorumQueue
    from hutch.fakebroker.engine.targets import Standing, Target

#: dead_letter_worker_consumer_prefetch: how many dead letters are published at once.
_PREFETCH: Final = 32
#: dead_letter_worker_publisher_confirm_timeout: seconds until a dead letter is published again.
_RETRY: Final = 180.0


class _Kept:
    """One dead letter. ``taken_by`` are the queues that have it, ``was_taken`` is whether any ever did;
    ``published_at`` is when it was published last, ``None`` if there was no queue to publish it to.
    """

    __slots__ = ("dead", "entry", "published_at", "reason", "taken_by", "was_taken")

    def __init__(self, entry: QuorumEntry, reason: str) -> None:
        self.entry = entry
        self.reason = reason
        self.dead: Message | None = None
        self.published_at: float | None = None
        self.taken_by: set[Target] = set()
        self.was_taken = False

    def dump(self, dumping: Dumping, queues: "Mapping[str, Queue]") -> KeptState:
        """It as data; ``queues`` are those of the virtual host."""
        return KeptState(
            self.entry.dump(dumping),
            self.reason,
            None if self.dead is None else dumping.message(self.dead),
            dumping.moment_or_none(self.published_at),
            tuple(sorted(queue.name for queue in self.taken_by if queues.get(queue.name) is queue)),
            self.was_taken,
        )


def _load_kept(state: KeptState, loading: Loading, queues: "Mapping[str, Queue]") -> _Kept:
    kept = _Kept(load_quorum_entry(state.entry, loading), state.reason)
    kept.dead = None if state.dead is None else loading.message(state.dead)
    kept.published_at = loading.moment_or_none(state.published_at)
    kept.taken_by.update(queues[name] for name in state.taken_by if name in queues)
    kept.was_taken = state.was_taken
    return kept


class AtLeastOnce(Publisher):
    """What died in one quorum queue. ``count`` is how many messages there are, ``size`` the sum of theirs; both count
    towards the queue's limits.
    """

    def __init__(self, queue: "QuorumQueue") -> None:
        self._queue = queue
        self._node: Final = queue.vhost.node
        self._waiting: deque[_Kept] = deque()
        self._pending: dict[_Kept, None] = {}
        self._retry: Timer | None = None
        self._is_due = False
        self.count = 0
        self.size = 0

    @property
    def closed(self) -> bool:
        """Whether its queue has ended: it publishes no more."""
        return self._queue.deleted

    @property
    def reference(self) -> str:
        """The name of its queue."""
        return self._queue.name

    def add(self, entry: QuorumEntry, reason: str) -> None:
        """Take a message that died, and publish it once the command in hand is done."""
        self._waiting.append(_Kept(entry, reason))
        self.count += 1
        self.size += entry.size
        self._forward_later()

    def tell(self, standing: "Standing", is_full: bool) -> None:
        """Hear a queue's word behind the publishes in hand (DLX-27)."""
        self._node.pending.append(partial(standing.hear, is_full))

    def clear(self) -> int:
        """Forget all; how many that was."""
        count = self.count
        self._waiting.clear()
        self._pending.clear()
        self.count = self.size = 0
        if self._retry is not None:
            self._node.timers.cancel(self._retry)
            self._retry = None
        return count

    def dump(self, dumping: Dumping) -> AtLeastOnceState:
        """All dead letters as data."""
        queues = self._queue.vhost.queues
        return AtLeastOnceState(
            tuple(kept.dump(dumping, queues) for kept in self._waiting),
            tuple(kept.dump(dumping, queues) for kept in self._pending),
            dumping.timer(self._retry),
        )

    def load(self, state: AtLeastOnceState, loading: Loading) -> None:
        """Have what was dumped."""
        queues = self._queue.vhost.queues
        self._waiting.extend(_load_kept(kept, loading, queues) for kept in state.waiting)
        self._pending.update((_load_kept(kept, loading, queues), None) for kept in state.pending)
        self.count = len(self._waiting) + len(self._pending)
        self.size = sum(kept.entry.size for kept in (*self._waiting, *self._pending))
        self._retry = loading.timer(state.retry, self._retry_is_due)

    def _forward_later(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._node.pending.append(self._forward)

    def _forward(self) -> None:
        self._is_due = False
        for _ in range(min(_PREFETCH - len(self._pending), len(self._waiting))):
            kept = self._waiting.popleft()
            original, queue = kept.entry.original, self._queue
            kept.dead = dead_letter_message(queue, original, kept.reason, kept.entry.failures)
            self._pending[kept] = None
            if kept.dead is None:
                self._node.journal.dropped(queue, original)
                self._done(kept)
            else:
                self._publish(kept, kept.dead)
        if self._waiting and len(self._pending) < _PREFETCH:
            self._forward_later()  # the queues' answers about these come before
        if self._pending and self._retry is None:
            self._retry = self._node.timers.set(_RETRY, self._retry_is_due)

    def _publish(self, kept: _Kept, dead: Message) -> None:
        queue = self._queue
        targets = queue.vhost.dead_letter_targets(queue, dead, kept.reason)
        if targets is None:
            return
        if targets:
            kept.published_at = self._node.clock.monotonic()
        taking = [target for target in targets if target not in kept.taken_by and target.publish_dead(dead, self)]
        if taking:
            self._node.journal.dead_lettered(queue, kept.entry.original, dead, kept.reason, taking)
        kept.taken_by.update(taking)
        kept.was_taken = kept.was_taken or bool(taking)
        # A message without a queue counts as done only if a queue took it before.
        unheard = queue if self._node.profile.quorum.keeps_dead_letters_to_itself else None
        is_done = kept.taken_by.issuperset(targets) and kept.was_taken and unheard not in targets
        if is_done and kept in self._pending:
            self._done(kept)

    def _done(self, kept: _Kept) -> None:
        del self._pending[kept]
        self.count -= 1
        self.size -= kept.entry.size
        self._queue.dispatch()

    def settings_changed(self) -> None:
        """Try again what is kept, or forget it if the queue keeps nothing any more (DLX-27)."""
        if self._queue.settings.dead_letters_at_least_once:
            self._publish_again()
        else:
            self.clear()

    def _publish_again(self) -> None:
        """Publish what found no queue, or none that took it in time, with the exchange and key that there are now."""
        now = self._node.clock.monotonic()
        settings = self._queue.settings
        for kept in list(self._pending):
            if kept.dead is not None and (kept.published_at is None or kept.published_at + _RETRY <= now):
                key = settings.dead_letter_routing_key
                key = kept.entry.original.routing_key if key is None else key
                kept.dead = kept.dead.readdressed(settings.dead_letter_exchange or "", key)
                self._publish(kept, kept.dead)

    def _retry_is_due(self) -> None:
        self._retry = None
        self._publish_again()
        self._forward()
