"""What an operator does to the broker under test: users, permissions, virtual hosts, policies, connections."""

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from hutch.conformance.management import ManagementError

#: Password of every user that a case creates.
PASSWORD: Final = "secret"


#: Type of :meth:`hutch.conformance.rabbit.Rabbit.eventually`.
Eventually = Callable[[Callable[[], object], str], object]


class Operator(Protocol):
    """An operator's hands: on a live broker its management API, on the emulator
    :class:`hutch.fakebroker.Administration`.
    """

    def add_user(self, name: str, password: str | None, tags: Iterable[str] = ()) -> None:
        """Create a user without permissions, or change its password and tags."""

    def delete_user(self, name: str) -> None:
        """Delete a user."""

    def set_permissions(
        self, user: str, configure: str = ".*", write: str = ".*", read: str = ".*", *, vhost: str = "/"
    ) -> None:
        """Say what a user may do in a virtual host."""

    def clear_permissions(self, user: str, *, vhost: str = "/") -> None:
        """Let a user into a virtual host no more."""

    def set_topic_permissions(self, user: str, exchange: str, write: str, read: str, *, vhost: str = "/") -> None:
        """Say which routing keys a user may use at a topic exchange."""

    def clear_topic_permissions(self, user: str, exchange: str | None = None, *, vhost: str = "/") -> None:
        """Undo :meth:`set_topic_permissions` for an exchange, or for all."""

    def set_user_limit(self, user: str, limit: str, value: int) -> None:
        """Limit what a user may have open at once."""

    def clear_user_limit(self, user: str, limit: str) -> None:
        """Undo :meth:`set_user_limit`."""

    def add_vhost(self, name: str, *, default_queue_type: str | None = None) -> None:
        """Create a virtual host, or change its default queue type."""

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host."""

    def set_vhost_limit(self, limit: str, value: int, *, vhost: str = "/") -> None:
        """Limit what a virtual host may have at once."""

    def clear_vhost_limit(self, limit: str, *, vhost: str = "/") -> None:
        """Undo :meth:`set_vhost_limit`."""

    def close_connections(self, user: str | None = None, reason: str = "Closed via management plugin") -> int:
        """Close the connections of a user; how many there were."""

    def set_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, Any],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str = "/",
    ) -> None:
        """Create or change a policy.

        Raises:
            ValueError: it is refused; the text is the reason.
        """

    def delete_policy(self, name: str, *, vhost: str = "/") -> None:
        """Delete a policy.

        Raises:
            LookupError: there is none.
        """

    def set_operator_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, Any],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str = "/",
    ) -> None:
        """Create or change an operator policy; as :meth:`set_policy`."""

    def delete_operator_policy(self, name: str, *, vhost: str = "/") -> None:
        """Delete an operator policy; as :meth:`delete_policy`."""


class Administration:
    """An operator at work for one case, whose virtual host is ``vhost``; ``rabbit.admin`` is one.

    Users and virtual hosts get names that nobody else has, and are gone when the case has ended.
    """

    def __init__(self, operator: Operator, vhost: str, eventually: Eventually) -> None:
        self._operator: Final = operator
        self._eventually: Final = eventually
        self._vhost: Final = vhost
        self._users: Final[list[str]] = []
        self._vhosts: Final[list[str]] = []
        #: Reserved names. The case may never create their user or virtual host.
        self._reserved: Final[set[str]] = set()

    def remove(self) -> None:
        """Delete the users and virtual hosts that are left."""
        with contextlib.ExitStack() as todo:
            for name in self._users:
                todo.callback(self._delete, self._operator.delete_user, name)
            for name in self._vhosts:
                todo.callback(self._delete, self._operator.delete_vhost, name)
        self._users.clear()
        self._vhosts.clear()

    def _delete(self, delete: Callable[[str], object], name: str) -> None:
        try:
            delete(name)
        except LookupError:
            if name not in self._reserved:
                raise

    def expect_refused(self, attempt: Callable[[], object]) -> None:
        """``attempt``, which changes something here, must be refused."""
        try:
            attempt()
        except (ManagementError, LookupError, ValueError):
            return
        raise AssertionError("expected a refusal, and the broker did as it was told")

    # users

    def add_user(self, *tags: str) -> str:
        """Create a user, who logs in with :data:`PASSWORD` and has no permissions; the name."""
        name = f"hutch-user-{secrets.token_hex(4)}"
        self._users.append(name)
        self._operator.add_user(name, PASSWORD, tags)
        return name

    def reserve_user(self, more: str = "") -> str:
        """A name for a user, who is deleted in the end if the case makes one; it ends with ``more``."""
        name = f"hutch-user-{secrets.token_hex(4)}{more}"
        self._users.append(name)
        self._reserved.add(name)
        return name

    def change_user(self, name: str, password: str | None, *tags: str) -> None:
        """Give a user another password, or none, and other tags."""
        self._operator.add_user(name, password, tags)

    def add_permitted_user(self, configure: str = ".*", write: str = ".*", read: str = ".*") -> str:
        """Create a user with these permissions in the case's virtual host; the name."""
        name = self.add_user()
        self.set_permissions(name, configure, write, read)
        return name

    def delete_user(self, name: str) -> None:
        """Delete a user."""
        self._operator.delete_user(name)
        self._users.remove(name)

    def forget_user(self, name: str) -> None:
        """A user who was added here is deleted already."""
        self._users.remove(name)

    def set_permissions(
        self, user: str, configure: str = ".*", write: str = ".*", read: str = ".*", *, vhost: str | None = None
    ) -> None:
        """Say what a user may do in the case's virtual host, or in another one."""
        self._operator.set_permissions(user, configure, write, read, vhost=vhost or self._vhost)

    def clear_permissions(self, user: str, *, vhost: str | None = None) -> None:
        """Let a user into the case's virtual host, or into another one, no more."""
        self._operator.clear_permissions(user, vhost=vhost or self._vhost)

    def set_topic_permissions(self, user: str, exchange: str, write: str, read: str) -> None:
        """Say which routing keys a user may use at a topic exchange of the case's virtual host."""
        self._operator.set_topic_permissions(user, exchange, write, read, vhost=self._vhost)

    def clear_topic_permissions(self, user: str, exchange: str | None = None) -> None:
        """Undo :meth:`set_topic_permissions` for an exchange, or for all."""
        self._operator.clear_topic_permissions(user, exchange, vhost=self._vhost)

    def set_user_limit(self, user: str, limit: str, value: int) -> None:
        """Limit what a user may have open at once."""
        self._operator.set_user_limit(user, limit, value)

    def clear_user_limit(self, user: str, limit: str) -> None:
        """Undo :meth:`set_user_limit`."""
        self._operator.clear_user_limit(user, limit)

    # virtual hosts

    def add_vhost(self, default_queue_type: str | None = "classic") -> str:
        """Create a virtual host, in which the suite's user may do everything; the name. ``None`` leaves the default
        queue type to the node.
        """
        name = f"hutch-vhost-{secrets.token_hex(4)}"
        self._operator.add_vhost(name, default_queue_type=default_queue_type)
        self._vhosts.append(name)
        return name

    def reserve_vhost(self) -> str:
        """A name for a virtual host, which is deleted in the end if the case makes one."""
        name = f"hutch-vhost-{secrets.token_hex(4)}"
        self._vhosts.append(name)
        self._reserved.add(name)
        return name

    def forget_vhost(self, name: str) -> None:
        """A virtual host that was added here is deleted already."""
        self._vhosts.remove(name)

    def change_vhost(self, name: str, default_queue_type: str | None = None) -> None:
        """Give a virtual host another default queue type, or none."""
        self._operator.add_vhost(name, default_queue_type=default_queue_type)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host."""
        self._operator.delete_vhost(name)
        self._vhosts.remove(name)

    def set_vhost_limit(self, limit: str, value: int) -> None:
        """Limit what the case's virtual host may have at once."""
        self._operator.set_vhost_limit(limit, value, vhost=self._vhost)

    def clear_vhost_limit(self, limit: str) -> None:
        """Undo :meth:`set_vhost_limit`."""
        self._operator.clear_vhost_limit(limit, vhost=self._vhost)

    # policies, of the case's virtual host

    def set_policy(self, name: str, pattern: str, definition: Mapping[str, Any], **kwargs: Any) -> None:
        """Create or change a policy; ``kwargs`` are those of :meth:`Operator.set_policy`. On a live broker it may take
        a moment to hold.
        """
        self._operator.set_policy(name, pattern, definition, vhost=self._vhost, **kwargs)

    def delete_policy(self, name: str) -> None:
        """Delete a policy."""
        self._operator.delete_policy(name, vhost=self._vhost)

    def set_operator_policy(self, name: str, pattern: str, definition: Mapping[str, Any], **kwargs: Any) -> None:
        """Create or change an operator policy."""
        self._operator.set_operator_policy(name, pattern, definition, vhost=self._vhost, **kwargs)

    def delete_operator_policy(self, name: str) -> None:
        """Delete an operator policy."""
        self._operator.delete_operator_policy(name, vhost=self._vhost)

    # connections

    def close_connections(self, user: str, reason: str = "Closed via management plugin") -> None:
        """Close the connections of a user, of which there must be one; a live broker may take a moment to know it."""
        close = self._operator.close_connections
        self._eventually(lambda: close(user, reason), f"there is no connection of {user!r}")
