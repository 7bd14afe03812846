"""What the cases about permissions share: the refusals, and publishing as something to attempt."""

from collections.abc import Callable, Iterable

from hutch.client import Channel, Connection, Message
from hutch.conformance.rabbit import Rabbit

Attempt = Callable[[Channel], object]


def access_text(rabbit: Rabbit, permission: str, what: str, user: str) -> str:
    """Why a user is refused: 4.x says which permission is missing."""
    named = rabbit.by_profile({"3.10": "", "4.3": f"{permission} "})
    return f"{named}access to {what} in vhost '{rabbit.vhost}' refused for user '{user}'"


def expect_access_refused(
    rabbit: Rabbit,
    connection: Connection,
    user: str,
    refusals: Iterable[tuple[Attempt, str, str, tuple[int, int]]],
) -> None:
    """Each attempt must be refused with 403 for want of this permission on this thing, told of this method."""
    for attempt, permission, what, method in refusals:
        rabbit.refused(attempt, 403, access_text(rabbit, permission, what, user), method, connection)


def publishing(exchange: str, routing_key: str = "", **properties: object) -> Attempt:
    """What publishes an empty message."""
    if "headers" in properties:
        properties["application_headers"] = properties.pop("headers")
    return lambda channel: channel.basic_publish(Message(b"", **properties), exchange, routing_key)


def handled(channel: Channel) -> None:
    """Return when the broker has handled what was published."""
    channel.basic_qos(0, 0, False)
