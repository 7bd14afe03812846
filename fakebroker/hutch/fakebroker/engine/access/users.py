"""Users and what they may do (https://www.rabbitmq.com/docs/access-control)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from hutch.fakebroker.engine.access.passwords import PasswordHash
from hutch.fakebroker.erlang.patterns import compile_pattern
from hutch.fakebroker.erlang.pcre import InvalidPattern


class Permissions(NamedTuple):
    """What a user may do in one virtual host: regular expressions that the names of queues and exchanges are searched
    with; an empty one permits nothing.
    """

    configure: str
    write: str
    read: str


class TopicPermissions(NamedTuple):
    """What routing keys a user may publish to, and bind with, at one topic exchange: regular expressions as well.
    ``{username}`` and ``{vhost}`` in them stand for those.
    """

    write: str
    read: str


#: The permissions of most users. No name has to be searched for these.
EVERYTHING: Final = ".*"
ALL: Final = Permissions(EVERYTHING, EVERYTHING, EVERYTHING)


class User:
    """One user. ``permissions`` are by virtual host, ``topic_permissions`` by virtual host and exchange, ``limits`` by
    name (:mod:`hutch.fakebroker.engine.access.limits`). ``everywhere`` marks a user who gets all permissions in each
    new virtual host.
    """

    def __init__(
        self, name: str, password_hash: PasswordHash, tags: Iterable[str] = (), *, everywhere: bool = False
    ) -> None:
        self.name: Final = name
        self.password_hash = password_hash
        self.tags: tuple[str, ...] = tuple(tags)
        self.everywhere: Final = everywhere
        self.permissions: Final[dict[str, Permissions]] = {}
        self.limits: Final[dict[str, int]] = {}
        self.topic_permissions: Final[dict[str, dict[str, TopicPermissions]]] = {}

    def forget_topics(self, vhost: str, exchange: str) -> None:
        """Permit all routing keys at an exchange again."""
        here = self.topic_permissions.get(vhost, {})
        here.pop(exchange, None)
        if not here:
            self.topic_permissions.pop(vhost, None)

    def forget_vhost(self, name: str) -> None:
        """A virtual host is gone, and with it what the user was permitted there."""
        self.permissions.pop(name, None)
        self.topic_permissions.pop(name, None)


@lru_cache(1024)
def _compiled(pattern: str, pcre2: bool) -> re.Pattern[bytes]:
    return compile_pattern(pattern or "^$", pcre2=pcre2)


def check_pattern(pattern: str, *, pcre2: bool) -> None:
    """Refuse what is no regular expression, or one of RabbitMQ's PCRE that has no like in Python.

    Raises:
        ValueError: such a pattern.
    """
    try:
        compile_pattern(pattern, pcre2=pcre2)
    except (InvalidPattern, NotImplementedError) as error:
        raise ValueError(f"{pattern!r} is no regular expression that can be used here: {error}") from None


def matches(
    pattern: str, name: str, variables: Mapping[str, str] | None = None, *, escape: bool = False, pcre2: bool
) -> bool:
    """Whether a permission covers a name; ``variables`` are put in for their names in braces, literally if ``escape``,
    else as parts of the expression.
    """
    if pattern == EVERYTHING:
        return True
    for variable, value in (variables or {}).items():
        pattern = pattern.replace(f"{{{variable}}}", re.escape(value) if escape else value)
    return _compiled(pattern, pcre2).search(name.encode("utf-8", "surrogateescape")) is not None
