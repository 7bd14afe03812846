"""Limits that an operator sets for a user or a virtual host: connections, channels, queues (CONN-OPEN, CONN-CHAN)."""

from hutch.client import AMQPError
from hutch.conformance.case import case
from hutch.conformance.check import equal, reply_text
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import RawConnection
from hutch.wire import methods as amqp

_PSEUDO = "amq.rabbitmq.reply-to"


def _opening(rabbit: Rabbit, user: str | None, vhost: str | None = None) -> RawConnection:
    """A connection that has just sent connection.open."""
    raw = rabbit.raw_unopened(user)
    raw.start()
    raw.log_in()
    raw.tune()
    raw.send_method(amqp.ConnectionOpen(rabbit.vhost if vhost is None else vhost))
    return raw


def _fills_up(rabbit: Rabbit, user: str, limit: int, text: str) -> None:
    """So many more connections of the user can be opened, and then one is refused with 530; a live broker may count
    late.
    """
    for _ in range(limit):
        _opening(rabbit, user).expect(amqp.ConnectionOpenOk)

    def refused() -> bool:
        item = _opening(rabbit, user).read_on(0)
        if isinstance(item, amqp.ConnectionOpenOk):
            return False
        equal(item, amqp.ConnectionClose(530, reply_text(530, text), 10, 40))
        return True

    rabbit.eventually(refused, f"more than {limit} connections were opened")


@case("CONN-OPEN-04")
def connections_of_a_virtual_host(rabbit: Rabbit) -> None:
    """A virtual host takes no more connections than its limit, of all users together. 0 keeps everyone out, and -1 is
    no limit.
    """
    user = rabbit.admin.add_permitted_user()

    def text(limit: int) -> str:
        return f"access to vhost '{rabbit.vhost}' refused for user '{user}': connection limit ({limit}) is reached"

    rabbit.admin.set_vhost_limit("max-connections", 0)
    _opening(rabbit, user).expect_close(530, text(0), (10, 40))
    rabbit.admin.set_vhost_limit("max-connections", -1)
    rabbit.raw().expect_alive()
    rabbit.admin.set_vhost_limit("max-connections", 2)
    _fills_up(rabbit, user, 1, text(2))
    rabbit.admin.clear_vhost_limit("max-connections")
    rabbit.raw(user).expect_alive()


@case("CONN-OPEN-05")
def connections_of_a_user(rabbit: Rabbit) -> None:
    """A user has no more connections than the limit; those that are open when it is set stay open."""
    user = rabbit.admin.add_permitted_user()

    def text(limit: int) -> str:
        return f"connection refused for user '{user}': user connection limit ({limit}) is reached"

    rabbit.admin.set_user_limit(user, "max-connections", 2)
    _fills_up(rabbit, user, 2, text(2))
    rabbit.raw().expect_alive()
    rabbit.admin.clear_user_limit(user, "max-connections")
    older = rabbit.raw(user)
    rabbit.admin.set_user_limit(user, "max-connections", 0)
    _opening(rabbit, user).expect_close(530, text(0), (10, 40))
    older.expect_alive()
    rabbit.admin.set_user_limit(user, "max-connections", -1)
    rabbit.raw(user).expect_alive()


@case("CONN-OPEN-02", "CONN-OPEN-03", "CONN-OPEN-04", "CONN-OPEN-05")
def what_is_looked_at_first_when_opening(rabbit: Rabbit) -> None:
    """The checks are, in this order: the virtual host exists, its limit, the user's limit, permissions."""
    user = rabbit.admin.add_user()
    rabbit.admin.set_vhost_limit("max-connections", 0)
    rabbit.admin.set_user_limit(user, "max-connections", 0)
    _opening(rabbit, user, "no-such-vhost").expect_close(530, "vhost no-such-vhost not found", (10, 40))
    where = f"access to vhost '{rabbit.vhost}' refused for user '{user}'"
    _opening(rabbit, user).expect_close(530, f"{where}: connection limit (0) is reached", (10, 40))
    rabbit.admin.clear_vhost_limit("max-connections")
    text = f"connection refused for user '{user}': user connection limit (0) is reached"
    _opening(rabbit, user).expect_close(530, text, (10, 40))
    rabbit.admin.clear_user_limit(user, "max-connections")
    _opening(rabbit, user).expect_close(530, where, (10, 40))


@case("CONN-CHAN-03")
def channels_of_a_user(rabbit: Rabbit) -> None:
    """A user has no more channels than the limit, on all connections together; one too many ends its connection."""
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_user_limit(user, "max-channels", 2)
    rabbit.raw(user).channel()
    second = rabbit.raw(user)
    channel = second.channel()
    limit = rabbit.by_profile({"3.10": "(2)", "4.3": "2"})
    text = f"number of channels opened for user '{user}' has reached the maximum allowed user limit of {limit}"

    def refused() -> bool:
        third = rabbit.raw(user)
        third.send_method(amqp.ChannelOpen(), 1)
        item = third.read()[1]
        third.close()
        if isinstance(item, amqp.ChannelOpenOk):
            return False
        equal(item, amqp.ConnectionClose(530, reply_text(530, text), 0, 0))
        return True

    # RabbitMQ answers channel.open before it counts the channel.
    rabbit.eventually(refused, "more than two channels were opened")
    channel.close()
    rabbit.eventually(lambda: not refused(), "a channel that was closed still counts")
    rabbit.admin.set_user_limit(user, "max-channels", -1)
    second.expect_alive()


@case("CONN-CHAN-03", "CONN-CHAN-01")
def channel_max_counts_before_the_limit_of_a_user(rabbit: Rabbit) -> None:
    """If channel_max is reached as well, the refusal names channel_max."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user, channel_max=1)
    raw.channel(1)
    rabbit.admin.set_user_limit(user, "max-channels", 0)
    raw.send_method(amqp.ChannelOpen(), 2)
    raw.expect_close(530, "number of channels opened (1) has reached the negotiated channel_max (1)", (0, 0))


@case("QUEUE-DECLARE-27")
def queues_of_a_virtual_host(rabbit: Rabbit) -> None:
    """A virtual host takes no more queues than its limit, exclusive and server-named ones among them; those that are
    there can be declared again.
    """
    rabbit.admin.set_vhost_limit("max-queues", 1)
    channel = rabbit.channel()
    queue = rabbit.queue(channel)

    def text(name: str, limit: int = 1) -> str:
        return f"cannot declare queue '{name}': queue limit in vhost '{rabbit.vhost}' ({limit}) is reached"

    rabbit.queue(channel, queue)
    rabbit.refused(lambda channel: rabbit.queue(channel, "more"), 406, text("more"), (50, 10))
    rabbit.refused(lambda channel: rabbit.queue(channel, "more", exclusive=True), 406, text("more"), (50, 10))
    differs = (
        f"inequivalent arg 'durable' for queue '{queue}' in vhost '{rabbit.vhost}': received 'true' but current is "
    )
    rabbit.refused(lambda channel: rabbit.queue(channel, queue, durable=True), 406, f"{differs}'false'", (50, 10))
    try:
        rabbit.queue(rabbit.channel(), "")
    except AMQPError as error:
        name = (error.reply_text or "").split("'")[1]
        equal((error.reply_code, error.reply_text), (406, reply_text(406, text(name))))
        equal(name[:8], "amq.gen-")
    else:
        raise AssertionError("a second queue was declared")
    rabbit.admin.set_vhost_limit("max-queues", 0)
    rabbit.refused(lambda channel: rabbit.queue(channel, "more"), 406, text("more", 0), (50, 10))
    rabbit.admin.set_vhost_limit("max-queues", -1)
    rabbit.queue(channel, "more")
    rabbit.admin.set_vhost_limit("max-queues", 1)
    channel.queue_delete("more")
    rabbit.refused(lambda channel: rabbit.queue(channel, "more"), 406, text("more"), (50, 10))
    channel.queue_delete(queue)
    rabbit.queue(channel, "more")


@case("QUEUE-DECLARE-27", "RPC-11")
def the_pseudo_queue_where_the_limit_is_reached(rabbit: Rabbit) -> None:
    """Where a virtual host takes no more queues, 4.x closes the connection with 541 when the pseudo queue of direct
    reply-to is declared, passively too. Replies can be consumed, and the pseudo queue deleted. 3.x does not look at the
    limit there.
    """
    queue = rabbit.name()
    rabbit.raw().channel().call(amqp.QueueDeclare(queue=queue, exclusive=True))
    rabbit.admin.set_vhost_limit("max-queues", 2)
    channel = rabbit.raw().channel()
    equal(channel.call(amqp.QueueDeclare(queue=_PSEUDO)), amqp.QueueDeclareOk(_PSEUDO, 0, 1))
    rabbit.admin.set_vhost_limit("max-queues", 1)
    for passive in (False, True):
        channel = rabbit.raw().channel()
        channel.call(amqp.BasicConsume(queue=_PSEUDO, no_ack=True))
        equal(channel.call(amqp.QueueDelete(queue=_PSEUDO)), amqp.QueueDeleteOk(0))
        channel.send(amqp.QueueDeclare(queue=_PSEUDO, passive=passive))
        if rabbit.profile == "4.3":
            channel.connection.expect_close(541, "", (0, 0))
        else:
            equal(channel.read(), amqp.QueueDeclareOk(_PSEUDO, 0, 1))


@case("QUEUE-DECLARE-27", "PERM-09")
def the_limit_of_queues_among_the_other_checks(rabbit: Rabbit) -> None:
    """3.x looks at the limit of queues right after the permission to configure; 4.x after a queue's arguments too, and
    the permissions that these need.
    """
    rabbit.admin.set_vhost_limit("max-queues", 0)
    user = rabbit.admin.add_permitted_user("^q", "", "")
    connection = rabbit.connect_as(user)
    named = rabbit.by_profile({"3.10": "", "4.3": "configure "})
    text = f"{named}access to queue 'other' in vhost '{rabbit.vhost}' refused for user '{user}'"
    rabbit.refused(lambda channel: rabbit.queue(channel, "other"), 403, text, (50, 10), connection)
    limit = (406, f"cannot declare queue 'q': queue limit in vhost '{rabbit.vhost}' (0) is reached")
    where = f"in queue 'q' in vhost '{rabbit.vhost}'"
    refusals: list[tuple[dict[str, object], tuple[int, str]]] = [
        ({"x-max-length": -1}, (406, f"invalid arg 'x-max-length' for {where[3:]}: {{value_negative,-1}}")),
        ({"x-dead-letter-exchange": 5}, (406, f"invalid type 'signedint' for arg 'x-dead-letter-exchange' {where}")),
        (
            {"x-dead-letter-exchange": "x"},
            (403, f"read access to queue 'q' in vhost '{rabbit.vhost}' refused for user '{user}'"),
        ),
    ]
    for arguments, later in refusals:
        code, text = rabbit.by_profile({"3.10": limit, "4.3": later})
        channel = rabbit.channel(connection)
        with rabbit.expect_channel_error(channel, code, text, (50, 10)):
            rabbit.queue(channel, "q", arguments=arguments)
