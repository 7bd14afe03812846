"""A request that is being answered: who asks, and what for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker.engine.access.users import User
from hutch.fakebroker.engine.actors import Actor
from hutch.fakebroker.engine.node import Node
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.engine.vhost import VHost
from hutch.fakebroker.management.access import may_enter
from hutch.fakebroker.management.bodies import Body
from hutch.fakebroker.management.errors import not_authorised, not_found, object_not_found
from hutch.fakebroker.management.messages import Request
from hutch.fakebroker.management.profile import ManagementProfile
from hutch.fakebroker.management.statistics import Statistics

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker
    from hutch.fakebroker.snapshot import Snapshot


class Call:
    """One request at its handler, mostly in a turn of the hub.

    ``names`` are those in the path, ``query`` the parameters. ``body`` is that of a PUT or POST.
    """

    def __init__(
        self,
        broker: "Broker",
        statistics: Statistics,
        snapshots: "dict[str, Snapshot]",
        request: Request,
        names: Mapping[str, str],
        query: Mapping[str, str],
        user: User | None,
        body: Body,
    ) -> None:
        self.broker: Final = broker
        self.hub: Final = broker.hub
        self.node: Final[Node] = broker.hub.node
        self.statistics: Final = statistics
        #: The snapshots that were taken over HTTP, by name.
        self.snapshots: Final = snapshots
        #: All switches, and those of the API.
        self.versions: Final = broker.profile
        self.profile: Final[ManagementProfile] = broker.profile.management
        self.request: Final = request
        self.names: Final = names
        self.query: Final = query
        self.body: Final = body
        self._user: Final = user

    @property
    def user(self) -> User:
        """Who asks."""
        if self._user is None:
            raise TypeError("nobody has to log in for this path")
        return self._user

    @property
    def origin(self) -> Origin:
        """Who makes a fact happen."""
        return Origin(None, None, self.user.name)

    @property
    def vhost(self) -> VHost:
        """The virtual host that the path names.

        Raises:
            Refusal: 404, there is none.
        """
        found = self.node.vhosts.get(self.names["V"])
        if found is None:
            raise object_not_found() if self.request.method in {"GET", "DELETE"} else not_found("vhost_not_found")
        return found

    def actor(self) -> Actor:
        """The user at work in that virtual host.

        Raises:
            Refusal: 404 as :attr:`vhost`; 401, the user has no permissions there (HTTP-AUTH-08).
        """
        vhost = self.vhost
        if not may_enter(self.user, vhost.name):
            raise not_authorised("Access refused.")
        return Actor(vhost, self.origin, username=self.user.name, tags=self.user.tags)

    @property
    def visible_vhosts(self) -> list[VHost]:
        """The virtual hosts that the user may enter, by name (HTTP-AUTH-17)."""
        vhosts = self.node.vhosts
        return [vhosts[name] for name in sorted(vhosts) if may_enter(self.user, name)]

    def asks(self, parameter: str) -> bool:
        """Whether a parameter of the query is true."""
        return self.query.get(parameter) == "true"

    def __repr__(self) -> str:
        return f"Call({self.request.method} {self.request.target})"


def found(value: Any) -> Any:
    """The value.

    Raises:
        Refusal: 404, it is ``None``.
    """
    if value is None:
        raise object_not_found()
    return value
