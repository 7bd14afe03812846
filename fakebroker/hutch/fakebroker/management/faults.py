"""Faults over HTTP, for tests in any language. A rule is a call of :class:`hutch.fakebroker.faults.Faults` in JSON.

``{"method": "basic.publish", "nth": 3, "action": "close_channel", "arguments": {"code": 406}}`` is
``broker.faults.on("basic.publish", nth=3).close_channel(code=406)``.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, getmembers, isfunction, signature
from typing import Any, Final

from hutch.fakebroker.engine.unknown_names import unknown
from hutch.fakebroker.faults.commands import CommandMatch
from hutch.fakebroker.faults.connections import ArrivalMatch, ConnectionMatch
from hutch.fakebroker.faults.fault import Fault
from hutch.fakebroker.faults.faults import Faults
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import require
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import JSON, bad_request, compact, lacking, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import Response
from hutch.fakebroker.management.routing import Route

#: What chooses commands or connections: the arguments that it takes, and what has the actions.
_MATCHES: Final[Mapping[str, tuple[Callable[..., Any], type]]] = {
    "on": (Faults.on, CommandMatch),
    "next": (Faults.on, CommandMatch),
    "connections": (Faults.connections, ConnectionMatch),
    "connecting": (Faults.connecting, ArrivalMatch),
}
#: Actions that are no matter of HTTP. One takes a function, and the other closes the port that answers.
_ELSEWHERE: Final = frozenset({"call", "refuse"})


def facts(number: int, fault: Fault) -> dict[str, Any]:
    """What is reported of a fault."""
    told = {"id": number, "text": fault.text, "hits": fault.hits, "matches": fault.matches}
    return {**told, "over": fault.is_over}


def _all(call: Call) -> dict[int, Fault]:
    """The faults by their numbers, which count from 1 on until all faults are removed."""
    faults = call.hub.faults
    return {} if faults is None else dict(enumerate(faults, 1))


def list_all(call: Call) -> list[Item]:
    """The faults, oldest first."""
    return [facts(number, fault) for number, fault in _all(call).items()]


def add(call: Call) -> Response:
    """Have a fault from now on."""
    (action,) = require(call.body, "action")
    given = {name: value for name, value in call.body.items() if name not in {"match", "action", "arguments"}}
    match = _known("match", call.body.get("match", "on"), [*_MATCHES])
    choose, kind = _MATCHES[match]
    actions = {name: function for name, function in getmembers(kind, isfunction) if not name.startswith("_")}
    if _known("action", action, [*actions]) in _ELSEWHERE:
        raise lacking(f"the action {action} over HTTP")
    criteria = _fitting("field", given, choose)
    arguments = _fitting(f"argument of {action}", call.body.get("arguments", {}), actions[action])
    faults = call.broker.faults
    try:
        getattr(getattr(faults, match)(**criteria), action)(**arguments)
    except (TypeError, ValueError) as error:
        raise bad_request(str(error)) from None
    number, fault = [*_all(call).items()][-1]
    return Response(201, compact(facts(number, fault)), JSON)


def _known(what: str, name: Any, names: list[str]) -> str:
    if not isinstance(name, str) or name not in names:
        raise bad_request(unknown(what, name, names))
    return name


def _fitting(what: str, given: Any, function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that are given, if a function takes them.

    Raises:
        Refusal: 400, which names what does not fit.
    """
    if not isinstance(given, Mapping):
        raise bad_request(f"arguments is an object, not {given!r}")
    parameters = {name: each for name, each in signature(function).parameters.items() if name != "self"}
    for name, value in given.items():
        _known(what, name, [*parameters])
        if not _has_type(value, parameters[name]):
            raise bad_request(f"{name} is of another type than {value!r}: {parameters[name]}")
    for name, parameter in parameters.items():
        if parameter.default is Parameter.empty and name not in given:
            raise bad_request(f"[{{key_missing,{name}}}]")
    return dict(given)


def _has_type(value: Any, parameter: Parameter) -> bool:
    type_ = parameter.annotation
    if isinstance(value, bool):
        return type_ is bool
    return isinstance(value, type_) or (isinstance(value, int) and isinstance(0.0, type_))


def _named(call: Call) -> tuple[int, Fault]:
    faults, number = _all(call), call.names["ID"]
    if not number.isdecimal() or int(number) not in faults:
        raise object_not_found()
    return int(number), faults[int(number)]


def show(call: Call) -> Item:
    """One fault, with its hits."""
    return facts(*_named(call))


def end(call: Call) -> None:
    """End a fault; it is still listed."""
    _named(call)[1].end()


def clear(call: Call) -> None:
    """End all faults, and forget them."""
    if call.hub.faults is not None:
        call.hub.faults.clear()


ROUTES: Final = (
    Route("hutch/faults", {"GET": list_all, "POST": add, "DELETE": clear}, Access.ADMINISTRATOR, in_turn=False),
    Route("hutch/faults/ID", {"GET": show, "DELETE": end}, Access.ADMINISTRATOR, in_turn=False),
)
