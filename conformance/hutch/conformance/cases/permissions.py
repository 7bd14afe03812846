"""Which permission each method needs (PERM): the texts, the order of checks."""

# ruff: noqa: B023  (what is handed to refused() is called before the loop goes on)

from collections.abc import Callable

from hutch.client import AMQPError
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.permitted import Attempt, access_text, expect_access_refused, publishing
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp


@case("PERM-01", "PERM-02")
def configuring_needs_the_configure_permission(rabbit: Rabbit) -> None:
    """Declaring and deleting need the configure permission, whatever else is wrong: with the thing or with the
    arguments.
    """
    channel = rabbit.channel()
    queue, exclusive = rabbit.queue(channel), rabbit.queue(channel, exclusive=True)
    exchange = rabbit.exchange(channel)
    user = rabbit.admin.add_permitted_user("^mine")
    connection = rabbit.connect_as(user)
    bad = {"x-max-length": -1}
    expect_access_refused(
        rabbit,
        connection,
        user,
        [
            (lambda channel: rabbit.queue(channel, queue), "configure", f"queue '{queue}'", (50, 10)),
            (lambda channel: rabbit.queue(channel, exclusive), "configure", f"queue '{exclusive}'", (50, 10)),
            (lambda channel: rabbit.queue(channel, "new", arguments=bad), "configure", "queue 'new'", (50, 10)),
            (lambda channel: channel.queue_delete(queue), "configure", f"queue '{queue}'", (50, 40)),
            (lambda channel: channel.queue_delete(exclusive), "configure", f"queue '{exclusive}'", (50, 40)),
            (lambda channel: channel.queue_delete("missing"), "configure", "queue 'missing'", (50, 40)),
            (
                lambda channel: rabbit.exchange(channel, "fanout", exchange),
                "configure",
                f"exchange '{exchange}'",
                (40, 10),
            ),
            (
                lambda channel: rabbit.exchange(channel, "topic", "new", arguments={"alternate-exchange": 5}),
                "configure",
                "exchange 'new'",
                (40, 10),
            ),
            (lambda channel: channel.exchange_delete(exchange), "configure", f"exchange '{exchange}'", (40, 20)),
            (lambda channel: channel.exchange_delete("missing"), "configure", "exchange 'missing'", (40, 20)),
        ],
    )
    own = connection.channel()
    rabbit.queue(own, "mine")
    rabbit.exchange(own, "fanout", "mine-too")
    own.queue_delete("mine")
    own.exchange_delete("mine-too")
    true(rabbit.has_queue(queue), "the queue is gone")


@case("PERM-02", "EXCH-SYS-01", "EXCH-DEFAULT-01")
def names_are_checked_before_and_after_permissions(rabbit: Rabbit) -> None:
    """Reserved queue names, the default exchange, deletions of system exchanges and unknown types are refused before
    permissions are looked at, reserved exchange names after that.
    """
    user = rabbit.admin.add_permitted_user("")
    connection = rabbit.connect_as(user)
    refusals: list[tuple[Attempt, str, tuple[int, int]]] = [
        (
            lambda channel: rabbit.queue(channel, "amq.q"),
            "queue name 'amq.q' contains reserved prefix 'amq.*'",
            (50, 10),
        ),
        (
            lambda channel: rabbit.exchange(channel, "direct", ""),
            "operation not permitted on the default exchange",
            (40, 10),
        ),
        (lambda channel: channel.exchange_delete(""), "operation not permitted on the default exchange", (40, 20)),
        (
            lambda channel: channel.exchange_delete("amq.topic"),
            f"deletion of system exchange 'amq.topic' in vhost '{rabbit.vhost}' not allowed",
            (40, 20),
        ),
        (
            lambda channel: rabbit.exchange(channel, "direct", "amq.x"),
            access_text(rabbit, "configure", "exchange 'amq.x'", user),
            (40, 10),
        ),
    ]
    for attempt, text, method in refusals:
        rabbit.refused(attempt, 403, text, method, connection)


@case("PERM-04")
def names_the_broker_makes_up_need_a_permission(rabbit: Rabbit) -> None:
    """The name that the broker makes up is looked at as any name is, and told in the refusal."""
    user = rabbit.admin.add_permitted_user("^q")
    connection = rabbit.connect_as(user)
    channel = connection.channel()
    try:
        channel.queue_declare("")
    except AMQPError as error:
        prefix, _, rest = (error.reply_text or "").partition("'amq.gen-")
        wanted = f"ACCESS_REFUSED - {access_text(rabbit, 'configure', 'queue ', user)}"
        equal((error.reply_code, prefix + rest.partition("'")[2]), (403, wanted))
    else:
        raise AssertionError("a server-named queue was declared")
    rabbit.admin.set_permissions(user, "^amq\\.gen")
    rabbit.queue(connection.channel(), "")


@case("PERM-03", profiles=["3.10"])
def passive_declares_need_no_permission(rabbit: Rabbit) -> None:
    """Anybody who may open the virtual host may ask 3.x whether a queue or an exchange is there."""
    channel = rabbit.channel()
    queue, exchange = rabbit.queue(channel), rabbit.exchange(channel)
    connection = rabbit.connect_as(rabbit.admin.add_permitted_user("", "", ""))
    true(rabbit.has_queue(queue, connection), "the queue is not there")
    true(rabbit.has_exchange(exchange, connection), "the exchange is not there")
    true(not rabbit.has_queue("missing", connection), "a missing queue is there")


@case("PERM-03", profiles=["4.3"])
def passive_declares_need_any_permission(rabbit: Rabbit) -> None:
    """4.x tells only who has a permission of any kind on it whether a queue or an exchange is there.

    (The catalogue has the configure permission needed, which is the one that the refusal names.)
    """
    channel = rabbit.channel()
    for name in ("configured", "written", "read", "other"):
        rabbit.queue(channel, name)
        rabbit.exchange(channel, "fanout", name)
    user = rabbit.admin.add_permitted_user("^configured$", "^written$", "^read$")
    connection = rabbit.connect_as(user)
    for name in ("configured", "written", "read"):
        true(rabbit.has_queue(name, connection), f"the queue {name} is not there")
        true(rabbit.has_exchange(name, connection), f"the exchange {name} is not there")
    for name in ("other", "missing"):
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (lambda channel: channel.queue_declare(name, passive=True), "configure", f"queue '{name}'", (50, 10)),
                (
                    lambda channel: channel.exchange_declare(name, "fanout", passive=True),
                    "configure",
                    f"exchange '{name}'",
                    (40, 10),
                ),
            ],
        )


@case("PERM-03", "QUEUE-DECLARE-03", profiles=["4.3"])
def asking_for_a_queue_without_a_name(rabbit: Rabbit) -> None:
    """Without a last declared queue, the permission on the empty name is checked, which the empty pattern grants."""
    user = rabbit.admin.add_permitted_user("", "other", "other")
    true(not rabbit.has_queue("", rabbit.connect_as(user)), "there is a queue without a name")
    user = rabbit.admin.add_permitted_user("amq.default", "other", "other")
    declare = (lambda channel: channel.queue_declare("", passive=True), "configure", "queue ''", (50, 10))
    expect_access_refused(rabbit, rabbit.connect_as(user), user, [declare])


@case("PERM-05")
def taking_messages_needs_the_read_permission(rabbit: Rabbit) -> None:
    """Basic.get, consume and purge need the read permission on the queue, be it there or another's or not."""
    channel = rabbit.channel()
    queue, exclusive = rabbit.queue(channel), rabbit.queue(channel, exclusive=True)
    rabbit.publish_confirmed(rabbit.channel(), b"x", routing_key=queue)
    user = rabbit.admin.add_permitted_user(read="^r")
    connection = rabbit.connect_as(user)
    for name in (queue, exclusive, "missing"):
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (lambda channel: channel.basic_get(name), "read", f"queue '{name}'", (60, 70)),
                (lambda channel: channel.basic_consume(name), "read", f"queue '{name}'", (60, 20)),
                (lambda channel: channel.queue_purge(name), "read", f"queue '{name}'", (50, 30)),
            ],
        )
    equal(rabbit.ready(channel, queue), 1)
    rabbit.admin.set_permissions(user, "", "", ".*")
    true(rabbit.get(connection.channel(), queue), "no message")


@case("PERM-06")
def binding_a_queue_needs_two_permissions(rabbit: Rabbit) -> None:
    """Binding a queue and unbinding it need the write permission on the queue, then read on the exchange; the default
    exchange is refused between the two.
    """
    channel = rabbit.channel()
    queue, exchange = rabbit.queue(channel), rabbit.exchange(channel)
    user = rabbit.admin.add_permitted_user(".*", "^x", "")
    connection = rabbit.connect_as(user)
    attempts: list[tuple[Callable[[str, str], Attempt], tuple[int, int]]] = [
        (lambda name, source: lambda channel: channel.queue_bind(name, source, "k"), (50, 20)),
        (lambda name, source: lambda channel: channel.queue_unbind(name, source, "k"), (50, 50)),
    ]
    for attempt, method in attempts:
        rabbit.admin.set_permissions(user, ".*", "^x", ".*")
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (attempt(name, source), "write", f"queue '{name}'", method)
                for name in (queue, "missing")
                for source in (exchange, "missing", "")
            ],
        )
        rabbit.admin.set_permissions(user, ".*", ".*", "^y")
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (attempt(name, source), "read", f"exchange '{source}'", method)
                for name in (queue, "missing")
                for source in (exchange, "missing")
            ],
        )
        default = "operation not permitted on the default exchange"
        rabbit.refused(attempt(queue, ""), 403, default, method, connection)
    rabbit.admin.set_permissions(user, "", f"^{queue}$", f"^{exchange}$")
    own = connection.channel()
    own.queue_bind(queue, exchange, "k")
    own.queue_unbind(queue, exchange, "k")


@case("PERM-07")
def binding_an_exchange_needs_two_permissions(rabbit: Rabbit) -> None:
    """Binding an exchange and unbinding it need the write permission on the destination, then read on the source."""
    channel = rabbit.channel()
    to, source = rabbit.exchange(channel), rabbit.exchange(channel)
    user = rabbit.admin.add_permitted_user(".*", "^z", "")
    connection = rabbit.connect_as(user)
    attempts: list[tuple[Callable[[str, str], Attempt], tuple[int, int]]] = [
        (lambda name, source: lambda channel: channel.exchange_bind(name, source, "k"), (40, 30)),
        (lambda name, source: lambda channel: channel.exchange_unbind(name, source, "k"), (40, 40)),
    ]
    for attempt, method in attempts:
        rabbit.admin.set_permissions(user, ".*", "^z", ".*")
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (attempt(to, source), "write", f"exchange '{to}'", method),
                (attempt("missing", source), "write", "exchange 'missing'", method),
                (attempt("", source), "write", "exchange 'amq.default'", method),
                (attempt(to, ""), "write", f"exchange '{to}'", method),
            ],
        )
        rabbit.admin.set_permissions(user, ".*", ".*", "^z")
        expect_access_refused(
            rabbit,
            connection,
            user,
            [
                (attempt(to, source), "read", f"exchange '{source}'", method),
                (attempt("missing", "missing"), "read", "exchange 'missing'", method),
            ],
        )
        for pair in (("", source), (to, "")):
            default = "operation not permitted on the default exchange"
            rabbit.refused(attempt(*pair), 403, default, method, connection)


@case("PERM-08")
def an_alternate_exchange_needs_permissions(rabbit: Rabbit) -> None:
    """A new exchange with an alternate exchange needs read on the one and write on the other, which need not be there;
    neither is looked at where the exchange exists.
    """
    existing = rabbit.exchange(rabbit.channel(), "fanout")
    user = rabbit.admin.add_permitted_user(".*", "^w", "^r")
    connection = rabbit.connect_as(user)

    def declare(name: str, alternate: object) -> Attempt:
        return lambda channel: rabbit.exchange(channel, "fanout", name, arguments={"alternate-exchange": alternate})

    expect_access_refused(
        rabbit,
        connection,
        user,
        [
            (declare("new", "w1"), "read", "exchange 'new'", (40, 10)),
            (declare("r1", existing), "write", f"exchange '{existing}'", (40, 10)),
            (declare("r1", "missing"), "write", "exchange 'missing'", (40, 10)),
            (declare("r1", ""), "write", "exchange 'amq.default'", (40, 10)),
        ],
    )
    where = f"in exchange 'new' in vhost '{rabbit.vhost}'"
    kind = f"invalid type 'signedint' for arg 'alternate-exchange' {where}"
    rabbit.refused(declare("new", 5), 406, kind, (40, 10), connection)
    differs = (
        f"inequivalent arg 'alternate-exchange' for exchange '{existing}' in vhost '{rabbit.vhost}': received "
        "the value 'x' of type 'longstr' but current is none"
    )
    rabbit.refused(declare(existing, "x"), 406, differs, (40, 10), connection)
    declare("r1", "w1")(connection.channel())


@case("PERM-09", "DLX-26")
def a_dead_letter_exchange_needs_permissions(rabbit: Rabbit) -> None:
    """A new queue with a dead-letter exchange needs read on the queue and write on the exchange, before its other
    arguments are looked at.
    """
    existing = rabbit.queue(rabbit.channel())
    user = rabbit.admin.add_permitted_user(".*", "^w", "^r")
    connection = rabbit.connect_as(user)

    def declare(name: str, exchange: object, **more: object) -> Attempt:
        arguments: dict[str, object] = {"x-dead-letter-exchange": exchange, **more}
        return lambda channel: rabbit.queue(channel, name, arguments=arguments)

    expect_access_refused(
        rabbit,
        connection,
        user,
        [
            (declare("new", "w1"), "read", "queue 'new'", (50, 10)),
            (declare("new", "w1", **{"x-max-length": -1}), "read", "queue 'new'", (50, 10)),
            (declare("r1", "missing"), "write", "exchange 'missing'", (50, 10)),
            (declare("r1", "missing", **{"x-queue-type": "bogus"}), "write", "exchange 'missing'", (50, 10)),
            (declare("r1", ""), "write", "exchange 'amq.default'", (50, 10)),
        ],
    )
    kind = f"invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'new' in vhost '{rabbit.vhost}'"
    rabbit.refused(declare("new", 5), 406, kind, (50, 10), connection)
    differs = (
        f"inequivalent arg 'x-dead-letter-exchange' for queue '{existing}' in vhost '{rabbit.vhost}': received "
        "the value 'x' of type 'longstr' but current is none"
    )
    rabbit.refused(declare(existing, "x"), 406, differs, (50, 10), connection)
    declare("r1", "w1")(connection.channel())


@case("PERM-10", "EXCH-DEFAULT-07")
def publishing_needs_the_write_permission(rabbit: Rabbit) -> None:
    """Basic.publish needs the write permission on the exchange, be it there or not; the default exchange's name is
    amq.default in that.
    """
    channel = rabbit.channel()
    exchange, queue, internal = rabbit.exchange(channel), rabbit.queue(channel), rabbit.name("internal")
    rabbit.raw().channel().call(amqp.ExchangeDeclare(exchange=internal, type="fanout", internal=True))
    user = rabbit.admin.add_permitted_user(".*", "^w", ".*")
    connection = rabbit.connect_as(user)
    expect_access_refused(
        rabbit,
        connection,
        user,
        [
            (publishing(exchange), "write", f"exchange '{exchange}'", (60, 40)),
            (publishing(exchange, expiration="never"), "write", f"exchange '{exchange}'", (60, 40)),
            (publishing(internal), "write", f"exchange '{internal}'", (60, 40)),
            (publishing("missing"), "write", "exchange 'missing'", (60, 40)),
            (publishing("", queue), "write", "exchange 'amq.default'", (60, 40)),
        ],
    )
    rabbit.admin.set_permissions(user, "", "^amq\\.default$", "")
    rabbit.publish_confirmed(connection.channel(), b"x", routing_key=queue)
    equal(rabbit.bodies(rabbit.channel(), queue), [b"x"])


@case("PERM-10", "TX-03")
def publishing_in_a_transaction_needs_the_write_permission(rabbit: Rabbit) -> None:
    """A transactional channel is refused when it publishes, not when it commits."""
    exchange = rabbit.exchange(rabbit.channel())
    user = rabbit.admin.add_permitted_user(".*", "", ".*")
    channel = rabbit.raw(user).channel()
    channel.call(amqp.TxSelect())
    channel.publish(b"", exchange)
    channel.expect_close(403, access_text(rabbit, "write", f"exchange '{exchange}'", user), (60, 40))


@case("PERM-05", "RPC-01")
def direct_reply_to_needs_no_permission(rabbit: Rabbit) -> None:
    """A user without permissions may consume from the pseudo queue of direct reply-to, and declare it. Other methods
    check permissions as for any queue.
    """
    user = rabbit.admin.add_permitted_user("", "", "")
    connection = rabbit.connect_as(user)
    channel, name = connection.channel(), "amq.rabbitmq.reply-to"
    channel.basic_consume(name, no_ack=True)
    channel.queue_declare(name)
    what = f"queue '{name}'"
    expect_access_refused(
        rabbit,
        connection,
        user,
        [
            (lambda channel: channel.basic_get(name), "read", what, (60, 70)),
            (lambda channel: channel.queue_purge(name), "read", what, (50, 30)),
            (lambda channel: channel.queue_delete(name), "configure", what, (50, 40)),
            (lambda channel: channel.queue_bind(name, "amq.direct", "k"), "write", what, (50, 20)),
            (lambda channel: channel.basic_consume(f"{name}.x"), "read", f"queue '{name}.x'", (60, 20)),
        ],
    )
