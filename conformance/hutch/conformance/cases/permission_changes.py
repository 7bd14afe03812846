"""What permissions cover, what becomes of them when they change, and tags (PERM)."""

from collections.abc import Callable

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.permitted import access_text, expect_access_refused, handled, publishing
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp


@case("PERM-01")
def permissions_are_regular_expressions(rabbit: Rabbit) -> None:
    """A permission is searched for in the name, unless anchored; upper and lower case matter, and an empty one permits
    nothing.
    """
    _expect_permitted(
        rabbit,
        "inbox.é",
        ("box", True),
        ("Box", False),
        ("(?i)BOX", True),
        ("^box", False),
        ("^in.*é$", True),
        ("^(out|in)box\\.", True),
        ("^inbox\\...$", True),  # é is two bytes
        ("^inbox\\..$", False),
        ("", False),
    )


def _expect_permitted(rabbit: Rabbit, queue: str, *patterns: tuple[str, bool]) -> None:
    """A queue must be covered by some patterns, and not by others."""
    rabbit.queue(rabbit.channel(), queue)
    user = rabbit.admin.add_permitted_user()
    for pattern, permitted in patterns:
        rabbit.admin.set_permissions(user, "", "", pattern)
        connection = rabbit.connect_as(user)
        if permitted:
            connection.channel().queue_purge(queue)
        else:
            expect_access_refused(
                rabbit,
                connection,
                user,
                [(lambda channel: channel.queue_purge(queue), "read", f"queue '{queue}'", (50, 30))],
            )


@case("PERM-01")
def letters_in_permissions(rabbit: Rabbit) -> None:
    """The letters are ASCII's; 3.x takes each byte of a name for a character of Latin-1, of which some are letters."""
    older = rabbit.profile == "3.10"
    _expect_permitted(
        rabbit,
        "Ãß-1",  # bytes: C3 83, C3 9F
        (r"^\w", older),
        (r"^\W", not older),
        (r"^\w[\w\x83]\w", older),
        (r"^..\b", older),
        (r"-\b\w", True),
        ("^[[:upper:]]", older),
        ("^[[:^upper:]]", not older),
        ("[[:lower:]]", False),
        ("(?i)^[[:lower:]]", older),
        ("^(?i)ã", False),  # bytes: C3 A3
        (r"^.[[:cntrl:]]", older),
        ("^[[:alpha:]][^[:alnum:]]", older),
        (r"[[:digit:]]\z", True),
        (r"^[[:^space:][:punct:]]+$", True),
        ("^[^[:ascii:]]", not older),
        (r"^\V\H\N", True),
        ("[[:<:]]1[[:>:]]", True),
    )


@case("PERM-11")
def channels_remember_permissions(rabbit: Rabbit) -> None:
    """A permission that is taken away counts at once on new channels, and for operations that a channel has not done
    before. A channel may repeat what it has done.
    """
    queue = rabbit.queue(rabbit.channel())
    exchange = rabbit.exchange(rabbit.channel(), "fanout")
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    channel = connection.channel()
    publishing(exchange)(channel)
    channel.basic_get(queue)
    take_away: list[Callable[[], None]] = [
        lambda: rabbit.admin.set_permissions(user, "", "", ""),
        lambda: rabbit.admin.clear_permissions(user),
    ]
    for take in take_away:
        take()
        publishing(exchange)(channel)
        handled(channel)
        channel.basic_get(queue)
        expect_access_refused(
            rabbit, connection, user, [(publishing(exchange), "write", f"exchange '{exchange}'", (60, 40))]
        )
    text = access_text(rabbit, "write", f"queue '{queue}'", user)
    with rabbit.expect_channel_error(channel, 403, text, (50, 20)):
        channel.queue_bind(queue, exchange)
    rabbit.admin.set_permissions(user)
    publishing(exchange)(connection.channel())


@case("PERM-11")
def channels_remember_twelve_permissions(rabbit: Rabbit) -> None:
    """A channel remembers the last twelve permissions that it was granted. Using one again does not make it newer."""
    exchanges = [rabbit.exchange(rabbit.channel(), "fanout") for _ in range(14)]
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    channel = connection.channel()
    for exchange in exchanges:
        publishing(exchange)(channel)
    handled(channel)
    rabbit.admin.set_permissions(user, "", "", "")
    for exchange in exchanges[:1:-1]:
        publishing(exchange)(channel)
        handled(channel)
    with rabbit.expect_channel_error(
        channel, 403, access_text(rabbit, "write", f"exchange '{exchanges[1]}'", user), (60, 40)
    ):
        publishing(exchanges[1])(channel)
    rabbit.admin.set_permissions(user)
    channel = connection.channel()
    for exchange in exchanges[:12]:
        publishing(exchange)(channel)
        publishing(exchanges[0])(channel)
    publishing(exchanges[12])(channel)
    handled(channel)
    rabbit.admin.set_permissions(user, "", "", "")
    with rabbit.expect_channel_error(
        channel, 403, access_text(rabbit, "write", f"exchange '{exchanges[0]}'", user), (60, 40)
    ):
        publishing(exchanges[0])(channel)


@case("PERM-11", "PERM-03", profiles=["4.3"])
def channels_remember_why_they_were_told_of_an_exchange(rabbit: Rabbit) -> None:
    """Of the permissions that let 4.x tell whether an exchange exists, a channel remembers one: configure, else read,
    else write.
    """
    exchange = rabbit.exchange(rabbit.channel(), "fanout")
    for read, remembered in (("other", True), (".*", False)):
        user = rabbit.admin.add_permitted_user("other", ".*", read)
        channel = rabbit.connect_as(user).channel()
        channel.exchange_declare(exchange, "fanout", passive=True)
        rabbit.admin.set_permissions(user, "other", "other", "other")
        channel.exchange_declare(exchange, "fanout", passive=True)
        if remembered:
            publishing(exchange)(channel)
            handled(channel)
            continue
        text = access_text(rabbit, "write", f"exchange '{exchange}'", user)
        with rabbit.expect_channel_error(channel, 403, text, (60, 40)):
            publishing(exchange)(channel)


@case("PERM-11", "CONN-AUTH-13")
def permissions_and_a_new_secret(rabbit: Rabbit) -> None:
    """Connection.update-secret has the channels of 4.x forget what they were permitted; those of 3.x do not."""
    exchange = rabbit.exchange(rabbit.channel(), "fanout")
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    channel = raw.channel()
    channel.publish(b"", exchange)
    channel.expect_nothing()
    rabbit.admin.set_permissions(user, "", "", "")
    channel.publish(b"", exchange)
    channel.expect_nothing()
    raw.send_method(amqp.ConnectionUpdateSecret(b"another", "renewed"))
    raw.expect(amqp.ConnectionUpdateSecretOk)
    channel.publish(b"", exchange)
    if rabbit.profile == "3.10":
        channel.expect_nothing()
    else:
        channel.expect_close(403, access_text(rabbit, "write", f"exchange '{exchange}'", user), (60, 40))


@case("PERM-14")
def permissions_that_are_refused(rabbit: Rabbit) -> None:
    """What is no regular expression is refused, and permissions for a user or in a virtual host that is not there."""
    user = rabbit.admin.add_user()
    rabbit.admin.expect_refused(lambda: rabbit.admin.set_permissions(user, "(", "", ""))
    rabbit.admin.expect_refused(lambda: rabbit.admin.set_topic_permissions(user, "amq.topic", "a", "("))
    rabbit.admin.expect_refused(lambda: rabbit.admin.set_permissions("nobody-of-this-name", "", "", ""))
    rabbit.admin.expect_refused(lambda: rabbit.admin.set_permissions(user, vhost="no-such-vhost"))


@case("PUB-06")
def impersonators(rabbit: Rabbit) -> None:
    """A user with the tag impersonator may publish under any user_id; an administrator may not."""
    queue = rabbit.queue(rabbit.channel())
    for tag in ("impersonator", "administrator"):
        user = rabbit.admin.add_user(tag)
        rabbit.admin.set_permissions(user)
        connection = rabbit.connect_as(user)
        if tag == "impersonator":
            rabbit.publish_confirmed(connection.channel(), b"x", routing_key=queue, user_id="somebody")
        else:
            text = f"user_id property set to 'somebody' but authenticated user was '{user}'"
            rabbit.refused(publishing("", queue, user_id="somebody"), 406, text, (60, 40), connection)
    equal(rabbit.get(rabbit.channel(), queue).properties.get("user_id"), "somebody")
