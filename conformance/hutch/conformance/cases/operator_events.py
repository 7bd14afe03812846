"""Events of users, permissions, virtual hosts, limits and policies, as the plugin rabbitmq_event_exchange publishes
them. Who did it is the management API's login, or rabbitmqctl, and is not compared.
"""

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, typed
from hutch.conformance.listener import Listener
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, Float32, Int64

_PREDECLARED = (
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
    ("amq.rabbitmq.trace", "topic"),
    ("amq.topic", "topic"),
)


@case("EXCH-SYS-01")
def users_have_events(rabbit: Rabbit) -> None:
    """Tags have an event for a new user with tags, and with each new password, changed or not. Taking a password away
    has no event.
    """
    listener, admin = Listener(rabbit, "user.#"), rabbit.admin
    tagged, plain = admin.add_user("one", "two"), admin.add_user()
    admin.change_user(plain, PASSWORD)
    admin.change_user(plain, None, "tag")
    admin.change_user(plain, "other", "tag")
    for user in (tagged, plain):
        admin.delete_user(user)
    listener.expect_by_operator(
        tagged, ("user.created", {"name": tagged}), ("user.tags.set", {"name": tagged, "tags": ["one", "two"]})
    )
    listener.expect_by_operator(
        plain,
        ("user.created", {"name": plain}),
        ("user.password.changed", {"name": plain}),
        ("user.tags.set", {"name": plain, "tags": []}),
        ("user.password.changed", {"name": plain}),
        ("user.tags.set", {"name": plain, "tags": ["tag"]}),
        ("user.deleted", {"name": plain}),
    )


@case("EXCH-SYS-01")
def permissions_have_events(rabbit: Rabbit) -> None:
    """3.x calls it permission.deleted when topic permissions for one exchange go."""
    listener, admin, user = Listener(rabbit, "#"), rabbit.admin, rabbit.admin.add_user()
    for _ in range(2):
        admin.set_permissions(user, "c", "w", "r")
    admin.clear_permissions(user)
    for exchange in ("amq.topic", "amq.direct"):
        admin.set_topic_permissions(user, exchange, "w", "r")
    admin.clear_topic_permissions(user, "amq.topic")
    admin.clear_topic_permissions(user)
    whose: FieldTable = {"user": user, "vhost": rabbit.vhost}
    granted = ("permission.created", {**whose, "configure": "c", "write": "w", "read": "r"})
    topics: FieldTable = {**whose, "write": "w", "read": "r"}
    one = rabbit.by_profile({"3.10": "permission.deleted", "4.3": "topic.permission.deleted"})
    listener.expect_by_operator(
        user,
        ("user.created", {"name": user}),
        granted,
        granted,
        ("permission.deleted", whose),
        ("topic.permission.created", {**topics, "exchange": "amq.topic"}),
        ("topic.permission.created", {**topics, "exchange": "amq.direct"}),
        (one, whose),
        ("topic.permission.deleted", whose),
    )


@case("EXCH-SYS-01", "PERM-12", profiles=["3.10"])
def topic_permissions_for_an_exchange_that_is_not_there(rabbit: Rabbit) -> None:
    """3.x takes them, and tells of them."""
    listener, admin, user = Listener(rabbit, "topic.permission.*"), rabbit.admin, rabbit.admin.add_user()
    admin.set_topic_permissions(user, "nothing", "w", "r")
    facts: FieldTable = {"user": user, "vhost": rabbit.vhost, "exchange": "nothing", "write": "w", "read": "r"}
    listener.expect_by_operator(user, ("topic.permission.created", facts))


@case("EXCH-SYS-01")
def limits_have_events(rabbit: Rabbit) -> None:
    """Limits of a virtual host are a parameter, whose event in 3.x does not name the virtual host. Clearing a user's
    limit has an event, even if there was no limit.
    """
    listener, admin, user = Listener(rabbit, "#"), rabbit.admin, rabbit.admin.add_user()
    admin.set_vhost_limit("max-queues", 5)
    admin.set_vhost_limit("max-connections", -1)
    for _ in range(2):
        admin.clear_vhost_limit("max-queues")
    admin.clear_vhost_limit("max-connections")
    admin.set_user_limit(user, "max-channels", 7)
    for limit in ("max-channels", "max-connections"):
        admin.clear_user_limit(user, limit)
    of: FieldTable = {"vhost": rabbit.vhost, "name": "limits"}
    queues, connections = {"max-queues": Int64(5)}, {"max-connections": Int64(-1)}
    for limits in (queues, {**queues, **connections}, connections, {}):
        parameter: FieldTable = {**of, "component": "vhost-limits", "value": limits or []}
        listener.expect_by_operator(rabbit.vhost, ("parameter.set", parameter))
        if rabbit.profile == "4.3":
            listener.expect_by_operator(rabbit.vhost, ("vhost.limits.set", {**limits, **of}))
    whose: FieldTable = {"username": user, "name": "limits"}
    cleared = ("user.limits.cleared", whose)
    listener.expect_by_operator(user, ("user.limits.set", {"max-channels": Int64(7), **whose}), cleared, cleared)


@case("EXCH-SYS-01", "POLICY-01")
def policies_have_events(rabbit: Rabbit) -> None:
    """A definition is a table, its numbers of 64 bits, a priority with a point of 32. An operator policy is a parameter
    too, and told of as if it were a policy when it is set.
    """
    listener, admin = Listener(rabbit, "#"), rabbit.admin
    admin.set_policy("mine", "^x", {"max-length": 5, "overflow": "drop-head"}, priority=-2, apply_to="queues")
    admin.set_policy("mine", "^x", {"max-length": 6}, priority=1.5)
    admin.delete_policy("mine")
    admin.set_operator_policy("theirs", "^x", {"max-length": 7})
    admin.delete_operator_policy("theirs")
    mine: FieldTable = {"vhost": rabbit.vhost, "name": "mine", "pattern": "^x"}
    definition: FieldTable = {"max-length": Int64(5), "overflow": "drop-head"}
    other: FieldTable = {"definition": {"max-length": Int64(6)}, "priority": Float32(1.5), "apply-to": "all"}
    named: FieldTable = {"vhost": rabbit.vhost, "name": "theirs"}
    parameter: FieldTable = {**named, "component": "operator_policy"}
    theirs: FieldTable = {
        "definition": {"max-length": Int64(7)},
        "priority": Int64(0),
        "apply-to": "all",
        "pattern": "^x",
    }
    listener.expect_by_operator(
        rabbit.vhost,
        ("policy.set", {**mine, "definition": definition, "priority": Int64(-2), "apply-to": "queues"}),
        ("policy.set", {**mine, **other}),
        ("policy.cleared", {"vhost": rabbit.vhost, "name": "mine"}),
        ("parameter.set", {**parameter, "value": theirs}),
        ("policy.set", {**named, **theirs}),
        ("parameter.cleared", parameter),
        ("operator.policy.cleared", named),
    )


@case("EXCH-SYS-01", "POLICY-04")
def queues_tell_of_their_policies(rabbit: Rabbit) -> None:
    """Setting or deleting a policy is an event of each queue to which another policy applies then: with the policy that
    was set, or without any, whichever applies now. A policy that changes nothing is no event.
    """
    listener, admin = Listener(rabbit, "queue.#"), rabbit.admin
    queue = rabbit.queue(rabbit.connect().channel(), "evq", durable=True)
    strong: FieldTable = {"pattern": "^evq$", "definition": {"max-length": Int64(5)}, "priority": Int64(3)}
    operated: FieldTable = {"pattern": "^e", "definition": {"max-length": Int64(9)}, "priority": Int64(0)}
    for _ in range(2):
        admin.set_policy("strong", "^evq$", {"max-length": 5}, priority=3, apply_to="queues")
    admin.set_policy("weak", "^evq$", {"max-length": 6})
    admin.set_operator_policy("operated", "^e", {"max-length": 9}, apply_to="queues")
    admin.delete_operator_policy("operated")
    admin.delete_policy("strong")
    admin.delete_policy("weak")
    of: FieldTable = {"name": queue, "vhost": rabbit.vhost, "type": "rabbit_classic_queue"}
    listener.next(lambda key, headers: key == "queue.created" and headers["vhost"] == rabbit.vhost)
    cleared = ("queue.policy.cleared", of)
    listener.expect_by_operator(
        rabbit.vhost,
        ("queue.policy.updated", {**of, **strong, "apply-to": "queues"}),
        ("queue.policy.updated", {**of, **operated, "apply-to": "queues"}),
        cleared,
        cleared,
        cleared,
    )


@case("EXCH-SYS-01")
def virtual_hosts_have_events(rabbit: Rabbit) -> None:
    """A new virtual host has events for its exchanges, and for the permissions of the user who makes it."""
    listener, admin = Listener(rabbit, "#"), rabbit.admin
    vhost = admin.add_vhost()
    exchanges = sorted(
        (name, type_) for name, type_ in (_created_exchange(listener, vhost) for _ in range(len(_PREDECLARED)))
    )
    equal(exchanges, sorted(_PREDECLARED))
    for key in ("vhost.created", "vhost.updated"):
        told, headers = listener.next(lambda _, headers: vhost in headers.values())
        # The metadata is a printed Erlang map without a fixed order. The user who acted is not compared.
        equal(headers.pop("metadata")[:2], "#{")
        headers.pop("user_who_performed_action")
        equal(list(headers.pop("cluster_state").values()), ["running"])
        equal((told, typed(headers)), (key, typed(_vhost_facts(rabbit, vhost, key))))
        if key == "vhost.created":
            _expect_permitted(rabbit, listener, vhost)
            admin.change_vhost(vhost, "quorum")


def _expect_permitted(rabbit: Rabbit, listener: Listener, vhost: str) -> list[str]:
    """The next events must give all permissions to whoever made a virtual host, and to the suite's user if that is
    another; the users.
    """
    users: list[str] = []
    while rabbit.userid not in users:
        key, headers = listener.next(lambda _, headers: vhost in headers.values())
        headers.pop("user_who_performed_action")
        users.append(headers.pop("user"))
        permissions = dict.fromkeys(("configure", "write", "read"), ".*")
        equal((key, headers), ("permission.created", {**permissions, "vhost": vhost}))
    return users


def _created_exchange(listener: Listener, vhost: str) -> tuple[str, str]:
    key, headers = listener.next(lambda _, headers: headers.get("vhost") == vhost)
    equal(key, "exchange.created")
    return headers["name"], headers["type"]


def _vhost_facts(rabbit: Rabbit, vhost: str, key: str) -> FieldTable:
    facts: FieldTable = {"name": vhost, "description": "", "tags": [], "tracing": False}
    if rabbit.profile == "3.10":
        return {**facts, "default_queue_type": "undefined"}
    newer: FieldTable = {**facts, "protected_from_deletion": False}
    if key == "vhost.created":
        return {**newer, "default_queue_type": "classic"}
    return {**newer, "default_queue_type": "quorum", "deletion_protection": False}


@case("EXCH-SYS-01")
def a_virtual_host_goes_with_all_that_is_in_it(rabbit: Rabbit) -> None:
    """Each thing in a virtual host is told of when it is deleted, in no certain order; it is down in the end."""
    listener, admin, user = Listener(rabbit, "#"), rabbit.admin, rabbit.admin.add_user()
    vhost = admin.add_vhost()
    listener.next(lambda key, headers: key == "vhost.created" and vhost in headers.values())
    permitted = [user, *_expect_permitted(rabbit, listener, vhost)]
    admin.set_permissions(user, vhost=vhost)
    raw = rabbit.raw(virtual_host=vhost)
    channel = raw.channel()
    for name, auto_delete in (("x", False), ("y", True)):
        channel.call(amqp.ExchangeDeclare(exchange=name, type="fanout", durable=True, auto_delete=auto_delete))
    channel.call(amqp.ExchangeBind(destination="x", source="y"))
    channel.call(amqp.QueueDeclare(queue="q", durable=True))
    raw.close()
    listener.next(lambda key, headers: key == "queue.created" and headers["vhost"] == vhost)
    admin.delete_vhost(vhost)
    of: FieldTable = {"vhost": vhost}
    binding: FieldTable = {
        **of,
        "source_kind": "exchange",
        "source_name": "y",
        "destination_kind": "exchange",
        "destination_name": "x",
        "routing_key": "",
        "arguments": [],
    }
    more: FieldTable = rabbit.by_profile({"3.10": {}, "4.3": {"type": "rabbit_classic_queue"}})
    wanted: list[tuple[str, FieldTable]] = [
        *(("permission.deleted", {**of, "user": each}) for each in permitted),
        ("queue.deleted", {**of, "name": "q", **more}),
        ("binding.deleted", binding),
        ("vhost.deleted", {"name": vhost}),
        ("vhost.down", {"name": vhost}),
    ]
    for name in ("x", "y", *(name for name, _ in _PREDECLARED)):
        wanted.append(("exchange.deleted", {**of, "name": name}))
        if rabbit.profile == "3.10":
            parameter: FieldTable = {**of, "name": name, "component": "exchange-delete-in-progress"}
            wanted += [("parameter.set", {**parameter, "value": True}), ("parameter.cleared", parameter)]
    got = [listener.next(lambda _, headers: vhost in headers.values()) for _ in wanted]
    for _, headers in got:
        headers.pop("user_who_performed_action")
    equal(sorted(map(_sortable, got)), sorted(map(_sortable, wanted)))


def _sortable(event: tuple[str, FieldTable]) -> tuple[str, str]:
    return event[0], repr(sorted(typed(event[1]).items()))
