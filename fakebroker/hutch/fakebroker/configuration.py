"""What a broker is told when it is made: the profile that comes of it, and the mistakes that are easily made."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hutch.fakebroker.engine.deprecated import permitting
from hutch.fakebroker.engine.profiles import PROFILES, Profile
from hutch.fakebroker.plugins.enabling import enabling


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
    profile = enabling(permitting(PROFILES[name], permit_deprecated_features or {}), plugins)
    if (consumer_timeout, single_confirms) == (profile.consumer_timeout, profile.single_confirms):
        return profile
    return replace(profile, consumer_timeout=consumer_timeout, single_confirms=single_confirms)


def check_names(argument: str, names: Iterable[str]) -> None:
    """Refuse one text for several names.

    Raises:
        TypeError: it would be taken for its letters.
    """
    if isinstance(names, str):
        raise TypeError(f"{argument} takes a collection of names, ({names!r},) say, not {names!r}")


def check_users(users: Mapping[str, str] | None) -> None:
    """Refuse users without passwords.

    Raises:
        TypeError: they are no mapping.
    """
    if users is not None and not isinstance(users, Mapping):
        raise TypeError(f"users takes passwords by user name, {{'guest': 'guest'}} say, not {users!r}")
