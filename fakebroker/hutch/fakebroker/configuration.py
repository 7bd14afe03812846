"""What a broker is told when it is made: the profile that comes of it, and the mistakes that are easily made."""

from collections.abc import Iterable, Mapping

from hutch.fakebroker.engine.deprecated import permitting
from hutch.fakebroker.engine.plugins import enabling
from hutch.fakebroker.engine.profiles import Profile
from hutch.fakebroker.engine.profiles import profile as find_profile


def configured(profile: str, permit_deprecated_features: Mapping[str, bool] | None, plugins: Iterable[str]) -> Profile:
    """The profile of that name, with deprecated features permitted or denied, and plugins enabled.

    Raises:
        ValueError: there is no such profile or plugin, or the profile has no such deprecated feature.
        TypeError: see :func:`check_names`.
    """
    check_names("plugins", plugins)
    return enabling(permitting(find_profile(profile), permit_deprecated_features or {}), plugins)


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
