"""What the cases about events share: somebody who hears of them, by the plugin rabbitmq_event_exchange."""

import re
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, Final

from hutch.client import AMQPError
from hutch.conformance.check import equal, true, typed
from hutch.conformance.rabbit import Rabbit, body
from hutch.conformance.site import Inapplicable
from hutch.wire.codes import ReplyCode
from hutch.wire.fields import FieldTable, type_name

#: The exchange that events are published to.
EVENTS: Final = "amq.rabbitmq.event"
#: The user of actions that the broker takes by itself.
INTERNAL: Final = "rmq-internal"
_PROCESS: Final = re.compile(r"<(.+)\.\d+\.\d+\.\d+>")


class Listener:
    """Hears of what happens in the case's virtual host."""

    def __init__(self, rabbit: Rabbit, key: str) -> None:
        self._rabbit = rabbit
        rabbit.needs_own_vhost()
        try:
            connection = rabbit.connect(virtual_host="/")
            if not rabbit.has_exchange(EVENTS, connection):
                raise Inapplicable("needs the plugin rabbitmq_event_exchange")
            self._channel = connection.channel()
            self._queue = self._channel.queue_declare("", exclusive=True).queue
            self._channel.queue_bind(self._queue, EVENTS, key)
        except AMQPError as error:
            if error.reply_code not in {ReplyCode.ACCESS_REFUSED, ReplyCode.NOT_ALLOWED}:
                raise
            raise Inapplicable(f"needs to hear of events in the virtual host '/': {error.reply_text}") from None

    def next(self, wanted: Callable[[str, dict[str, Any]], bool]) -> tuple[str, dict[str, Any]]:
        """The next event that is wanted, by its key, and its headers, but for the moment and names of processes and of
        the node, which are looked at here.
        """
        while True:
            message = self._rabbit.get(self._channel, self._queue, no_ack=True)
            headers = dict(message.headers or {})
            key = (message.delivery_info or {})["routing_key"]
            moment = headers.pop("timestamp_in_ms")
            equal((body(message), message.delivery_mode, type_name(moment)), (b"", 2, "long"))
            equal(int(moment) // 1000, message.timestamp, "timestamp")
            if not wanted(key, headers):
                continue
            for name in ("pid", "connection", "channel", "owner_pid"):
                if headers.get(name):
                    true(_PROCESS.fullmatch(headers.pop(name)), f"{name} is no process")
            for name in ("node", "leader", "members"):
                true(headers.pop(name, name), f"{name} is empty")
            return key, headers

    def expect(self, *events: tuple[str, FieldTable]) -> None:
        """The next events of the vhost must be these, by the suite's user unless told otherwise."""
        for event in events:
            equal(self._next_here(), self._typed(event))

    def expect_in_any_order(self, *groups: Sequence[tuple[str, FieldTable]]) -> None:
        """The next events of the vhost must be these groups, one group after the other, whichever comes first."""
        got = [self._next_here() for group in groups for _ in group]
        orders = [[self._typed(event) for group in order for event in group] for order in permutations(groups)]
        true(got in orders, f"expected {groups!r} in some order, got {got!r}")

    def _next_here(self) -> tuple[str, Any]:
        key, headers = self.next(lambda _, headers: headers.get("vhost") == self._rabbit.vhost)
        return key, dict(sorted(typed(headers).items()))

    def _typed(self, event: tuple[str, FieldTable]) -> tuple[str, Any]:
        key, facts = event
        wanted = {"vhost": self._rabbit.vhost, "user_who_performed_action": self._rabbit.userid, **facts}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return key, dict(sorted(typed(wanted).items()))

    def expect_by_operator(self, about: object, *events: tuple[str, FieldTable]) -> None:
        """The next events that have ``about`` in a header must be these, done by an operator, be it with the management
        API or with rabbitmqctl.
        """
        for key, facts in events:
            got = self.next(lambda _, headers: about in headers.values())
            true(got[1].pop("user_who_performed_action", ""), f"{key} does not tell who it was")
            equal((got[0], typed(got[1])), (key, typed(facts)))
