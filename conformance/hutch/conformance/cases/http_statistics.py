"""The management API: what is counted of messages, and how fast it grows (HTTP-STAT-09, HTTP-STAT-10)."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from hutch.client import Channel, Message
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit, tag_of

_DELIVERIES = ("ack", "deliver", "deliver_get", "deliver_no_ack", "get", "get_empty", "get_no_ack", "redeliver")
_PUBLISHES = ("publish", "confirm", "return_unroutable", "drop_unroutable")


def _counters(told: Mapping[str, Any]) -> dict[str, int]:
    """The counters of ``message_stats``; each has a rate."""
    stats = told.get("message_stats", {})
    counted = {name: value for name, value in stats.items() if not name.endswith("_details")}
    equal({f"{name}_details" for name in counted}, {name for name in stats if name.endswith("_details")})
    return counted


def _expect(rabbit: Rabbit, path: str, **wanted: int) -> None:
    """Wait until a path has exactly these counters. Of a group that has any, those that are not named are 0."""
    for group in (_DELIVERIES, _PUBLISHES) if not path.startswith(("exchanges", "queues")) else (_DELIVERIES,):
        if any(name in wanted for name in group):
            wanted = {**dict.fromkeys(group, 0), **wanted}
    seen: list[dict[str, int]] = []

    def counted() -> bool:
        seen.append(_counters(rabbit.http("GET", path).expect(200)))
        return seen[-1] == wanted

    rabbit.eventually(counted, lambda: f"{path} has {seen[-1]}, and not {wanted}")


def _path(channel: Channel, rabbit: Rabbit) -> str:
    """The path of a channel, which is the only one of that number in the virtual host."""
    found: list[str] = []

    def listed() -> bool:
        told = rabbit.http("GET", "vhosts/V/channels").expect(200)
        found[:] = [each["name"] for each in told if each.get("number") == channel.channel_id]
        return bool(found)

    rabbit.eventually(listed, "the channel is not listed")
    return f"channels/{quote(found[0], safe='')}"


def _channel(rabbit: Rabbit) -> Channel:
    """A channel. An emulator counts from the moment on when its API is asked for."""
    true(rabbit.http, "there is an API")
    return rabbit.channel()


@case("HTTP-STAT-10", "HTTP-SHAPE-07", "HTTP-SHAPE-09", "HTTP-SHAPE-17")
def publishes_counted(rabbit: Rabbit) -> None:
    """A channel, an exchange, a queue and a virtual host count publishes; also those that go nowhere."""
    http, channel = rabbit.http, _channel(rabbit)
    channel.events["basic_return"].add(lambda *_: None)
    x = rabbit.exchange(channel)
    queue = rabbit.bound(channel, x, "k")
    for _ in range(5):
        rabbit.publish(channel, b"m", x, "k")
    for _ in range(2):
        rabbit.publish(channel, b"m", x, "nowhere")
    for _ in range(3):
        channel.basic_publish(Message(b"m"), x, "nowhere", mandatory=True)
    everything = {"publish": 10, "return_unroutable": 3, "drop_unroutable": 2}
    _expect(rabbit, f"queues/V/{queue}", publish=5)
    _expect(rabbit, f"exchanges/V/{x}", publish_in=10, publish_out=5)
    _expect(rabbit, _path(channel, rabbit), **everything)
    _expect(rabbit, "vhosts/V", **everything)
    (listed,) = [each for each in http("GET", "exchanges/V").expect(200) if each["name"] == x]
    equal(_counters(listed), {"publish_in": 10, "publish_out": 5})


@case("HTTP-STAT-10", "HTTP-SHAPE-07", "HTTP-SHAPE-11", "HTTP-SHAPE-17")
def deliveries_counted(rabbit: Rabbit) -> None:
    """A channel, a queue and a virtual host count what is fetched, delivered, redelivered and acknowledged."""
    channel = _channel(rabbit)
    queue, empty = rabbit.queue(channel), rabbit.queue(channel)
    for _ in range(4):
        rabbit.publish(channel, b"m", routing_key=queue)
    channel.basic_ack(tag_of(rabbit.get(channel, queue)))
    rabbit.get(channel, queue, no_ack=True)
    channel.basic_get(empty)
    consuming = rabbit.channel()
    consumer = rabbit.consume(consuming, queue)
    first, second = consumer.take(2)
    consuming.basic_reject(tag_of(first), requeue=True)
    (again,) = consumer.take()
    consuming.basic_reject(tag_of(again), requeue=False)
    consuming.basic_ack(tag_of(second))
    _expect(rabbit, f"queues/V/{empty}", get_empty=1)
    _expect(rabbit, f"queues/V/{queue}", publish=4, ack=2, deliver=3, deliver_get=5, get=1, get_no_ack=1, redeliver=1)
    _expect(rabbit, _path(channel, rabbit), publish=4, ack=1, deliver_get=2, get=1, get_empty=1, get_no_ack=1)
    _expect(rabbit, _path(consuming, rabbit), ack=1, deliver=3, deliver_get=3, redeliver=1)
    everything = {"publish": 4, "ack": 2, "deliver": 3, "deliver_get": 5}
    _expect(rabbit, "vhosts/V", **everything, get=1, get_empty=1, get_no_ack=1, redeliver=1)


@case("HTTP-STAT-10")
def deliveries_without_acknowledgements_counted(rabbit: Rabbit) -> None:
    """What is delivered with no_ack has a counter of its own."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"m", routing_key=queue)
    rabbit.consume(channel, queue, no_ack=True).take()
    _expect(rabbit, f"queues/V/{queue}", publish=1, deliver_no_ack=1, deliver_get=1)


@case("HTTP-STAT-10")
def confirms_counted(rabbit: Rabbit) -> None:
    """A channel counts the publishes that it confirmed, and not those that it refused; queues count both."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.confirm_select()
    for _ in range(3):
        channel.basic_publish(Message(b"m"), "", queue)
    _expect(rabbit, _path(channel, rabbit), publish=3, confirm=1)
    _expect(rabbit, f"queues/V/{queue}", publish=3)


@case("HTTP-STAT-10", "HTTP-PUB-01", "HTTP-GET-01")
def what_the_api_does_counted(rabbit: Rabbit) -> None:
    """The API publishes with confirms and as mandatory, and gets without acknowledgements."""
    http = rabbit.http
    http("PUT", "queues/V/q", {}).expect(201)
    body = {"properties": {}, "payload": "x", "payload_encoding": "string"}
    http("POST", "exchanges/V/amq.direct/publish", {**body, "routing_key": "q"}).expect(200, {"routed": False})
    http("POST", "exchanges/V/amq.default/publish", {**body, "routing_key": "q"}).expect(200, {"routed": True})
    http("POST", "queues/V/q/get", {"ackmode": "ack_requeue_false", "count": 2, "encoding": "auto"}).expect(200)
    http("POST", "exchanges/V/amq.default/publish", {**body, "routing_key": "q"}).expect(200, {"routed": True})
    http("POST", "queues/V/q/get", {"ackmode": "reject_requeue_true", "count": 1, "encoding": "auto"}).expect(200)
    got = {"get": 1, "get_no_ack": 1, "get_empty": 1, "deliver_get": 2}
    _expect(rabbit, "vhosts/V", **{"publish": 3, "confirm": 3, "return_unroutable": 1, **got})
    _expect(rabbit, "queues/V/q", **{"publish": 2, **got})
    _expect(rabbit, "exchanges/V/amq.direct", publish_in=1)


@case("HTTP-STAT-10", "HTTP-SHAPE-09")
def exchanges_that_pass_on_counted(rabbit: Rabbit) -> None:
    """A publish counts for the exchange that it names, not for those that pass it on."""
    channel = _channel(rabbit)
    first, second, other, alternate = (rabbit.exchange(channel, "fanout") for _ in range(4))
    strict = rabbit.exchange(channel, arguments={"alternate-exchange": alternate})
    channel.exchange_bind(second, first)
    queues = [rabbit.bound(channel, second), rabbit.bound(channel, second), rabbit.bound(channel, alternate)]
    rabbit.publish(channel, b"m", first)
    rabbit.publish(channel, b"m", strict)
    _expect(rabbit, f"exchanges/V/{first}", publish_in=1, publish_out=2)
    _expect(rabbit, f"exchanges/V/{strict}", publish_in=1, publish_out=1)
    for queue in queues:
        _expect(rabbit, f"queues/V/{queue}", publish=1)
    for exchange in (second, other, alternate):
        _expect(rabbit, f"exchanges/V/{exchange}")


@case("HTTP-STAT-10")
def keys_that_name_no_queue_counted(rabbit: Rabbit) -> None:
    """The default exchange of 3.10 takes a key for routed that is no queue's name."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"m", routing_key=queue)
    rabbit.publish(channel, b"m", routing_key="no-such-queue-anywhere")
    rabbit.publish(channel, b"m", routing_key="no-such-queue-anywhere", headers={"CC": [queue]})
    older = rabbit.profile == "3.10"
    _expect(rabbit, "exchanges/V/amq.default", publish_in=3, publish_out=3 if older else 2)
    _expect(rabbit, "vhosts/V", publish=3, drop_unroutable=1)


@case("HTTP-STAT-10")
def transactions_counted(rabbit: Rabbit) -> None:
    """What a transaction publishes counts from the commit on."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel)
    channel.tx_select()
    for _ in range(2):
        rabbit.publish(channel, b"m", routing_key=queue)
    channel.tx_rollback()
    rabbit.publish(channel, b"m", routing_key=queue)
    channel.tx_commit()
    _expect(rabbit, _path(channel, rabbit), publish=1)
    _expect(rabbit, f"queues/V/{queue}", publish=1)


@case("HTTP-STAT-10")
def dead_letters_not_counted(rabbit: Rabbit) -> None:
    """A dead letter is no publish."""
    channel = _channel(rabbit)
    target = rabbit.queue(channel)
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": target}
    queue = rabbit.queue(channel, arguments=dead)
    rabbit.publish(channel, b"m", routing_key=queue)
    channel.basic_reject(tag_of(rabbit.get(channel, queue)), requeue=False)
    _expect(rabbit, f"queues/V/{queue}", publish=1, get=1, deliver_get=1)

    def arrived() -> bool:
        return bool(rabbit.http("GET", f"queues/V/{target}").expect(200).get("messages"))

    rabbit.eventually(arrived, "the dead letter has not arrived")
    _expect(rabbit, f"queues/V/{target}")
    _expect(rabbit, "vhosts/V", publish=1, get=1, deliver_get=1)


@case("HTTP-STAT-10")
def replies_counted(rabbit: Rabbit) -> None:
    """A reply is a publish that goes into no queue; on 3.10, one that goes nowhere."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel)
    replies = rabbit.consume(channel, "amq.rabbitmq.reply-to", no_ack=True)
    rabbit.publish(channel, b"question", routing_key=queue, reply_to="amq.rabbitmq.reply-to")
    name = rabbit.get(channel, queue, no_ack=True).properties["reply_to"]
    rabbit.publish(channel, b"answer", routing_key=name)
    replies.take()
    dropped = int(rabbit.profile == "3.10")
    _expect(rabbit, _path(channel, rabbit), publish=2, drop_unroutable=dropped, get_no_ack=1, deliver_get=1)
    _expect(rabbit, "exchanges/V/amq.default", publish_in=2, publish_out=1)


@case("HTTP-STAT-10", "HTTP-SHAPE-13")
def streams_counted(rabbit: Rabbit) -> None:
    """A stream counts as other queues do."""
    channel = _channel(rabbit)
    stream = rabbit.queue(channel, durable=True, arguments={"x-queue-type": "stream"})
    rabbit.publish(channel, b"m", routing_key=stream)
    channel.basic_qos(0, 10, False)
    (message,) = rabbit.consume(channel, stream, arguments={"x-stream-offset": "first"}).take()
    channel.basic_ack(tag_of(message))
    _expect(rabbit, f"queues/V/{stream}", publish=1, ack=1, deliver=1, deliver_get=1)


@case("HTTP-STAT-10", "HTTP-SHAPE-17")
def counters_that_outlive(rabbit: Rabbit) -> None:
    """A virtual host still counts what its channels and queues did, once they are gone; a new queue begins at 0."""
    channel = _channel(rabbit)
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"m", routing_key=queue)
    _expect(rabbit, f"queues/V/{queue}", publish=1)
    channel.queue_delete(queue)
    rabbit.queue(channel, queue)
    rabbit.publish(channel, b"m", routing_key=queue)
    channel.basic_get(queue)
    _expect(rabbit, f"queues/V/{queue}", publish=1, get=1, deliver_get=1)
    channel.close()
    _expect(rabbit, "vhosts/V", publish=2, get=1, deliver_get=1)


@case("HTTP-SHAPE-11", "HTTP-SHAPE-12")
def bytes_of_a_queue(rabbit: Rabbit) -> None:
    """A queue tells how many bytes its messages have, ready and not; 4.3's quorum queues count properties, too."""
    channel = _channel(rabbit)
    more = 0 if rabbit.profile == "3.10" else 2
    for kind, size in (("classic", 0), ("quorum", more)):
        queue = rabbit.queue(channel, durable=True, arguments={"x-queue-type": kind})
        rabbit.publish(channel, b"12345", routing_key=queue)
        rabbit.publish(channel, b"12", routing_key=queue)
        rabbit.get(channel, queue)
        rabbit.advance(11)  # a quorum queue of RabbitMQ updates its byte counts late
        _expect_bytes(rabbit, queue, ready=2 + size, unacknowledged=5 + size)


def _expect_bytes(rabbit: Rabbit, queue: str, *, ready: int, unacknowledged: int) -> None:
    wanted = {
        "message_bytes": ready + unacknowledged,
        "message_bytes_ready": ready,
        "message_bytes_unacknowledged": unacknowledged,
    }

    def told() -> dict[str, Any]:
        shown = rabbit.http("GET", f"queues/V/{queue}").expect(200)
        return {name: shown.get(name) for name in wanted}

    rabbit.eventually(lambda: told() == wanted, lambda: f"{queue} has {told()}, and not {wanted}")


@case("HTTP-STAT-09", "HTTP-SHAPE-05")
def octets_of_a_connection(rabbit: Rabbit) -> None:
    """A connection tells how many bytes went over it, and so does its virtual host."""
    user = rabbit.admin.add_permitted_user()
    true(rabbit.http, "there is an API")
    channel = rabbit.connect_as(user).channel()
    rabbit.publish(channel, bytes(10_000), routing_key=rabbit.queue(channel))

    def of_connection() -> Mapping[str, Any]:
        listed = rabbit.http("GET", "connections").expect(200)
        return next((each for each in listed if each.get("user") == user), {})

    rabbit.advance(6)
    rabbit.eventually(lambda: of_connection().get("recv_oct", 0) > 10_000, "the connection has received too little")
    told = of_connection()
    true(300 < told["send_oct"] < 10_000, told["send_oct"])
    for name in ("recv_oct_details", "send_oct_details"):
        equal(list(told[name]), ["rate"])

    def of_vhost() -> Mapping[str, Any]:
        found: Mapping[str, Any] = rabbit.http("GET", "vhosts/V").expect(200)
        return found

    rabbit.eventually(lambda: of_vhost().get("recv_oct", 0) > 10_000, "the virtual host has received too little")
    equal(list(of_vhost()["send_oct_details"]), ["rate"])


@case("HTTP-STAT-09")
def rates(rabbit: Rabbit) -> None:
    """Counters and lengths have rates: by how much they grew in a second, lately. Then they go back to 0."""
    http, channel = rabbit.http, _channel(rabbit)
    queue = rabbit.queue(channel)
    paths = {
        f"queues/V/{queue}": ("publish_details", "messages_details", "messages_ready_details"),
        "exchanges/V/amq.default": ("publish_in_details", "publish_out_details"),
        "vhosts/V": ("publish_details", "messages_details", "messages_ready_details"),
        _path(channel, rabbit): ("publish_details",),
    }

    # RabbitMQ updates each of these rates at a different time.
    unseen = {(path, name) for path, names in paths.items() for name in names}

    def found(path: str) -> dict[str, float]:
        told = http("GET", path).expect(200)
        told = {**told, **told.get("message_stats", {})}
        return {name: told.get(name, {}).get("rate", 0.0) for name in paths[path]}

    def grow(path: str) -> bool:
        rabbit.publish(channel, b"m", routing_key=queue)
        rabbit.advance(0.2)
        for name, rate in found(path).items():
            if rate > 0:
                unseen.discard((path, name))
        return not any(where == path for where, _ in unseen)

    def rest(path: str) -> bool:
        return not any(found(path).values())

    for path in paths:
        rabbit.publish(channel, b"m", routing_key=queue)
        rabbit.advance(5)
        rabbit.eventually(partial(grow, path), f"{path} has no rates")
    rabbit.advance(10)
    for path in paths:
        rabbit.eventually(partial(rest, path), f"{path} still has rates")


@case("HTTP-SHAPE-01", "HTTP-STAT-09")
def what_came_and_went(rabbit: Rabbit) -> None:
    """The overview counts connections, channels and queues that came and went, and all messages."""
    http = rabbit.http
    names = [f"{what}_{end}" for what in ("connection", "channel") for end in ("created", "closed")]
    names += ["queue_declared", "queue_created", "queue_deleted"]

    def told() -> Mapping[str, Any]:
        found: Mapping[str, Any] = http("GET", "overview").expect(200)
        return found

    before = told()
    equal(before["rates_mode"], "basic")
    equal(sorted(before["churn_rates"]), sorted([*names, *(f"{name}_details" for name in names)]))
    channel = rabbit.connect().channel()
    queue = rabbit.queue(channel)
    rabbit.queue(channel, queue)
    rabbit.publish(channel, b"m", routing_key=queue)
    channel.queue_delete(queue)
    channel.close()
    grew = {"channel_created": 1, "channel_closed": 1, "connection_created": 1}
    grew |= {"queue_declared": 2, "queue_created": 1, "queue_deleted": 1}

    def has_grown() -> bool:
        now = told()
        publishes = now["message_stats"].get("publish", 0) - before["message_stats"].get("publish", 0)
        churn = now["churn_rates"]
        return publishes >= 1 and all(churn[name] - before["churn_rates"][name] >= by for name, by in grew.items())

    rabbit.eventually(has_grown, lambda: f"{before} became {told()}")
    equal({"disk_reads", "disk_writes"} <= told()["message_stats"].keys(), True)


@case("HTTP-STAT-11")
def counters_left_out(rabbit: Rabbit) -> None:
    """Without statistics the counters are left out."""
    http, channel = rabbit.http, _channel(rabbit)
    queue = rabbit.queue(channel)
    rabbit.publish(channel, b"m", routing_key=queue)
    _expect(rabbit, f"queues/V/{queue}", publish=1)
    for path in ("queues/V", "exchanges/V", "overview"):
        told = http("GET", f"{path}?disable_stats=true").expect(200)
        for each in told if isinstance(told, list) else [told]:
            true(each.keys().isdisjoint({"message_stats", "churn_rates"}), f"{path} has {sorted(each)}")
