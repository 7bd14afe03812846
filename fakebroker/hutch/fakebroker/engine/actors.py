"""Who asks the engine for something, and what that one is permitted to do (PERM)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from hutch.fakebroker.engine.access.users import matches
from hutch.fakebroker.engine.errors import BrokerError, precondition_failed, refused
from hutch.fakebroker.engine.origin import OPERATOR, Origin
from hutch.wire.fields import FieldValue

if TYPE_CHECKING:
    from hutch.fakebroker.engine.connection import Connection
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.vhost import VHost

Kind = Literal["queue", "exchange"]
Permission = Literal["configure", "write", "read"]
TopicPermission = Literal["write", "read"]
Key = TypeVar("Key")

#: How many granted permissions of each kind a channel remembers.
_REMEMBERED: Final = 12


class Actor:
    """A channel, a user or the operator at work in one virtual host. Services take an actor and ask it for permission.

    ``origin`` is who makes a fact happen that the actor asked for. ``connection`` owns the exclusive queues of the
    actor, ``None`` for an actor that can have none. ``username`` is the user whose permissions count, with the tags
    ``tags``; ``None`` for the operator, who may do everything.

    RabbitMQ's channels remember what they were granted last, so that what is taken away from a user holds on for what
    the channel has done before (PERM-11). ``writable`` are the exchanges among it that may be published to.
    """

    def __init__(
        self,
        vhost: "VHost",
        origin: Origin,
        *,
        username: str | None = None,
        tags: tuple[str, ...] = (),
        connection: "Connection | None" = None,
    ) -> None:
        self.vhost: Final = vhost
        self.origin: Final = origin
        self.username: Final = username
        self.connection: Final = connection
        self.writable: Final[set[str]] = set()
        self._tags: Final = tags
        self._granted: Final[dict[tuple[Kind, str, Permission], None]] = {}
        self._granted_topics: Final[dict[tuple[str, str, TopicPermission], None]] = {}

    def forget(self) -> None:
        """Forget what was granted."""
        self._granted.clear()
        self._granted_topics.clear()
        self.writable.clear()

    def check(self, kind: Kind, name: str, permission: Permission) -> None:
        """Refuse with 403 what the user may not do to a queue or an exchange, be there one of the name or not (PERM-01,
        PERM-02).
        """
        grant = (kind, name, permission)
        if grant in self._granted or self.username is None:
            return
        node = self.vhost.node
        try:
            permissions = node.users[self.username].permissions[self.vhost.name]
        except KeyError:
            permissions = None
        called = "amq.default" if kind == "exchange" and not name else name  # the default exchange (PERM-10)
        pcre2 = node.profile.access.has_pcre2
        if permissions is None or not matches(getattr(permissions, permission), called, pcre2=pcre2):
            raise self._refused(permission, f"{kind} '{called}'")
        self._granted[grant] = None
        if len(self._granted) > _REMEMBERED:
            kind, name, permission = _forget_oldest(self._granted)
            if (kind, permission) == ("exchange", "write"):
                self.writable.discard(name)

    def check_publish(self, exchange: str) -> None:
        """Refuse with 403 an exchange that the user may not write to; else it is ``writable`` from now on."""
        self.check("exchange", exchange, "write")
        self.writable.add(exchange)

    def check_passive(self, kind: Kind, name: str) -> None:
        """Refuse with 403 to tell whether there is a queue or an exchange, where that needs a permission: any of the
        three (PERM-03).
        """
        if not self.vhost.node.profile.access.passive_needs_permission:
            return
        try:
            self.check(kind, name, "configure")
        except BrokerError:
            others: tuple[Permission, ...] = ("read", "write")
            for permission in others:
                try:
                    self.check(kind, name, permission)
                except BrokerError:
                    continue
                return
            raise

    def check_topics(
        self, exchange: "Exchange | None", routing_keys: Iterable[str], permission: TopicPermission
    ) -> None:
        """Refuse with 403 routing keys that the user's topic permissions for a topic exchange do not cover (PERM-12). A
        channel remembers those, too, that were used while there were no topic permissions.
        """
        if exchange is None or exchange.type != "topic":
            return
        for key in routing_keys:
            grant = (exchange.name, key, permission)
            if grant not in self._granted_topics:
                if not self._permits_topic(*grant):
                    raise self._refused(permission, f"topic '{key}' in exchange '{exchange.name}'")
                self._granted_topics[grant] = None
                if len(self._granted_topics) > _REMEMBERED:
                    _forget_oldest(self._granted_topics)

    def _permits_topic(self, exchange: str, key: str, permission: TopicPermission) -> bool:
        if self.username is None:
            return True
        try:
            permissions = self.vhost.node.users[self.username].topic_permissions[self.vhost.name][exchange]
        except KeyError:
            return True
        variables = {"username": self.username, "vhost": self.vhost.name}
        profile = self.vhost.node.profile.access
        return matches(
            getattr(permissions, permission),
            key,
            variables,
            escape=profile.escapes_topic_variables,
            pcre2=profile.has_pcre2,
        )

    def check_user_id(self, user_id: FieldValue) -> None:
        """Refuse with 406 the name of another user as a message's, unless from an impersonator (PUB-06)."""
        if user_id in {None, self.username} or self.username is None or "impersonator" in self._tags:
            return
        raise precondition_failed(f"user_id property set to '{user_id}' but authenticated user was '{self.username}'")

    def _refused(self, permission: str, what: str) -> BrokerError:
        named = f"{permission} " if self.vhost.node.profile.access.names_refused_permission else ""
        return refused(f"{named}access to {what} in vhost '{self.vhost.name}' refused for user '{self.username}'")


def operator(vhost: "VHost") -> Actor:
    """The operator at work in a virtual host, as with rabbitmqctl."""
    return Actor(vhost, OPERATOR)


def _forget_oldest(granted: dict[Key, None]) -> Key:
    """Forget the grant that was made first, and return it."""
    oldest = next(iter(granted))
    del granted[oldest]
    return oldest
