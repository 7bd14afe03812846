"""Users and what they may do (https://www.rabbitmq.com/docs/access-control)."""

from collections.abc import Iterable
from typing import Final, NamedTuple


class Permissions(NamedTuple):
    """What a user may do in one virtual host: regular expressions that the names of queues and exchanges are searched
    with; an empty one permits nothing.
    """

    configure: str
    write: str
    read: str


ALL: Final = Permissions(".*", ".*", ".*")


class User:
    """One user. ``password`` is ``None`` for one who cannot log in by password; ``permissions`` are by virtual host.
    ``everywhere`` marks one who may do everything in each virtual host that is made while there is the user.
    """

    def __init__(self, name: str, password: str | None, tags: Iterable[str] = (), *, everywhere: bool = False) -> None:
        self.name: Final = name
        self.password = password
        self.tags: tuple[str, ...] = tuple(tags)
        self.everywhere: Final = everywhere
        self.permissions: Final[dict[str, Permissions]] = {}
