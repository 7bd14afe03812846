"""The headers exchange: a binding's arguments against the message's headers (EXCH-HEADERS)."""

from collections.abc import Iterable, Mapping
from typing import Final

from hutch.fakebroker.engine.bindings import Binding, Destination
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.terms import print_term
from hutch.wire.fields import FieldTable, FieldValue, type_name

_MODES: Final = ("all", "any", "all-with-x", "any-with-x")


def check_match(arguments: FieldTable) -> None:
    """Refuse an ``x-match`` that is none of the four.

    Raises:
        SoftError: 406 (EXCH-HEADERS-09, EXCH-HEADERS-10).
    """
    mode = arguments.get("x-match", "all")
    if not isinstance(mode, str):
        text = f"Invalid x-match field type {type_name(mode)} (value {print_term(mode)}); expected longstr"
        raise precondition_failed(text)
    if mode not in _MODES:
        text = f'Invalid x-match field value <<"{mode}">>; expected all, any, all-with-x, or any-with-x'
        raise precondition_failed(text)


class HeadersRouter:
    """All bindings, tried one by one. ``int_equals_float`` is whether 1 matches 1.0 (EXCH-HEADERS-06)."""

    def __init__(self, int_equals_float: bool) -> None:
        self._int_equals_float = int_equals_float
        self._bindings: dict[tuple[object, ...], tuple[Binding, bool, FieldTable]] = {}

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        mode = str(binding.arguments.get("x-match", "all"))
        with_x = mode.endswith("-with-x")
        wanted = {
            key: value
            for key, value in binding.arguments.items()
            if key != "x-match" and (with_x or not key.startswith("x-"))
        }
        self._bindings[binding.identity] = binding, mode.startswith("all"), wanted

    def remove(self, binding: Binding) -> None:
        """Take out a binding."""
        del self._bindings[binding.identity]

    def route(self, _routing_key: str, message: Message) -> Iterable[Destination]:
        """The destinations whose arguments match."""
        headers = message.headers
        for binding, match_all, wanted in self._bindings.values():
            matches = (key in headers and self._same(value, headers[key]) for key, value in wanted.items())
            if all(matches) if match_all else any(matches):
                yield binding.destination

    def _same(self, wanted: FieldValue, value: FieldValue) -> bool:
        """Whether a header's value is the one wanted; a void one asks for presence alone (EXCH-HEADERS-05, -07)."""
        if wanted is None:
            return True
        if isinstance(wanted, bool) or isinstance(value, bool):
            return wanted is value
        if isinstance(wanted, int) and isinstance(value, int):
            return wanted == value
        if isinstance(wanted, int | float) and isinstance(value, int | float):
            return wanted == value and (self._int_equals_float or isinstance(wanted, int) == isinstance(value, int))
        if isinstance(wanted, Mapping) or isinstance(value, Mapping):
            return isinstance(wanted, Mapping) and isinstance(value, Mapping) and dict(wanted) == dict(value)
        return wanted == value
