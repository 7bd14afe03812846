"""The headers exchange: a binding's arguments against the message's headers (EXCH-HEADERS)."""

from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.erlang.terms import comparable, print_term, seconds, type_text
from hutch.wire.fields import FieldTable, FieldValue, Timestamp

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.engine.vhost import VHost

_MODES: Final = ("all", "any", "all-with-x", "any-with-x")


def _check_match(
    _exchange: "Exchange", _node: "Node", _destination: Destination, _key: str, arguments: FieldTable
) -> None:
    """Refuse an ``x-match`` that is none of the four.

    Raises:
        BrokerError: 406 (EXCH-HEADERS-09, EXCH-HEADERS-10).
    """
    mode = arguments.get("x-match", "all")
    if type_text(mode) != "longstr":
        text = f"Invalid x-match field type {type_text(mode)} (value {print_term(mode)}); expected longstr"
        raise precondition_failed(text)
    if mode not in _MODES:
        text = f"Invalid x-match field value {print_term(mode)}; expected all, any, all-with-x, or any-with-x"
        raise precondition_failed(text)


class HeadersRouter(Router):
    """All bindings, tried one by one (EXCH-HEADERS-05 to EXCH-HEADERS-07).

    ``int_equals_float`` is whether 1 matches 1.0; ``timestamps_in_ms`` whether a message's timestamps count in
    milliseconds, although those of bindings count in seconds.
    """

    def __init__(self, int_equals_float: bool, timestamps_in_ms: bool) -> None:
        self._int_equals_float = int_equals_float
        self._timestamp_factor = 1000 if timestamps_in_ms else 1
        self._bindings: dict[tuple[object, ...], tuple[Binding, bool, dict[str, Hashable]]] = {}

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        mode = str(binding.arguments.get("x-match", "all"))
        with_x = mode.endswith("-with-x")
        wanted = {
            key: None if value is None else self._comparable(value)
            for key, value in binding.arguments.items()
            if key != "x-match" and (with_x or not key.startswith("x-"))
        }
        self._bindings[binding.identity] = binding, mode.startswith("all"), wanted

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        del self._bindings[binding.identity]

    def route(self, _routing_key: str, message: Message) -> Iterable[Destination]:
        """The destinations whose arguments match."""
        headers = {key: self._header(value) for key, value in message.headers.items()} if self._bindings else {}
        for binding, match_all, wanted in self._bindings.values():
            # None is a void argument: the header only has to be present.
            matches = (key in headers and (value is None or value == headers[key]) for key, value in wanted.items())
            if all(matches) if match_all else any(matches):
                yield binding.destination

    def _comparable(self, value: FieldValue) -> Hashable:
        return comparable(value, int_equals_float=self._int_equals_float)

    def _header(self, value: FieldValue) -> Hashable:
        if isinstance(value, datetime | Timestamp):
            return seconds(value) * self._timestamp_factor
        return self._comparable(value)


def _router(_exchange: "Exchange", vhost: "VHost") -> HeadersRouter:
    profile = vhost.node.profile.exchanges
    return HeadersRouter(profile.int_equals_float, profile.header_timestamps_in_ms)


HEADERS: Final = ExchangeType(_router, check_binding=_check_match)
