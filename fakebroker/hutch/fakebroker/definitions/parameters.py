"""Policies and parameters as RabbitMQ's files describe them (HTTP-DEFS-14, HTTP-DEFS-15, HTTP-PARAM)."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.definitions.refusals import InvalidDefinitions, Wording
from hutch.fakebroker.engine.access.limits import VHOST_LIMITS
from hutch.fakebroker.engine.operator.policy_checks import InvalidPolicy
from hutch.fakebroker.engine.operator.setting_policies import set_policy
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.vhosts import replace_vhost_limits
from hutch.fakebroker.erlang.terms import print_json, print_latin, print_unicode

if TYPE_CHECKING:
    from hutch.fakebroker.engine.vhost import VHost

_FAILED: Final = "Validation failed\n\n{}\n"


def put_described_policy(vhost: "VHost", by: Origin, item: Mapping[str, Any], wording: Wording) -> None:
    """Create or change a policy.

    Raises:
        InvalidDefinitions: something is missing, or wrong.
    """
    if "name" not in item:
        raise wording.unnamed_policy(vhost.name)
    _put_policy(vhost, by, item["name"], item, wording, component=None)


def put_described_parameter(vhost: "VHost", by: Origin, item: Mapping[str, Any], wording: Wording) -> None:
    """Set a parameter of a virtual host: its limits, or an operator policy.

    Raises:
        InvalidDefinitions: something is missing, or wrong, or there is no such component.
    """
    component, name, value = (item.get(key) for key in ("component", "name", "value"))
    refuse = partial(wording.validation, vhost=vhost.name, name=str(name), component=str(component))
    if component == "policy":
        raise refuse("policies may not be set using this method")
    if component not in {"operator_policy", "vhost-limits"}:
        raise refuse(_FAILED.format(f"component {component} not found"))
    if not isinstance(value, Mapping):
        shown = "undefined" if value is None else _shown(value, wording)
        raise refuse(_FAILED.format(f"{name} not a list {shown}"))
    if component == "vhost-limits":
        if wrong := wrong_limits(value, wording):
            raise refuse(_FAILED.format("\n".join(wrong)))
        replace_vhost_limits(vhost.node, by, vhost.name, value)
        return
    missing = [key for key in ("definition", "pattern", "priority") if key not in value]
    if missing:
        raise refuse(_FAILED.format("\n".join(f'Key "{key}" not found in {name}' for key in missing)))
    _put_policy(vhost, by, str(name), value, wording, component="operator_policy")


def wrong_limits(limits: Mapping[str, Any], wording: Wording) -> list[str]:
    """What is wrong with limits of a virtual host, a line each."""
    unknown = ",".join(
        f"{{{_shown(name, wording)},{_shown(limits[name], wording)}}}"
        for name in sorted(limits.keys() - {*VHOST_LIMITS})
    )
    return [
        *([f"Unrecognised terms [{unknown}] in limits"] if unknown else []),
        *(
            f"{name} should be a number, actually was {_shown(limits[name], wording)}"
            for name in VHOST_LIMITS
            if name in limits and (not isinstance(limits[name], int) or isinstance(limits[name], bool))
        ),
    ]


def _put_policy(
    vhost: "VHost", by: Origin, name: str, item: Mapping[str, Any], wording: Wording, *, component: str | None
) -> None:
    refuse = partial(wording.validation, vhost=vhost.name, name=name, component=component)
    pattern, definition = item.get("pattern"), item.get("definition")
    if not isinstance(pattern, str):
        shown = "undefined" if pattern is None else _shown(pattern, wording)
        raise refuse(_FAILED.format(f"pattern should be a binary but was {shown}"))
    if not isinstance(definition, Mapping):
        shown = "undefined" if definition is None else _shown(definition, wording)
        validator = "policy_validator" if component is None else "operator_policy_validator"
        text = f"parse error while reading policy definition: {shown}. Validator: {validator}."
        raise refuse(_FAILED.format(text))
    try:
        set_policy(
            vhost,
            by,
            name,
            pattern,
            definition,
            priority=item.get("priority", 0),
            apply_to=item.get("apply-to", "all"),
            operator=component is not None,
        )
    except InvalidPolicy as error:
        refusal = refuse(str(error))
        for note in getattr(error, "__notes__", ()):
            refusal.add_note(note)
        raise refusal from None
    except NotImplementedError as error:
        raise InvalidDefinitions(f"policy {name!r} in vhost {vhost.name!r}: the emulator lacks {error}") from None


def _shown(value: Any, wording: Wording) -> str:
    return print_json(value, text=print_unicode if wording.profile.prints_terms else print_latin)
