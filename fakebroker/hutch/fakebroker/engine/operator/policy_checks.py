"""What is wrong with a policy, in RabbitMQ's words (POLICY-06 to POLICY-13)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.operator.policies import Definition, Policy
from hutch.fakebroker.engine.operator.profile import MIRRORING_KEYS
from hutch.fakebroker.engine.queues.retention import milliseconds
from hutch.fakebroker.engine.unknown_names import note_near
from hutch.fakebroker.erlang.patterns import compile_pattern
from hutch.fakebroker.erlang.pcre import InvalidPattern
from hutch.fakebroker.erlang.terms import print_json, print_latin, print_unicode

if TYPE_CHECKING:
    from hutch.fakebroker.engine.profile import EngineProfile

_Show = Callable[[Any], str]

#: Values as the versions print them. 4.3's management API answers 500 if a text is not ASCII; this is what rabbitmqctl
#: prints.
_older: Final[_Show] = partial(print_json, text=print_latin)
_newer: Final[_Show] = partial(print_json, text=print_unicode)

#: The width at which Erlang breaks a line, in characters.
_LINE: Final = 79


class InvalidPolicy(ValueError):
    """RabbitMQ refuses the policy. The text is the reason that its management API gives with a 400."""


def make_policy(
    profile: "EngineProfile",
    name: str,
    pattern: str,
    definition: Definition,
    *,
    priority: float,
    apply_to: str,
    operator: bool,
) -> Policy:
    """A policy, or an operator policy, checked.

    Raises:
        InvalidPolicy: a key, a value, the pattern, the priority or what it applies to is wrong.
        NotImplementedError: the pattern is one of PCRE's that Python does not read alike, or the definition asks for
            what the emulator lacks.
    """
    keys = profile.policies.operator_keys if operator else profile.policies.keys
    show = _newer if profile.policies.prints_unicode else _older
    complaints = [_wrong_definition(definition, keys, show, profile)]
    if apply_to not in profile.policies.targets:
        complaints.append(f"apply-to '{apply_to}' unrecognised; should be {profile.policies.targets_text}")
    expression = None
    try:
        expression = compile_pattern(pattern, pcre2=profile.access.has_pcre2)
    except InvalidPattern as error:
        complaints.append(_wrong_pattern(error))
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        complaints.append(f"priority should be a number, actually was {show(priority)}")
    wrong = [complaint for complaint in complaints if complaint is not None]
    if wrong or expression is None:
        refusal = InvalidPolicy("".join(f"{line}\n" for line in ("Validation failed\n", *wrong)))
        for key in sorted(definition.keys() - keys):
            note_near(refusal, key, sorted(keys))
        raise refusal
    _refuse_lacking(definition)
    return Policy(name, pattern, dict(definition), priority, apply_to, expression)


def _refuse_lacking(definition: Definition) -> None:
    if len(str(definition.get("dead-letter-routing-key", "")).encode()) > 255:
        # RabbitMQ accepts it, and then loses every connection that should get such a message.
        raise NotImplementedError("dead-letter-routing-key of more than 255 bytes")


def _wrong_pattern(error: InvalidPattern) -> str:
    text = "pattern should be regular expression but is invalid: "
    reason, indent = _newer(error.reason)[2:-2], len(text)
    fits = indent + len(reason) + len(str(error.place)) + 3 < _LINE
    fold = "" if fits else f"\n{' ' * (indent + 1)}"
    return f"{text}{{{reason},{fold}{error.place}}}"


# values

_Check = Callable[[Any], bool]


def _integer(least: int | None = 0, most: int | None = None) -> _Check:
    return lambda value: type(value) is int and (least is None or value >= least) and (most is None or value <= most)


def _one_of(*values: object) -> _Check:
    return lambda value: any(type(value) is type(known) and value == known for known in values)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _age(value: object) -> bool:
    return isinstance(value, str) and milliseconds(value) is not None


#: The check of each value, and RabbitMQ's word for a wrong one.
_VALUES: Final[dict[str, tuple[_Check, str]]] = {
    "alternate-exchange": (_text, "alternate exchange name"),
    "consumer-disconnected-timeout": (_integer(), "consumer disconnected timeout"),
    "consumer-timeout": (_integer(), "consumer timeout"),
    "dead-letter-exchange": (_text, "dead letter exchange name"),
    "dead-letter-routing-key": (_text, "dead letter routing key"),
    "dead-letter-strategy": (_one_of("at-most-once", "at-least-once"), "dead letter strategy"),
    "delivery-limit": (_integer(), "delivery limit"),
    "expires": (_integer(1), "queue expiry"),
    "initial-cluster-size": (_integer(), "cluster size"),
    "max-age": (_age, "max age"),
    "max-in-memory-bytes": (_integer(), "maximum memory in bytes"),
    "max-in-memory-length": (_integer(), "maximum memory in bytes"),
    "max-length": (_integer(), "maximum length"),
    "max-length-bytes": (_integer(), "maximum length in bytes"),
    "message-ttl": (_integer(), "message TTL"),
    "overflow": (_one_of("drop-head", "reject-publish", "reject-publish-dlx"), "overflow value"),
    "queue-leader-locator": (
        _one_of("client-local", "balanced", "random", "least-leaders"),
        "queue leader locator value",
    ),
    "queue-mode": (_one_of("default", "lazy"), "queue-mode value"),
    "queue-version": (_one_of(1, 2), "queue-version value"),
    "stream-filter-size-bytes": (_integer(16, 255), "filter size. Valid range is 16-255"),
    "stream-max-segment-size-bytes": (_integer(0, 3_000_000_000), "segment size"),
}
_RETRIES: Final[dict[str, tuple[_Check, str]]] = {
    "delayed-retry-max": (_integer(1), "delayed retry maximum delay. Must be a positive integer"),
    "delayed-retry-min": (_integer(1), "delayed retry minimum delay. Must be a positive integer"),
    "delayed-retry-type": (
        _one_of("all", "failed", "returned", "disabled"),
        "delayed retry type. Must be one of: all, failed, returned, disabled",
    ),
}
_GROUP_SIZE: Final[dict[str, tuple[_Check, str]]] = {"target-group-size": (_integer(1), "qq target count value")}


def _wrong_definition(
    definition: Definition, keys: frozenset[str], show: _Show, profile: "EngineProfile"
) -> str | None:
    """The first thing that is wrong; each of the parts of RabbitMQ that know keys looks at its own."""
    if not definition:
        return "no policy provided"
    known = {key: definition[key] for key in sorted(definition.keys() & keys)}
    wrong = (
        _wrong_locator(definition, keys, profile)
        or _wrong_value(known, _values(profile), show)
        or _wrong_mirroring(known)
        or _wrong_value(known, _RETRIES, show)
        or _wrong_retries(known)
        or _wrong_value(known, _GROUP_SIZE, show)
    )
    unknown = sorted(definition.keys() - keys)
    if wrong is None and unknown:
        settings = [f"{{{show(key)},{show(definition[key])}}}" for key in unknown]
        line = ",".join(settings)
        fits = len(line if profile.policies.prints_unicode else line.encode()) + 2 < _LINE
        return f"[{(',' if fits else f',{chr(10)} ').join(settings)}] are not recognised policy settings"
    return wrong


def _values(profile: "EngineProfile") -> Mapping[str, tuple[_Check, str]]:
    if not profile.policies.negative_delivery_limit_is_none:
        return _VALUES
    return {**_VALUES, "delivery-limit": (_integer(None), "delivery limit")}


def _wrong_value(definition: Definition, values: Mapping[str, tuple[_Check, str]], show: _Show) -> str | None:
    for key, value in definition.items():
        if key in values and not values[key][0](value):
            return f"{show(value)} is not a valid {values[key][1]}"
    return None


def _wrong_retries(definition: Definition) -> str | None:
    kind, least, most = (definition.get(f"delayed-retry-{name}") for name in ("type", "min", "max"))
    if kind not in {None, "disabled"} and least is None:
        return f"delayed-retry-min is required when delayed-retry-type is {kind}"
    if least is not None and most is not None and most < least:
        return f"delayed-retry-max ({most}) must not be smaller than delayed-retry-min ({least})"
    return None


def _wrong_locator(definition: Definition, keys: frozenset[str], profile: "EngineProfile") -> str | None:
    if "queue-master-locator" not in definition:
        return None
    if not profile.arguments.permits_master_locator:  # also for operator policies
        return "use of deprecated queue-master-locator argument is not permitted"
    value = definition["queue-master-locator"]
    if "queue-master-locator" not in keys or _one_of("client-local", "min-masters", "random")(value):
        return None
    return f"{_older(value)} invalid queue-master-locator value"


def _wrong_mirroring(definition: Definition) -> str | None:
    if MIRRORING_KEYS.isdisjoint(definition):
        return None
    mode = definition.get("ha-mode")
    if mode is None and "ha-mode" not in definition:
        return "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown"
    if not isinstance(mode, str) or mode not in {"all", "exactly", "nodes"}:
        return f"{_older(mode)} is not a valid ha-mode value"
    return _wrong_mirrors(mode, definition.get("ha-params"), "ha-params" in definition) or _wrong_synchronising(
        definition
    )


def _wrong_mirrors(mode: str, params: Any, given: bool) -> str | None:
    told = f"{_older(params)} given" if given else "none given"
    if mode == "all":
        return 'ha-mode="all" does not take parameters' if given else None
    if mode == "exactly":
        return None if _integer(1)(params) else f'ha-mode="exactly" takes an integer, {told}'
    if not isinstance(params, list):
        return f'ha-mode="nodes" takes a list, {told}'
    if not params:
        return 'ha-mode="nodes" list must be non-empty'
    others = [name for name in params if not isinstance(name, str)]
    return f'ha-mode="nodes" takes a list of strings, {_older(others)} was not a string' if others else None


def _wrong_synchronising(definition: Definition) -> str | None:
    return (
        _not_one_of(definition, "ha-sync-mode", "manual", "automatic")
        or _wrong_batch_size(definition)
        or _not_one_of(definition, "ha-promote-on-shutdown", "always", "when-synced")
        or _not_one_of(definition, "ha-promote-on-failure", "always", "when-synced")
    )


def _wrong_batch_size(definition: Definition) -> str | None:
    size = definition.get("ha-sync-batch-size", 1)
    return None if _integer(1)(size) else f"ha-sync-batch-size takes an integer greater than 0, {_older(size)} given"


def _not_one_of(definition: Definition, key: str, one: str, other: str) -> str | None:
    if key not in definition or _one_of(one, other)(definition[key]):
        return None
    return f'{key} must be "{one}" or "{other}", got {_older(definition[key])}'
