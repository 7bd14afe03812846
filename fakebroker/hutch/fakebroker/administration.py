"""What an operator does to a RabbitMQ, with ``rabbitmqctl`` or the management API."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from hutch.fakebroker import stopping
from hutch.fakebroker.configuration import check_texts, checked_names
from hutch.fakebroker.definitions.exporting import export_all, export_vhost
from hutch.fakebroker.definitions.importing import import_all, import_vhost
from hutch.fakebroker.engine import vhosts
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD
from hutch.fakebroker.engine.access.users import Permissions, TopicPermissions
from hutch.fakebroker.engine.operator.setting_policies import delete_policy, set_policy
from hutch.fakebroker.engine.origin import OPERATOR
from hutch.fakebroker.engine.unknown_names import missing
from hutch.fakebroker.engine.vhosts import find_vhost

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node
    from hutch.fakebroker.hub import Hub
    from hutch.fakebroker.profiles import Profile
    from hutch.fakebroker.turn import Turn


def _name(node: "Node", vhost: str | None) -> str:
    return node.first_vhost if vhost is None else vhost


class Administration:
    """An operator at work on one broker; see :attr:`hutch.fakebroker.Broker.admin`.

    The default virtual host is the broker's first one.

    Everything that TCP clients have sent by then is done before a change, and what a change brings about is done when
    its method returns.
    """

    def __init__(self, hub: "Hub", profile: "Profile") -> None:
        self._hub: Final = hub
        self._profile: Final = profile

    def _change(self) -> "Turn":
        """A turn, once all is done that clients have sent by now."""
        self._hub.drain_clients()
        return self._hub.turn

    # users

    def add_user(self, name: str, password: str | None, tags: Iterable[str] = ()) -> None:
        """Create a user, who may open no virtual host before :meth:`set_permissions`, or change a user's password and
        tags. Without a password the user cannot log in by one.
        """
        check_texts(name=name, password="" if password is None else password)
        tags = checked_names("tags", tags, "administrator")
        with self._change() as node:
            if password is None:
                accounts.put_user(node, OPERATOR, name, NO_PASSWORD, tags)
                return
            accounts.put_user(node, OPERATOR, name, node.hash_password(password), tags)
            self._hub.logins[name] = password

    def delete_user(self, name: str) -> None:
        """Delete a user; the user's connections are closed.

        Raises:
            LookupError: there is no such user.
        """
        with self._change() as node:
            accounts.delete_user(node, OPERATOR, name)

    def set_permissions(
        self, user: str, configure: str = ".*", write: str = ".*", read: str = ".*", *, vhost: str | None = None
    ) -> None:
        """Grant a user access to a virtual host. Replaces earlier permissions there.

        The three regular expressions say which queues and exchanges the user may configure, write and read. Each is
        searched for in a name; the default exchange's name is ``amq.default``. An empty one permits nothing. An open
        channel may repeat its last operation even if it is not permitted any more, as in RabbitMQ (PERM-11).

        Raises:
            LookupError: there is no such user or virtual host.
            ValueError: no regular expression, or one that Python's ``re`` reads in another way than RabbitMQ's PCRE.
        """
        check_texts(configure=configure, write=write, read=read)
        with self._change() as node:
            accounts.set_permissions(node, OPERATOR, user, _name(node, vhost), Permissions(configure, write, read))

    def clear_permissions(self, user: str, *, vhost: str | None = None) -> None:
        """Let a user into a virtual host no more; the user's open connections stay.

        Raises:
            LookupError: there is no such user or virtual host.
        """
        with self._change() as node:
            accounts.clear_permissions(node, OPERATOR, user, _name(node, vhost))

    def set_topic_permissions(
        self, user: str, exchange: str, write: str, read: str, *, vhost: str | None = None
    ) -> None:
        """Say which routing keys a user may publish to at a topic exchange, and bind with there: two regular
        expressions, in which ``{username}`` and ``{vhost}`` stand for those. Without, all keys are permitted.

        Raises:
            LookupError, ValueError: as :meth:`set_permissions`; with 4.3 there has to be such an exchange, too.
        """
        check_texts(write=write, read=read)
        with self._change() as node:
            accounts.set_topic_permissions(
                node, OPERATOR, user, _name(node, vhost), exchange, TopicPermissions(write, read)
            )

    def clear_topic_permissions(self, user: str, exchange: str | None = None, *, vhost: str | None = None) -> None:
        """Undo :meth:`set_topic_permissions` for an exchange, or for all that there are in the virtual host.

        Raises:
            LookupError: there is no such user or virtual host.
        """
        with self._change() as node:
            accounts.clear_topic_permissions(node, OPERATOR, user, _name(node, vhost), exchange)

    def set_user_limit(self, user: str, limit: str, value: int) -> None:
        """Limit what a user may have open at once: ``max-connections`` or ``max-channels``. A negative value is no
        limit; what is open stays.

        Raises:
            LookupError: there is no such user.
            ValueError: no such limit, or no integer.
        """
        with self._change() as node:
            accounts.set_user_limit(node, OPERATOR, user, limit, value)

    def clear_user_limit(self, user: str, limit: str) -> None:
        """Undo :meth:`set_user_limit`.

        Raises:
            LookupError: there is no such user.
        """
        with self._change() as node:
            accounts.clear_user_limit(node, OPERATOR, user, limit)

    def set_loopback_users(self, *users: str) -> None:
        """Say who may log in from this machine alone, over TCP and TLS; by default that is guest, as with RabbitMQ."""
        with self._change() as node:
            node.loopback_users = frozenset(users)

    # virtual hosts

    def add_vhost(self, name: str, *, default_queue_type: str | None = None) -> None:
        """Create a virtual host; one that is there stays as it is, but for the default queue type.

        ``default_queue_type`` is for durable queues that are declared without one: ``quorum`` or ``stream``, else
        ``classic``. 3.10 knows the setting and does not go by it.

        Raises:
            ValueError: there is no such queue type.
        """
        check_texts(name=name)
        with self._change() as node:
            vhosts.put_vhost(node, OPERATOR, name, default_queue_type)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with all that is in it; connections to it are closed.

        Raises:
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            vhosts.delete_vhost(node, OPERATOR, name)

    def set_vhost_limit(self, limit: str, value: int, *, vhost: str | None = None) -> None:
        """Limit what a virtual host may have at once: ``max-connections`` or ``max-queues``. A negative value is no
        limit; what is there stays.

        Raises:
            LookupError: there is no such virtual host.
            ValueError: no such limit, or no integer.
        """
        with self._change() as node:
            vhosts.set_vhost_limit(node, OPERATOR, _name(node, vhost), limit, value)

    def clear_vhost_limit(self, limit: str, *, vhost: str | None = None) -> None:
        """Undo :meth:`set_vhost_limit`.

        Raises:
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            vhosts.clear_vhost_limit(node, OPERATOR, _name(node, vhost), limit)

    # policies

    def set_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, object],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str | None = None,
    ) -> None:
        """Create a policy, or change it (https://www.rabbitmq.com/docs/policies). It holds at once, for what is there
        and what will be.

        Args:
            name: what it is called.
            pattern: a regular expression, searched for in the names of queues and exchanges.
            definition: what it asks for, ``{"max-length": 100}`` say.
            priority: of the policies that match, the one with the highest holds.
            apply_to: ``all``, ``queues`` or ``exchanges``, and with 4.3 ``classic_queues``, ``quorum_queues`` or
                ``streams``.
            vhost: the virtual host it is for; default the broker's first.

        Raises:
            InvalidPolicy: RabbitMQ refuses it; the text is RabbitMQ's.
            LookupError: there is no such virtual host.
            NotImplementedError: it is more than the emulator can do.
        """
        check_texts(name=name, pattern=pattern)
        with self._change() as node:
            set_policy(
                find_vhost(node, _name(node, vhost)),
                OPERATOR,
                name,
                pattern,
                definition,
                priority=priority,
                apply_to=apply_to,
                operator=False,
            )

    def delete_policy(self, name: str, *, vhost: str | None = None) -> None:
        """Delete a policy.

        Raises:
            LookupError: there is no such policy or virtual host.
        """
        with self._change() as node:
            delete_policy(find_vhost(node, _name(node, vhost)), OPERATOR, name, operator=False)

    def set_operator_policy(
        self,
        name: str,
        pattern: str,
        definition: Mapping[str, object],
        *,
        priority: float = 0,
        apply_to: str = "all",
        vhost: str | None = None,
    ) -> None:
        """Create an operator policy, or change it; as :meth:`set_policy`. It holds beside a policy: of limits that both
        set the smaller one counts.
        """
        check_texts(name=name, pattern=pattern)
        with self._change() as node:
            set_policy(
                find_vhost(node, _name(node, vhost)),
                OPERATOR,
                name,
                pattern,
                definition,
                priority=priority,
                apply_to=apply_to,
                operator=True,
            )

    def delete_operator_policy(self, name: str, *, vhost: str | None = None) -> None:
        """Delete an operator policy.

        Raises:
            LookupError: there is no such operator policy or virtual host.
        """
        with self._change() as node:
            delete_policy(find_vhost(node, _name(node, vhost)), OPERATOR, name, operator=True)

    # definitions

    def export_definitions(self, vhost: str | None = None) -> dict[str, Any]:
        """All that there is but for messages and connections, in the JSON of RabbitMQ's files
        (https://www.rabbitmq.com/docs/definitions); of one virtual host without users and permissions.

        Raises:
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            if vhost is None:
                return export_all(node, self._profile)
            return export_vhost(find_vhost(node, vhost), self._profile)

    def import_definitions(self, definitions: Mapping[str, Any], vhost: str | None = None) -> None:
        """Take over definitions, those of a RabbitMQ for example. Queues and exchanges that are there stay as they are.
        Users, permissions and policies are replaced. With ``vhost``, all is for that virtual host.

        Raises:
            InvalidDefinitions: RabbitMQ refuses them; the text is RabbitMQ's. What came before stays.
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            if vhost is None:
                import_all(node, self._profile, OPERATOR, definitions)
            else:
                import_vhost(find_vhost(node, vhost), self._profile, OPERATOR, definitions)

    # queues

    def delete_queue(self, name: str, *, vhost: str = "/") -> int:
        """Delete a queue with its messages, be it exclusive; its consumers are cancelled. How many messages were ready.

        Raises:
            LookupError: there is no such queue or virtual host.
        """
        with self._change() as node:
            queues = find_vhost(node, vhost).queues
            if name not in queues:
                raise LookupError(missing(f"queue {name!r} in vhost {vhost!r}", name, queues))
            queue = queues[name]
            queue.drop_expired()
            ready = len(queue)
            for consumer in queue.vhost.delete_queue(queue, OPERATOR):
                consumer.sink.cancelled(consumer)
            return ready

    # connections

    def close_connections(self, user: str | None = None, reason: str = "Closed via management plugin") -> int:
        """Close the connections of a user, or all connections, with 320; how many."""
        with self._change() as node:
            return node.close_connections(reason, user=user)

    # alarms

    def raise_alarm(self, resource: str) -> None:
        """Be low on a resource, ``"memory"`` or ``"disk"``, until :meth:`clear_alarm`
        (https://www.rabbitmq.com/docs/connection-blocked).

        The broker blocks each connection that publishes from now on: it sends connection.blocked if the client can
        take it, and reads nothing more, neither publishes nor acknowledgements nor a close. A blocked connection still
        gets deliveries. A call that waits for the broker's answer ends with its own timeout, in-process too.
        Connections that do not publish are not affected.

        Raises:
            ValueError: there is no such resource.
        """
        with self._change() as node:
            node.raise_alarm(resource)

    def clear_alarm(self, resource: str) -> None:
        """End an alarm, raised or not. With the last one, connections that were blocked are told by
        connection.unblocked, and what they have sent meanwhile is done, the publish that had them blocked first.

        Raises:
            ValueError: there is no such resource.
        """
        with self._hub.turn as node:
            node.clear_alarm(resource)
        self._hub.resume(list(self._hub.pipes.values()))

    # the firehose

    def trace_on(self, vhost: str | None = None) -> None:
        """Publish what clients publish and get in a virtual host to its exchange amq.rabbitmq.trace as well, until
        :meth:`trace_off`, as ``rabbitmqctl trace_on`` does (https://www.rabbitmq.com/docs/firehose): with the keys
        ``publish.EXCHANGE`` and ``deliver.QUEUE``.

        Raises:
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            self._hub.firehose.trace(find_vhost(node, _name(node, vhost)), True)

    def trace_off(self, vhost: str | None = None) -> None:
        """Undo :meth:`trace_on`.

        Raises:
            LookupError: there is no such virtual host.
        """
        with self._change() as node:
            self._hub.firehose.trace(find_vhost(node, _name(node, vhost)), False)

    # stopping and starting

    def stop(self) -> None:
        """Stop as ``rabbitmqctl stop_app`` does, until :meth:`start`: connections end with 320 (RESTART-01), and
        nobody gets a new one: connecting is refused, in-process and over TCP. The ports stay the broker's own. Again it
        does nothing.

        What RabbitMQ has on disk stays: durable exchanges and queues, bindings between them, persistent messages. Of
        the rest, 4.3 keeps exchanges (RESTART-12). Users, virtual hosts and alarms stay too.

        Raises:
            RuntimeError: the broker is closed.
        """
        stopping.stop(self._hub)

    def start(self) -> None:
        """Go on after :meth:`stop`; what has expired meanwhile is dropped (RESTART-07). A broker that runs goes on.

        Raises:
            RuntimeError: the broker is closed, or the listener has died.
        """
        stopping.start(self._hub)

    def restart(self, downtime: float = 0.0) -> None:
        """:meth:`stop` and :meth:`start`, with ``downtime`` seconds between them, on a :class:`ManualClock`.

        Raises:
            RuntimeError: the broker is closed.
            TypeError: the clock is none that can be moved.
        """
        stopping.restart(self._hub, downtime)
