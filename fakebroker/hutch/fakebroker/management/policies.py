"""Policies and operator policies (HTTP-POL)."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from hutch.fakebroker.definitions.exporting import policy_item
from hutch.fakebroker.engine.operator.policies import Policy
from hutch.fakebroker.engine.operator.policy_checks import InvalidPolicy
from hutch.fakebroker.engine.operator.setting_policies import delete_policy, set_policy
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import require
from hutch.fakebroker.management.call import Call, found
from hutch.fakebroker.management.errors import bad_request, crash
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Handler, Route


def _known(vhost: VHost, operator: bool) -> dict[str, Policy]:
    return vhost.policies.operator if operator else vhost.policies.user


def of(vhost: VHost, *, operator: bool) -> list[Item]:
    """The policies of a virtual host, or its operator policies."""
    known = _known(vhost, operator)
    return [policy_item(vhost, known[name]) for name in sorted(known)]


def _list_all(operator: bool, call: Call) -> list[Item]:
    return [each for vhost in call.visible_vhosts for each in of(vhost, operator=operator)]


def _list_vhost(operator: bool, call: Call) -> list[Item]:
    return of(call.vhost, operator=operator)


def _show(operator: bool, call: Call) -> Item:
    return policy_item(call.vhost, found(_known(call.vhost, operator).get(call.names["NAME"])))


def _put(operator: bool, call: Call) -> Response | None:
    vhost, name, body = call.vhost, call.names["NAME"], call.body
    pattern, definition = require(body, "pattern", "definition")
    if not isinstance(definition, dict):
        raise crash()
    is_new = name not in _known(vhost, operator)
    apply_to = body.get("apply-to", "all")
    priority: Any = body.get("priority", 0)
    if not isinstance(pattern, str):
        raise bad_request(f"Validation failed\n\npattern should be a binary but was {pattern}\n")
    try:
        set_policy(
            vhost,
            call.origin,
            name,
            pattern,
            definition,
            priority=priority,
            apply_to="null" if apply_to is None else str(apply_to),
            operator=operator,
        )
    except InvalidPolicy as error:
        reason = str(error)
        if call.profile.escapes_html and not operator:
            reason = reason.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        raise bad_request(reason) from None
    return CREATED if is_new else None


def _delete(operator: bool, call: Call) -> None:
    delete(call, operator=operator)


def delete(call: Call, *, operator: bool) -> None:
    """Delete the policy that a path names, or the operator policy."""
    vhost, name = call.vhost, call.names["NAME"]
    found(_known(vhost, operator).get(name))
    delete_policy(vhost, call.origin, name, operator=operator)


def _handlers(operator: bool, **functions: Callable[[bool, Call], Any]) -> dict[str, Handler]:
    return {method: partial(function, operator) for method, function in functions.items()}


ROUTES: Final = tuple(
    route
    for path, operator, access in (
        ("policies", False, Access.POLICYMAKER),
        ("operator-policies", True, Access.ADMINISTRATOR),
    )
    for route in (
        Route(path, _handlers(operator, GET=_list_all)),
        Route(f"{path}/V", _handlers(operator, GET=_list_vhost)),
        Route(f"{path}/V/NAME", _handlers(operator, GET=_show, PUT=_put, DELETE=_delete), access),
    )
)
