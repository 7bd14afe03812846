"""Asking what happened to messages, and being told what happened instead."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from hutch.fakebroker import Event, History, Message
from hutch.pytest_plugin.criteria import ANYTHING, Criterion, criteria
from hutch.pytest_plugin.matching import Result, Wanted, in_a_line, not_known, search, summary, wrong_number
from hutch.pytest_plugin.timeline import names

#: The events that are looked at, by the word that asks for them.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "published": ("published",),
    "returned": ("returned",),
    "delivered": ("delivered", "got"),
    "acked": ("acked",),
    "nacked": ("rejected",),
    "requeued": ("requeued",),
    "dead-lettered": ("dead-lettered",),
    "expired": ("expired",),
}


class Found(list[Message]):
    """Messages, oldest first. An empty one's ``repr`` tells what came nearest, for an ``assert`` to show.

    ``events`` has the event of each message, which tells more: ``event.queue``, ``event.user``, ``event.at``.
    """

    def __init__(self, result: Result, hint: Callable[[], list[str]]) -> None:
        super().__init__(result.messages)
        self._result: Final = result
        self._hint: Final = hint

    @property
    def events(self) -> list[Event]:
        """What happened to the messages, in their order."""
        return list(self._result.found)

    @property
    def positions(self) -> list[int]:
        """The places of the events in the history."""
        return list(self._result.positions)

    @property
    def question(self) -> str:
        """What was asked for, in words."""
        return f"{self._result.what} {self._result.question}"

    def __repr__(self) -> str:
        return super().__repr__() if self else f"<{in_a_line(self._result, self._hint())}>"


class Question:
    """What was done with messages: ``fakebroker.published(...)`` and its like.

    Criteria are all optional, and all must hold. Where one says so it takes a function instead of a value: it is given
    the value, and says whether that is right.
    """

    def __init__(self, history: Callable[[], History], what: str) -> None:
        self._history: Final = history
        self._what: Final = what
        #: The numbers of the messages that were found by now.
        self.heard: Final[set[int]] = set()

    def __repr__(self) -> str:
        return f"<what was {self._what}: call it>"

    def __call__(
        self,
        routing_key: str | Callable[[str], object] | None = None,
        *,
        count: int | None = None,
        min: int | None = None,  # noqa: A002  (reads best where it is called)
        max: int | None = None,  # noqa: A002
        exchange: str | Callable[[str], object] | None = None,
        queue: str | None = None,
        vhost: str | None = None,
        body: bytes | str | Callable[[bytes], object] | None = None,
        json: object = ANYTHING,
        json_contains: object = ANYTHING,
        headers: Mapping[str, object] | None = None,
        **properties: object,
    ) -> Found:
        """The messages this happened to so far that are as asked, oldest first.

        What the history has dropped (``history_events``, ``history_bytes``) is not in the list. If the answer may
        depend on it, this raises AssertionError and says so.

        Args:
            routing_key: by which they were published, or a function. ``*`` is any word, ``#`` any number of words. At
                the default exchange (``exchange=""``) the key is a queue's name.
            count: how many there must be.
            min: how many there must be at least.
            max: how many there may be at most.
            exchange: to which they were published, or a function.
            queue: the name of the queue it happened in. Of what was published, a queue that got it.
            vhost: the virtual host; default any.
            body: all of it, or a function, which is given bytes; text stands for its UTF-8.
            json: what the body, read as JSON, equals; or a function, which is given what was read.
            json_contains: what of JSON is in the body: objects may have more names than these. Values may be functions.
            headers: names and values, or functions, that are among the headers.
            properties: AMQP's properties of a message, or functions: ``correlation_id="17"``, ``delivery_mode=2``.

        Raises:
            AssertionError: their number is another one; the text shows what happened instead. Or the history has
                dropped what may be asked for, and a number is given or nothing is found.
            TypeError: a property that does not exist, or ``count`` beside ``min`` or ``max``.
        """
        __tracebackhide__ = True
        if count is not None and (min is not None or max is not None):
            raise TypeError("count says how many there must be: it goes with neither min nor max")
        asked = criteria(
            routing_key=routing_key,
            exchange=exchange,
            queue=queue,
            vhost=vhost,
            body=body,
            json=json,
            json_contains=json_contains,
            headers=headers,
            **properties,
        )
        result = search(self._what, self._history().of(*KINDS[self._what]), asked)
        if (count, min, max) != (None, None, None):
            wanted = Wanted(min or 0, max) if count is None else Wanted(count, count)
            is_certain = result.is_complete or (wanted.most is None and wanted.allows(len(result.found)))
            if not is_certain or not wanted.allows(len(result.found)):
                raise AssertionError(wrong_number(result, wanted, self._hint(asked)))
        elif not result.found and not result.is_complete:
            raise AssertionError(not_known(result))
        self.heard.update(message.number for message in result.messages)
        return Found(result, lambda: self._hint(asked))

    def never(self, routing_key: str | Callable[[str], object] | None = None, **criteria: Any) -> None:
        """Assert that this happened to no message that is as asked: as a call with ``count=0``.

        Raises:
            AssertionError: it happened; the text shows the messages.
        """
        __tracebackhide__ = True
        self(routing_key, count=0, **criteria)

    def _hint(self, asked: list[Criterion]) -> list[str]:
        """What happened to such messages instead, where the one is easily taken for the other."""
        for what, instead, told in _INSTEAD:
            if what == self._what:
                moved = search(instead, self._history().of(*KINDS[instead]), asked)
                if moved.found:
                    return [*told, *(f"  {_where(event)}" for event in moved.found)]
        return []


#: What was asked for, what it may be taken for, and what to say then.
_INSTEAD: Final = (
    (
        "published",
        "dead-lettered",
        (
            "the broker itself dead-lettered such a message; that is no publishing, and is found in",
            "fakebroker.dead_lettered(...) and in its queue:",
        ),
    ),
    ("nacked", "requeued", ("such a message was requeued, which is found in fakebroker.requeued(...):",)),
    ("acked", "nacked", ("such a message was nacked, which is found in fakebroker.nacked(...):",)),
)


def _where(event: Event) -> str:
    return f"{event.queue} -> {names(event.routed_to)}" if event.kind == "dead-lettered" else summary(event)


def check_order(found: Iterable[Found]) -> None:
    """See :meth:`FakeBroker.in_order <hutch.pytest_plugin.FakeBroker.in_order>`."""
    __tracebackhide__ = True
    every = list(found)
    for answer in every:
        if not answer:
            raise AssertionError(repr(answer)[1:-1])
    for earlier, later in pairwise(every):
        if max(earlier.positions) > min(later.positions):
            entries = sorted(
                (position, f"{answer.question}: {summary(event)}")
                for answer in (earlier, later)
                for position, event in zip(answer.positions, answer.events, strict=True)
            )
            lines = [f"expected {earlier.question} before {later.question}; the order was:"]
            raise AssertionError("\n".join([*lines, *(f"  {text}" for _, text in entries)]))
