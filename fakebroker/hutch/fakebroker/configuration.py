"""The arguments of a broker: the profile that they make, and checks for mistakes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from hutch.fakebroker.engine.clock import Clock
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
        TypeError: see :func:`check_names`.
    """
    if name not in PROFILES:
        raise ValueError(f"profile {name!r} is unknown; choose from {', '.join(map(repr, PROFILES))}")
    if consumer_timeout is not None and consumer_timeout <= 0:
        raise ValueError(f"consumer_timeout takes milliseconds, 1 or more, or None for none, not {consumer_timeout!r}")
    check_names("plugins", plugins)
    profile, enabled, features = PROFILES[name], check_plugins(plugins), permit_deprecated_features or {}
    _check_features(profile, features)
    if enabled:
        profile = replace(profile, enabled_plugins=enabled)
    if limits:
        profile = _limited(profile, limits)
    amqp091, arguments, queues = profile.amqp091, profile.engine.arguments, profile.engine.queues
    if not features and (consumer_timeout, single_confirms) == (queues.consumer_timeout, amqp091.single_confirms):
        return profile
    # Where a broker denies this one, basic.qos global=true is taken for a consumer's own limit (QOS-06).
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


#: What each limit may be.
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
            raise ValueError(f"no limit {name!r}; there are {', '.join(_LIMITS)}")
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


def _check_features(profile: Profile, features: Iterable[str]) -> None:
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


def check_names(argument: str, names: Iterable[str]) -> None:
    """Refuse one text for several names.

    Raises:
        TypeError: it would be taken for its letters.
    """
    if isinstance(names, str):
        raise TypeError(f"{argument} takes a collection of names, for example ({names!r},), not {names!r}")


def check_users(users: Mapping[str, str]) -> None:
    """Refuse users without passwords.

    Raises:
        TypeError: they are no mapping.
    """
    if not isinstance(users, Mapping):
        raise TypeError(f"users takes passwords by user name, for example {{'guest': 'guest'}}, not {users!r}")


def checked_clock(clock: Clock) -> Clock:
    """The clock. Refuses what is none, such as the name of one.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(clock, Clock):
        raise TypeError(f"clock takes a clock, for example ManualClock(), or None, not {clock!r}")
    return clock
