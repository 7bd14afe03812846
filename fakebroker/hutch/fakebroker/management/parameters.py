"""Limits of virtual hosts, parameters and global parameters (HTTP-LIMIT, HTTP-PARAM)."""

from collections.abc import Iterator
from typing import Any, Final

from hutch.fakebroker.engine import vhosts
from hutch.fakebroker.engine.access.limits import VHOST_LIMITS
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.management import policies
from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.bodies import require
from hutch.fakebroker.management.call import Call
from hutch.fakebroker.management.errors import bad_request, compact, crash, lacking, not_found, object_not_found
from hutch.fakebroker.management.lists import Item
from hutch.fakebroker.management.messages import CREATED, Response
from hutch.fakebroker.management.routing import Route

# limits of virtual hosts


def _limits(vhost: VHost) -> list[Item]:
    return [{"vhost": vhost.name, "value": dict(vhost.limits)}] if vhost.limits else []


def list_limits(call: Call) -> list[Item]:
    """The limits of the virtual hosts that the user may enter."""
    return [each for vhost in call.visible_vhosts for each in _limits(vhost)]


def limits_of(call: Call) -> list[Item]:
    """The limits of a virtual host."""
    return _limits(call.vhost)


def put_limit(call: Call) -> None:
    """Limit what a virtual host may have at once."""
    vhost, limit = call.vhost, call.names["NAME"]
    (value,) = require(call.body, "value")
    if limit not in VHOST_LIMITS:
        raise _invalid(f'Unrecognised terms [{{<<"{limit}">>,{_shown(value)}}}] in limits')
    if not isinstance(value, int) or isinstance(value, bool):
        raise _invalid(f"{limit} should be a number, actually was {_shown(value)}")
    vhosts.set_vhost_limit(call.node, call.origin, vhost.name, limit, value)


def _invalid(reason: str) -> Exception:
    return bad_request(f"Validation failed\n\n{reason}\n")


def _shown(value: Any) -> str:
    return f'<<"{value}">>' if isinstance(value, str) else compact(value).decode()


def delete_limit(call: Call) -> None:
    """Have no such limit."""
    if call.names["V"] not in call.node.vhosts:
        raise not_found("vhost_not_found") if call.profile.clearing_limits_checks_owner else crash()
    vhosts.clear_vhost_limit(call.node, call.origin, call.names["V"], call.names["NAME"])


# parameters


def _parameters(vhost: VHost, component: str | None) -> Iterator[Item]:
    """The parameters of a component, or of all. Policies are told where they are asked for alone."""
    for kind, operator in (("policy", False), ("operator_policy", True)):
        for policy in policies.of(vhost, operator=operator):
            value = {key: policy[key] for key in ("pattern", "apply-to", "definition", "priority")}
            if component == kind or (component is None and operator):
                yield {"value": value, "vhost": vhost.name, "component": kind, "name": policy["name"]}
    if vhost.limits and component in {None, "vhost-limits"}:
        yield {"value": dict(vhost.limits), "vhost": vhost.name, "component": "vhost-limits", "name": "limits"}


def list_parameters(call: Call) -> list[Item]:
    """The parameters of the virtual hosts that the user may enter."""
    component = call.names.get("COMPONENT")
    chosen = [call.vhost] if "V" in call.names else call.visible_vhosts
    return [each for vhost in chosen for each in _parameters(vhost, component)]


def _parameter(call: Call) -> Item:
    for each in _parameters(call.vhost, call.names["COMPONENT"]):
        if each["name"] == call.names["NAME"]:
            return each
    raise object_not_found()


def put_parameter(call: Call) -> Response | None:
    """Set a parameter: limits of virtual hosts. Plugins that have others there are none."""
    component, vhost = call.names["COMPONENT"], call.vhost
    (value,) = require(call.body, "value")
    if component == "policy":
        raise bad_request("policies may not be set using this method")
    if component not in {"vhost-limits", "operator_policy"}:
        raise _invalid(f"component {component} not found")
    if component == "operator_policy" or call.names["NAME"] != "limits" or not isinstance(value, dict):
        raise lacking(f"parameters of {component} by this path")
    is_new = not vhost.limits
    try:
        vhosts.replace_vhost_limits(call.node, call.origin, vhost.name, value)
    except ValueError as error:
        raise _invalid(str(error)) from None
    return CREATED if is_new else None


def delete_parameter(call: Call) -> None:
    """Have no such parameter."""
    each = _parameter(call)
    if each["component"] == "vhost-limits":
        vhosts.replace_vhost_limits(call.node, call.origin, call.vhost.name, {})
    else:
        policies.delete(call, operator=each["component"] == "operator_policy")


# global parameters


def _global(name: str, call: Call) -> Item:
    return {"name": name, "value": call.node.global_parameters[name]}


def list_globals(call: Call) -> list[Item]:
    """All global parameters."""
    return [_global(name, call) for name in sorted(call.node.global_parameters)]


def show_global(call: Call) -> Item:
    """One of them."""
    if call.names["NAME"] not in call.node.global_parameters:
        raise object_not_found()
    return _global(call.names["NAME"], call)


def put_global(call: Call) -> Response | None:
    """Set one of them."""
    name, known = call.names["NAME"], call.node.global_parameters
    (value,) = require(call.body, "value")
    is_new = name not in known
    known[name] = value
    return CREATED if is_new else None


def delete_global(call: Call) -> None:
    """Delete one of them."""
    show_global(call)
    del call.node.global_parameters[call.names["NAME"]]


_ADMIN: Final = Access.ADMINISTRATOR
_POL: Final = Access.POLICYMAKER

ROUTES: Final = (
    Route("vhost-limits", {"GET": list_limits}, head=False),
    Route("vhost-limits/V", {"GET": limits_of}, head=False),
    Route(
        "vhost-limits/V/NAME",
        {"PUT": put_limit, "DELETE": delete_limit},
        _ADMIN,
        any_vhost=True,
        json_only=True,
    ),
    Route("parameters", {"GET": list_parameters}, _POL),
    Route("parameters/COMPONENT", {"GET": list_parameters}, _POL),
    Route("parameters/COMPONENT/V", {"GET": list_parameters}, _POL),
    Route(
        "parameters/COMPONENT/V/NAME",
        {"GET": _parameter, "PUT": put_parameter, "DELETE": delete_parameter},
        _POL,
    ),
    Route("global-parameters", {"GET": list_globals}, _POL),
    Route("global-parameters/NAME", {"GET": show_global, "PUT": put_global, "DELETE": delete_global}, _POL),
)
