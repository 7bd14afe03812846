"""What a broker is told when it is made: the profile that comes of it, and the mistakes that are easily made."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hutch.fakebroker.plugins.enabling import check_plugins
from hutch.fakebroker.profiles import PROFILES, Profile


def configured(
    name: str,
    permit_deprecated_features: Mapping[str, bool] | None,
    plugins: Iterable[str],
    consumer_timeout: int | None,
    single_confirms: bool,
) -> Profile:
    """The profile of that name, with deprecated features permitted or denied, plugins enabled, a timeout (ms), and
    confirms as they are asked for.

    Raises:
        ValueError: there is no such profile or plugin, the profile has no such deprecated feature, or the timeout is
            not positive.
        TypeError: see :func:`check_names`.
    """
    if name not in PROFILES:
        raise ValueError(f"no profile {name!r}; there are {', '.join(map(repr, PROFILES))}")
    if consumer_timeout is not None and consumer_timeout <= 0:
        raise ValueError(f"consumer_timeout takes milliseconds, or None for none, not {consumer_timeout!r}")
    check_names("plugins", plugins)
    profile, enabled, features = PROFILES[name], check_plugins(plugins), permit_deprecated_features or {}
    _check_features(profile, features)
    if enabled:
        profile = replace(profile, enabled_plugins=enabled)
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
        raise TypeError(f"{argument} takes a collection of names, ({names!r},) say, not {names!r}")


def check_users(users: Mapping[str, str]) -> None:
    """Refuse users without passwords.

    Raises:
        TypeError: they are no mapping.
    """
    if not isinstance(users, Mapping):
        raise TypeError(f"users takes passwords by user name, {{'guest': 'guest'}} say, not {users!r}")
