"""The management API: connections, channels and consumers (HTTP-CONN)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import CRASHED, DONE, NOTHING, row, unauthorised
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp

_NO_USER = "no-such-user-anywhere"
_NO_CONNECTION = "connections/no-such-connection"


def _listed(rabbit: Rabbit, path: str, user: str, login: tuple[str, str] | None = None) -> list[Mapping[str, Any]]:
    """What is told at a path of a user's connection, once it is there: it takes RabbitMQ a moment."""
    found: list[Mapping[str, Any]] = []

    def there() -> bool:
        told = rabbit.http("GET", path, login=login).expect(200)
        found[:] = [each for each in told if each.get("user") == user]
        return bool(found) and all("vhost" in each for each in found)

    rabbit.eventually(there, f"{path} does not show the connection of {user}")
    return found


@case("HTTP-SHAPE-05", "HTTP-EP-012")
def a_connection_listed(rabbit: Rabbit) -> None:
    """A connection is listed with its user, virtual host, ends, and what was agreed on."""
    user = rabbit.admin.add_permitted_user()
    connection = rabbit.connect_as(user, client_properties={"connection_name": "mine"})
    connection.channel()
    (told,) = _listed(rabbit, "connections", user)
    equal((told["user"], told["vhost"], told["protocol"]), (user, rabbit.vhost, "AMQP 0-9-1"))
    equal(told["state"], "running")
    equal(told["user_provided_name"], "mine")
    equal(told["client_properties"]["connection_name"], "mine")
    equal((told["channel_max"], told["frame_max"]), (connection.channel_max, connection.frame_max))
    true(told["auth_mechanism"] in {"AMQPLAIN", "PLAIN"}, f"unexpected mechanism {told['auth_mechanism']}")
    if not rabbit.secure and told["peer_port"]:
        equal(told["name"], f"{told['peer_host']}:{told['peer_port']} -> {told['host']}:{told['port']}")
        equal((told["ssl"], told["ssl_protocol"], told["peer_cert_subject"]), (False, None, None))
    one = rabbit.http("GET", f"connections/{quote(told['name'], safe='')}").expect(200)
    equal(one["name"], told["name"])
    equal(_listed(rabbit, "vhosts/V/connections", user)[0]["name"], told["name"])


@case("HTTP-CONN-01", "HTTP-CONN-03")
def closing_a_connection_over_http(rabbit: Rabbit) -> None:
    """A connection is closed by its name; its client is told 320 and a text."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    (told,) = _listed(rabbit, "connections", user)
    path = f"connections/{quote(told['name'], safe='')}"
    rabbit.http("DELETE", path).expect(204, None)
    raw.expect_close(320, "Closed via management plugin", (0, 0))
    raw.expect_gone()


@case("HTTP-CONN-02")
def closing_a_connection_with_a_reason(rabbit: Rabbit) -> None:
    """The header x-reason has the text that the client is told."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    (told,) = _listed(rabbit, "connections", user)
    path = f"connections/{quote(told['name'], safe='')}"
    rabbit.http("DELETE", path, headers={"X-Reason": "go home"}).expect(204, None)
    raw.expect_close(320, "go home", (0, 0))


@case("HTTP-CONN-02")
def closing_a_connection_with_a_long_reason(rabbit: Rabbit) -> None:
    """A reason that is too long for the wire is cut to 255 bytes with what is before it."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    _listed(rabbit, f"connections/username/{user}", user)
    rabbit.http("DELETE", f"connections/username/{user}", headers={"X-Reason": "x" * 300}).expect(204, None)
    raw.expect_close(320, "x" * 300, (0, 0))


@case("HTTP-CONN-04", "HTTP-SHAPE-06")
def closing_the_connections_of_a_user(rabbit: Rabbit) -> None:
    """All connections of a user are listed in short, and closed at once."""
    user = rabbit.admin.add_permitted_user()
    first, second = rabbit.raw(user), rabbit.raw(user)
    told = _listed(rabbit, f"connections/username/{user}", user)
    equal(sorted(told[0]), ["name", "node", "user", "vhost"])
    rabbit.http("DELETE", f"connections/username/{user}").expect(204, None)
    for raw in (first, second):
        raw.expect_close(320, "Closed via management plugin", (0, 0))


row("HTTP-CONN-04", "connections_of_nobody", "There are none.", ("GET", f"connections/username/{_NO_USER}"), (200, []))
row(
    "HTTP-CONN-04",
    "closing_connections_of_nobody",
    "That is done.",
    ("DELETE", f"connections/username/{_NO_USER}"),
    DONE,
)
row("HTTP-CONN-03", "no_connection", "There is no such connection.", ("GET", _NO_CONNECTION), NOTHING)
row("HTTP-CONN-03", "closing_no_connection", "There is no such connection.", ("DELETE", _NO_CONNECTION), NOTHING)
row("HTTP-EP-014", "channels_of_no_connection", "That is a crash.", ("GET", f"{_NO_CONNECTION}/channels"), CRASHED)
row("HTTP-EP-020", "no_channel", "There is no such channel.", ("GET", "channels/no-such-channel"), NOTHING)
row(
    "HTTP-EP-016",
    "connections_of_another_user",
    "The connections of another user are that user's affair: 3.10 crashes.",
    ("GET", f"connections/username/{_NO_USER}"),
    {"3.10": CRASHED, "4.3": unauthorised("User not authorised to access object")},
    user=["management"],
)


@case("HTTP-AUTH-06", "HTTP-AUTH-17")
def a_connection_of_another_user(rabbit: Rabbit) -> None:
    """A user without the tag monitoring sees only the connections of that user, and cannot close others."""
    user, stranger = rabbit.admin.add_permitted_user(), rabbit.admin.add_user("management")
    rabbit.admin.set_permissions(stranger)
    rabbit.raw(user)
    (told,) = _listed(rabbit, "connections", user)
    login = (stranger, PASSWORD)
    equal(rabbit.http("GET", "connections", login=login).expect(200), [])
    for method in ("GET", "DELETE"):
        answer = rabbit.http(method, f"connections/{quote(told['name'], safe='')}", login=login)
        answer.expect_refused(401, "not_authorised", "User not authorised to access object")


@case("HTTP-SHAPE-07", "HTTP-EP-019")
def a_channel_listed(rabbit: Rabbit) -> None:
    """A channel is listed with its number, modes and counts."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    channel = raw.channel()
    channel.call(amqp.ConfirmSelect())
    channel.call(amqp.BasicQos(prefetch_count=5))
    channel.call(amqp.QueueDeclare(queue="q"))
    channel.call(amqp.BasicConsume(queue="q", consumer_tag="tag"))
    (told,) = _listed(rabbit, "channels", user)
    equal((told["number"], told["vhost"], told["transactional"]), (channel.number, rabbit.vhost, False))

    def shown() -> bool:
        now = rabbit.http("GET", f"channels/{quote(told['name'], safe='')}").expect(200)
        if not now["connection_details"] or "confirm" not in now:
            return False
        equal(now["name"], f"{now['connection_details']['name']} ({channel.number})")
        details = [each["consumer_tag"] for each in now["consumer_details"]]
        return (now["confirm"], now["prefetch_count"], now["consumer_count"], details) == (True, 5, 1, ["tag"])

    rabbit.eventually(shown, "the channel does not show its modes and its consumer")


@case("HTTP-SHAPE-08", "HTTP-EP-021")
def a_consumer_listed(rabbit: Rabbit) -> None:
    """A consumer is listed with its queue, channel and settings."""
    http = rabbit.http
    raw = rabbit.raw()
    channel = raw.channel()
    channel.call(amqp.BasicQos(prefetch_count=5))
    channel.call(amqp.QueueDeclare(queue="q"))
    channel.call(amqp.BasicConsume(queue="q", consumer_tag="tag", no_ack=True, arguments={"x-priority": 3}))
    found: list[Mapping[str, Any]] = []

    def there() -> bool:
        found[:] = http("GET", "consumers/V").expect(200)
        return bool(found) and bool(found[0]["channel_details"])

    rabbit.eventually(there, "the consumer is not listed")
    (told,) = found
    equal(told["queue"], {"name": "q", "vhost": rabbit.vhost})
    equal((told["consumer_tag"], told["ack_required"], told["exclusive"]), ("tag", False, False))
    equal((told["prefetch_count"], told["arguments"]), (5, {"x-priority": 3}))
    equal((told["active"], told["activity_status"]), (True, "up"))
    equal(told["channel_details"]["number"], channel.number)
