"""Which routing keys a user may use at a topic exchange (PERM-12)."""

from hutch.client import Connection
from hutch.conformance.case import case
from hutch.conformance.permitted import Attempt, access_text, handled, publishing
from hutch.conformance.rabbit import Rabbit


def _text(rabbit: Rabbit, permission: str, key: str, exchange: str, user: str) -> str:
    return access_text(rabbit, permission, f"topic '{key}' in exchange '{exchange}'", user)


def _permitted(connection: Connection, *attempts: Attempt) -> None:
    channel = connection.channel()
    for attempt in attempts:
        attempt(channel)
        handled(channel)
    channel.close()


@case("PERM-12")
def publishing_needs_the_topic(rabbit: Rabbit) -> None:
    """If a user has topic permissions for a topic exchange, the write pattern must match the routing key of each
    publish to it. Other exchanges are not concerned, nor exchanges of another type.
    """
    exchange, other = (rabbit.exchange(rabbit.channel(), "topic") for _ in range(2))
    fanout = rabbit.exchange(rabbit.channel(), "fanout")
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    _permitted(connection, publishing(exchange, "r.1"))
    for name in (exchange, fanout):
        rabbit.admin.set_topic_permissions(user, name, "^w\\.", "^r\\.")
    text = _text(rabbit, "write", "r.1", exchange, user)
    rabbit.refused(publishing(exchange, "r.1"), 403, text, (60, 40), connection)
    _permitted(connection, publishing(exchange, "w.1"), publishing(other, "r.1"), publishing(fanout, "r.1"))
    rabbit.admin.clear_topic_permissions(user, exchange)
    _permitted(connection, publishing(exchange, "r.1"))
    rabbit.admin.set_topic_permissions(user, exchange, "", "")
    text = _text(rabbit, "write", "r.2", exchange, user)
    rabbit.refused(publishing(exchange, "r.2"), 403, text, (60, 40), connection)
    rabbit.admin.clear_topic_permissions(user)
    _permitted(connection, publishing(exchange, "r.2"))


@case("PERM-12")
def binding_needs_the_topic(rabbit: Rabbit) -> None:
    """The read pattern must match the routing key of a binding that is made or removed. This is checked before anything
    is found missing.
    """
    channel = rabbit.channel()
    exchange, to, queue = rabbit.exchange(channel, "topic"), rabbit.exchange(channel), rabbit.queue(channel)
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_topic_permissions(user, exchange, "^w\\.", "^r\\.")
    connection = rabbit.connect_as(user)
    refusals: list[tuple[Attempt, tuple[int, int]]] = [
        (lambda channel: channel.queue_bind(queue, exchange, "w.1"), (50, 20)),
        (lambda channel: channel.queue_bind("missing", exchange, "w.1"), (50, 20)),
        (lambda channel: channel.queue_unbind(queue, exchange, "w.1"), (50, 50)),
        (lambda channel: channel.queue_unbind("missing", exchange, "w.1"), (50, 50)),
        (lambda channel: channel.exchange_bind(to, exchange, "w.1"), (40, 30)),
        (lambda channel: channel.exchange_bind("missing", exchange, "w.1"), (40, 30)),
        (lambda channel: channel.exchange_unbind(to, exchange, "w.1"), (40, 40)),
    ]
    for attempt, method in refusals:
        rabbit.refused(attempt, 403, _text(rabbit, "read", "w.1", exchange, user), method, connection)
    _permitted(
        connection,
        lambda channel: channel.queue_bind(queue, exchange, "r.1"),
        lambda channel: channel.queue_unbind(queue, exchange, "r.1"),
        lambda channel: channel.exchange_bind(exchange, to, "w.1"),
    )


@case("PERM-12")
def topics_of_copies(rabbit: Rabbit) -> None:
    """The keys in CC and BCC have to be covered too in 4.x, in 3.x the routing key alone."""
    exchange = rabbit.exchange(rabbit.channel(), "topic")
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_topic_permissions(user, exchange, "^w", "")
    connection = rabbit.connect_as(user)
    for headers, refused in (
        ({"CC": ["r1"]}, "r1"),
        ({"BCC": ["r2"]}, "r2"),
        ({"CC": ["w1", "r1"], "BCC": ["r2"]}, "r1"),
    ):
        attempt = publishing(exchange, "w0", headers=headers)
        if rabbit.profile == "3.10":
            _permitted(connection, attempt)
        else:
            rabbit.refused(attempt, 403, _text(rabbit, "write", refused, exchange, user), (60, 40), connection)
    text = _text(rabbit, "write", "r0", exchange, user)
    rabbit.refused(publishing(exchange, "r0", headers={"CC": ["r1"]}), 403, text, (60, 40), connection)


@case("PERM-12", "PUB-06", "PUB-07")
def topics_among_the_other_checks(rabbit: Rabbit) -> None:
    """4.x looks at a message's expiration and CC before its topic and then at its user_id; 3.x at its topic, its
    user_id and then the rest.
    """
    exchange = rabbit.exchange(rabbit.channel(), "topic")
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_topic_permissions(user, exchange, "^w", "")
    connection = rabbit.connect_as(user)
    topic = (403, _text(rabbit, "write", "r", exchange, user))
    expiration = (406, "invalid expiration 'never': no_integer")
    user_id = (406, f"user_id property set to 'somebody' but authenticated user was '{user}'")
    cc = (406, 'invalid message: {unacceptable_type_in_header,"CC",signedint}')
    attempts: list[tuple[Attempt, tuple[int, str], tuple[int, str]]] = [
        (publishing(exchange, "r", expiration="never"), topic, expiration),
        (publishing(exchange, "r", user_id="somebody"), topic, topic),
        (publishing(exchange, "r", headers={"CC": 5}), topic, cc),
        (publishing(exchange, "w", expiration="never", user_id="somebody"), user_id, expiration),
        (publishing(exchange, "w", headers={"CC": 5}, user_id="somebody"), user_id, cc),
    ]
    for attempt, old, new in attempts:
        rabbit.refused(attempt, *rabbit.by_profile({"3.10": old, "4.3": new}), (60, 40), connection)


@case("PERM-12")
def variables_in_topic_permissions(rabbit: Rabbit) -> None:
    """The user's and the virtual host's name can stand in a topic permission; what other braces hold stands for itself.

    (An empty permission covers the empty key alone.)
    """
    exchange, queue = rabbit.exchange(rabbit.channel(), "topic"), rabbit.queue(rabbit.channel())
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_topic_permissions(user, exchange, "^{username}\\.{vhost}\\.{queue}$", "")
    connection = rabbit.connect_as(user)
    key = f"{user}.{rabbit.vhost}.{{queue}}"
    _permitted(connection, publishing(exchange, key), lambda channel: channel.queue_bind(queue, exchange, ""))
    for wrong in (f"{user}.other.{{queue}}", f"{user}.{rabbit.vhost}.{queue}"):
        text = _text(rabbit, "write", wrong, exchange, user)
        rabbit.refused(publishing(exchange, wrong), 403, text, (60, 40), connection)
    text = _text(rabbit, "read", "k", exchange, user)
    rabbit.refused(lambda channel: channel.queue_bind(queue, exchange, "k"), 403, text, (50, 20), connection)


@case("PERM-01", "PERM-12")
def what_only_pcre_has(rabbit: Rabbit) -> None:
    """A permission may be told in all that PCRE has: literal text, POSIX classes, names, flags that hold from somewhere
    on, possessive quantifiers, classes of white space, ends of the text.
    """
    exchange = rabbit.exchange(rabbit.channel(), "topic")
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    for pattern, covered, others in (
        (r"^\Qa.(b\E.$", ["a.(bc"], ["ax(bc", "a.(b"]),
        (r"^\Qa|b", ["a|b"], ["b"]),
        (r"^\Qab\E+$", ["abb"], ["abab"]),
        (r"^[\Qa-c]\E]$", ["a", "-", "]"], ["b"]),
        (r"^a\Eb$", ["ab"], []),
        (r"^[[:alpha:]]+$", ["Ab"], ["a1"]),
        (r"^[[:lower:][:digit:]_-]+$", ["a-1_"], ["A", "a b"]),
        (r"^[^[:punct:][:space:]]$", ["a"], ["-", "_", "]", "\v", " "]),
        (r"^[]a]$", ["]", "a"], ["["]),
        (r"^a(?i)b$", ["ab", "aB"], ["AB"]),
        (r"^(?<n>a|b)\k<n>$", ["aa", "bb"], ["ab"]),
        (r"^a++b$", ["aab"], ["aa"]),
        (r"^a++ab$", [], ["aab"]),
        (r"^(?>a+)b$", ["aab"], ["aa"]),
        (r"^a\hb$", ["a b", "a\tb"], ["a\nb", "ab"]),
        (r"^a[\v]b$", ["a\nb", "a\vb", "a\fb", "a\rb"], ["a b", "a\tb"]),
        (r"^a\Z", ["a", "a\n"], ["a\n\n", "ab"]),
        (r"^a\z", ["a"], ["a\n", "ab"]),
        (r"^\e\[", ["\x1b["], ["e["]),
    ):
        rabbit.admin.set_topic_permissions(user, exchange, pattern, "")
        _permitted(connection, *(publishing(exchange, key) for key in covered))
        for key in others:
            text = _text(rabbit, "write", key, exchange, user)
            rabbit.refused(publishing(exchange, key), 403, text, (60, 40), connection)


@case("PERM-11", "PERM-12")
def channels_remember_topics(rabbit: Rabbit) -> None:
    """A channel goes on with the last twelve routing keys that its user was permitted."""
    exchange = rabbit.exchange(rabbit.channel(), "topic")
    user = rabbit.admin.add_permitted_user()
    rabbit.admin.set_topic_permissions(user, exchange, ".*", ".*")
    channel = rabbit.connect_as(user).channel()
    for number in range(14):
        publishing(exchange, f"key{number}")(channel)
    handled(channel)
    rabbit.admin.set_topic_permissions(user, exchange, "", "")
    for number in range(13, 1, -1):
        publishing(exchange, f"key{number}")(channel)
        handled(channel)
    with rabbit.expect_channel_error(channel, 403, _text(rabbit, "write", "key1", exchange, user), (60, 40)):
        publishing(exchange, "key1")(channel)


@case("PERM-12")
def topics_of_a_deleted_exchange(rabbit: Rabbit) -> None:
    """3.x keeps topic permissions for an exchange that was deleted and declared again; in 4.x they go with it, however
    it comes to be deleted, and nobody can have some for an exchange that is not there.
    """
    channel = rabbit.channel()
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    exchange, auto_delete = rabbit.exchange(channel, "topic"), rabbit.exchange(channel, "topic", auto_delete=True)
    for name in (exchange, auto_delete):
        rabbit.admin.set_topic_permissions(user, name, "", "")
    channel.exchange_delete(exchange)
    if rabbit.profile == "4.3":
        rabbit.admin.expect_refused(lambda: rabbit.admin.set_topic_permissions(user, exchange, "", ""))
    queue = rabbit.queue(channel)
    channel.queue_bind(queue, auto_delete)
    channel.queue_unbind(queue, auto_delete)
    for name in (exchange, auto_delete):
        rabbit.exchange(channel, "topic", name)
        if rabbit.profile == "3.10":
            text = _text(rabbit, "write", "k", name, user)
            rabbit.refused(publishing(name, "k"), 403, text, (60, 40), connection)
        else:
            _permitted(connection, publishing(name, "k"))


@case("PERM-11", "PERM-12")
def channels_remember_topics_that_nobody_asked_about(rabbit: Rabbit) -> None:
    """A channel also remembers up to twelve routing keys that it used while its user had no topic permissions."""
    exchange, queue = rabbit.exchange(rabbit.channel(), "topic"), rabbit.queue(rabbit.channel())
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user)
    channel, other = connection.channel(), connection.channel()
    for number in range(13):
        publishing(exchange, f"key{number}")(channel)
        other.queue_bind(queue, exchange, f"key{number}")
    handled(channel)
    rabbit.admin.set_topic_permissions(user, exchange, "", "")
    for number in range(12, 0, -1):
        publishing(exchange, f"key{number}")(channel)
        handled(channel)
        other.queue_bind(queue, exchange, f"key{number}")
    with rabbit.expect_channel_error(channel, 403, _text(rabbit, "write", "key0", exchange, user), (60, 40)):
        publishing(exchange, "key0")(channel)
    with rabbit.expect_channel_error(other, 403, _text(rabbit, "read", "key0", exchange, user), (50, 20)):
        other.queue_bind(queue, exchange, "key0")
