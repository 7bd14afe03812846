"""The arguments of a broker: the profile that they make, and checks for mistakes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, Final

from hutch.fakebroker.engine.clock import Clock
from hutch.fakebroker.engine.unknown_names import unknown
from hutch.fakebroker.plugins.enabling import check_plugins
from hutch.fakebroker.profiles import PROFILES, Profile


def configured(
    name: str,
    permit_deprecated_features: Mapping[str, bool] | None,
    plugins: Iterable[str],
    consumer_timeout: int | None,
    single_confirms: bool,
    limits: Mapping[str, int] | None = None,
) -> Profile:
    """The profile of that name, with deprecated features permitted or denied, plugins enabled, a timeout (ms), confirms
    and limits as they are asked for.

    Raises:
        ValueError: there is no such profile, plugin or limit, the profile has no such deprecated feature, or a value is
            out of range.
        TypeError: see :func:`checked_names` and :func:`check_consumer_timeout`.
    """
    profile, features = profile_of(name), permit_deprecated_features or {}
    if features:
        check_features(features)
        _refuse_features(profile, features)
    if plugins != ():
        profile = replace(profile, enabled_plugins=enabled_plugins(plugins))
    if limits:
        profile = _limited(profile, limits)
    amqp091, arguments, queues = profile.amqp091, profile.engine.arguments, profile.engine.queues
    if not features and (consumer_timeout, single_confirms) == (queues.consumer_timeout, amqp091.single_confirms):
        return profile
    check_consumer_timeout(consumer_timeout)
    # A broker that denies global_qos takes basic.qos global=true for a consumer's own limit (QOS-06).
    shares_qos = bool(features.get("global_qos", amqp091.shares_global_qos))
    takes_locator = bool(features.get("queue_master_locator", arguments.permits_master_locator))
    topology = profile.engine.topology
    takes_transient = bool(features.get("transient_nonexcl_queues", topology.permits_transient_queues))
    engine = replace(
        profile.engine,
        arguments=replace(arguments, permits_master_locator=takes_locator),
        queues=replace(queues, consumer_timeout=consumer_timeout),
        topology=replace(topology, permits_transient_queues=takes_transient),
    )
    amqp091 = replace(amqp091, shares_global_qos=shares_qos, single_confirms=single_confirms)
    return replace(profile, amqp091=amqp091, engine=engine)


def profile_of(name: str) -> Profile:
    """The profile of that name.

    Raises:
        ValueError: there is no such profile.
    """
    if name not in PROFILES:
        hint = "" if isinstance(name, str) else " (in quotes)"
        raise ValueError(unknown("profile", name, PROFILES) + hint)
    return PROFILES[name]


#: The smallest and the largest value of each limit.
_LIMITS: Final[dict[str, tuple[int, int]]] = {
    "channel_max": (1, 65535),
    "frame_max": (8192, 2147483647),
    "heartbeat": (0, 65535),
    "max_message_size": (1, 536870912),
}


def _limited(profile: Profile, limits: Mapping[str, int]) -> Profile:
    """The profile with RabbitMQ's settings of these names.

    Raises:
        ValueError: there is no such setting, or the emulator does not have such a value.
    """
    for name, value in limits.items():
        if name not in _LIMITS:
            raise ValueError(unknown("limit", name, _LIMITS))
        least, most = _LIMITS[name]
        if not least <= value <= most:
            raise ValueError(f"{name} takes {least} to {most}, not {value}")
    amqp091, messages = profile.amqp091, profile.engine.messages
    amqp091 = replace(
        amqp091,
        channel_max=limits.get("channel_max", amqp091.channel_max),
        frame_max=limits.get("frame_max", amqp091.frame_max),
        heartbeat=limits.get("heartbeat", amqp091.heartbeat),
    )
    size = limits.get("max_message_size", messages.max_message_size)
    engine = replace(profile.engine, messages=replace(messages, max_message_size=size))
    return replace(profile, amqp091=amqp091, engine=engine)


def check_features(features: Mapping[str, bool] | None) -> None:
    """Refuse names without values.

    Raises:
        TypeError: that is no mapping.
    """
    if features is not None and not isinstance(features, Mapping):
        example = "{'transient_nonexcl_queues': False}"
        raise TypeError(f"permit_deprecated_features takes booleans by name, for example {example}, not {features!r}")


def check_definitions(definitions: "Mapping[str, object] | str | PathLike[str] | None") -> None:
    """Refuse what cannot be definitions.

    Raises:
        TypeError: that is neither a mapping nor a path.
    """
    if definitions is not None and not isinstance(definitions, Mapping | str | PathLike):
        raise TypeError(f"definitions takes RabbitMQ's definitions, or the path of such a file, not {definitions!r}")


def _refuse_features(profile: Profile, features: Iterable[str]) -> None:
    """Refuse to permit or deny deprecated features that a version does not have.

    Raises:
        ValueError: it has no such feature; the message names those it has.
    """
    known = profile.deprecated_features
    for name in features:
        if name not in known:
            there = f"it has {', '.join(map(repr, sorted(known)))}" if known else "it has none"
            raise ValueError(
                f"RabbitMQ {profile.name} has no deprecated feature {name!r} that could be denied; {there}"
            )


def checked_names(argument: str, names: Iterable[str], example: str) -> tuple[str, ...]:
    """The names. Refuses one text for several names, which would be taken for its letters.

    Raises:
        TypeError: it is one text, or no collection of texts.
    """
    wrong = f"{argument} takes a collection of names, for example ({{!r}},), not {{!r}}"
    if isinstance(names, str):
        raise TypeError(wrong.format(names, names))
    try:
        given = (*names,)
    except TypeError:
        raise TypeError(wrong.format(example, names)) from None
    for name in given:
        if name.__class__ is not str:
            check_texts(**{f"a name in {argument}": name})
    return given


def check_texts(**values: object) -> None:
    """Refuse values that are not texts. The error names the first such value.

    Raises:
        TypeError: a value is no text.
    """
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is a text, not {value!r}")


def checked_vhosts(names: Iterable[str]) -> tuple[str, ...]:
    """The names of virtual hosts.

    Raises:
        TypeError: see :func:`checked_names`.
    """
    return checked_names("vhosts", names, "shop")


def enabled_plugins(names: Iterable[str]) -> frozenset[str]:
    """The plugins of these names.

    Raises:
        ValueError: there is no such plugin; the message names those there are.
        TypeError: see :func:`checked_names`.
    """
    return check_plugins(checked_names("plugins", names, "rabbitmq_sharding"))


def check_users(users: Mapping[str, str] | None) -> None:
    """Refuse users without passwords.

    Raises:
        TypeError: they are no mapping, or a name or password is no text.
    """
    if users is None:
        return
    if not isinstance(users, Mapping):
        raise TypeError(f"users takes passwords by user name, for example {{'guest': 'guest'}}, not {users!r}")
    for name, password in users.items():
        check_texts(**{"the name of a user": name, f"the password of user {name!r}": password})


def check_consumer_timeout(milliseconds: int | None) -> None:
    """Refuse a timeout that is none.

    Raises:
        ValueError: it is less than 1 ms.
        TypeError: it is no integer.
    """
    if milliseconds is None:
        return
    wrong = f"consumer_timeout takes milliseconds, 1 or more, or None for none, not {milliseconds!r}"
    if not isinstance(milliseconds, int):
        raise TypeError(wrong)
    if milliseconds < 1:
        raise ValueError(wrong)


def checked_clock(clock: Clock) -> Clock:
    """The clock. Refuses what is none, such as the name of one.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(clock, Clock):
        raise TypeError(f"clock takes a clock, for example ManualClock(), or None, not {clock!r}")
    return clock


#: Checks for single arguments. Each raises an error if the value is wrong, whatever the other arguments are.
CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "profile": profile_of,
    "users": check_users,
    "vhosts": checked_vhosts,
    "plugins": enabled_plugins,
    "consumer_timeout": check_consumer_timeout,
    "permit_deprecated_features": check_features,
    "definitions": check_definitions,
}
