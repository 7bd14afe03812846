"""The management API: publishing and getting messages (HTTP-PUB, HTTP-GET)."""

from collections.abc import Mapping
from typing import Any, Final

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CRASHED, DENIED, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit

_Q: Final[Request] = ("PUT", "queues/V/q", {})
_PUBLISH: Final = "exchanges/V/amq.default/publish"
_GET: Final = "queues/V/q/get"
_MESSAGE: Final = {"routing_key": "q", "properties": {}, "payload": "x", "payload_encoding": "string"}
_ASK: Final = {"ackmode": "ack_requeue_false", "count": 1, "encoding": "auto"}
_PUT_ONE: Final[Request] = ("POST", _PUBLISH, _MESSAGE)


def _publish(rabbit: Rabbit, **body: Any) -> None:
    rabbit.http("POST", _PUBLISH, {**_MESSAGE, **body}).expect(200, {"routed": True})


def _get(rabbit: Rabbit, **body: Any) -> list[Mapping[str, Any]]:
    told: list[Mapping[str, Any]] = rabbit.http("POST", _GET, {**_ASK, **body}).expect(200)
    return told


# publish

row(
    "HTTP-PUB-01",
    "publishing_to_a_queue",
    "Whether a queue got it is told.",
    _PUT_ONE,
    (200, {"routed": True}),
    before=[_Q],
)
row("HTTP-PUB-01", "publishing_to_nobody", "Whether a queue got it is told.", _PUT_ONE, (200, {"routed": False}))
row(
    "HTTP-PUB-01",
    "publishing_to_the_empty_name",
    "An empty name in the path is the default exchange, too.",
    ("POST", "exchanges/V//publish", _MESSAGE),
    (200, {"routed": True}),
    before=[_Q],
)
row(
    "HTTP-PUB-02",
    "publishing_without_any_key",
    "The keys that are missing are named, each in a line.",
    ("POST", _PUBLISH, {}),
    bad(
        "[{key_missing,routing_key},\n {key_missing,properties},\n {key_missing,payload},\n "
        "{key_missing,payload_encoding}]"
    ),
)
row(
    "HTTP-PUB-02",
    "publishing_without_two_keys",
    "Two missing keys are named in a line.",
    ("POST", _PUBLISH, {"routing_key": "q", "payload": "x"}),
    bad("[{key_missing,properties},{key_missing,payload_encoding}]"),
)
row(
    "HTTP-PUB-03",
    "publishing_to_a_missing_exchange_over_http",
    "An exchange that is not there is told, in other words on each version.",
    ("POST", "exchanges/V/x/publish", _MESSAGE),
    {"3.10": bad("404 NOT_FOUND - no exchange 'x' in vhost 'VHOST'"), "4.3": missing("exchange_not_found")},
)
row(
    "HTTP-PUB-03",
    "publishing_to_a_missing_vhost",
    "A virtual host that is not there is told, in other words on each version.",
    ("POST", "exchanges/no-such-vhost-anywhere/x/publish", _MESSAGE),
    {"3.10": DENIED, "4.3": missing("vhost_not_found")},
)
row(
    "HTTP-PUB-04",
    "publishing_to_an_internal_exchange",
    "Nobody publishes to an internal exchange.",
    ("POST", "exchanges/V/x/publish", _MESSAGE),
    bad("403 ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost 'VHOST'"),
    before=[("PUT", "exchanges/V/x", {"internal": True})],
)
for name, changed, answer in (
    ("a_payload_of_numbers", {"payload": 5}, bad("payload_not_string")),
    ("a_bogus_encoding", {"payload_encoding": "bogus"}, bad(["unsupported_encoding", "bogus"])),
    ("bad_base64", {"payload": "AP8", "payload_encoding": "base64"}, bad(["not_base64", "AP8"])),
    ("properties_of_text", {"properties": "x"}, CRASHED),
    ("properties_of_null", {"properties": None}, CRASHED),
    ("an_expiration_of_numbers", {"properties": {"expiration": 5}}, bad(["not_string", "expiration"])),
    ("a_type_of_null", {"properties": {"type": None}}, bad(["not_string", "type"])),
    ("a_delivery_mode_of_text", {"properties": {"delivery_mode": "2"}}, bad(["not_int", "delivery_mode"])),
    ("a_priority_with_a_fraction", {"properties": {"priority": 1.5}}, bad(["not_int", "priority"])),
    ("a_null_header", {"properties": {"headers": {"a": None}}}, bad("null_not_allowed")),
    ("headers_of_text", {"properties": {"headers": "x"}}, CRASHED),
    (
        "a_bad_expiration",
        {"properties": {"expiration": "abc"}},
        bad("406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer"),
    ),
):
    row(
        "HTTP-PUB-10"
        if name == "a_bad_expiration"
        else "HTTP-PUB-06"
        if "64" in name or "bogus" in name
        else "HTTP-PUB-08",
        f"publishing_{name}",
        f"A message with {name.replace('_', ' ')} is refused.",
        ("POST", _PUBLISH, {**_MESSAGE, **changed}),
        answer,
        before=[_Q],
    )
row(
    "HTTP-PUB-10",
    "publishing_as_another_user",
    "The property user_id is checked as over AMQP.",
    ("POST", _PUBLISH, {**_MESSAGE, "properties": {"user_id": "other"}}),
    bad("406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'USER'"),
    before=[_Q],
    user=["management"],
)
row(
    "HTTP-PUB-09",
    "publishing_an_unknown_delivery_mode",
    "3.10 knows two delivery modes; 4.3 takes any.",
    ("POST", _PUBLISH, {**_MESSAGE, "properties": {"delivery_mode": 0}}),
    {
        "3.10": bad("406 PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,0}"),
        "4.3": (200, {"routed": True}),
    },
    before=[_Q],
)
row(
    "HTTP-PUB-13",
    "publishing_to_a_full_queue",
    "A queue that is full and rejects publishes is reported.",
    _PUT_ONE,
    bad("rejected Unable to publish message. Check queue limits."),
    before=[("PUT", "queues/V/q", {"arguments": {"x-max-length": 0, "x-overflow": "reject-publish"}})],
)
for kind in ("quorum", "stream"):
    row(
        "HTTP-PUB-15",
        f"publishing_to_a_{kind}_queue",
        f"A message gets into a queue of type {kind}.",
        _PUT_ONE,
        (200, {"routed": True}),
        before=[("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": kind}})],
    )


@case("HTTP-PUB-06", "HTTP-GET-12")
def payloads_and_encodings(rabbit: Rabbit) -> None:
    """A payload is text or base64, both ways; what is no UTF-8 is told as base64."""
    rabbit.http(*_Q).expect(201)
    _publish(rabbit, payload="é")
    _publish(rabbit, payload="AP8=", payload_encoding="base64")
    _publish(rabbit, payload="eHl6", payload_encoding="base64")
    one, two, three = _get(rabbit, count=3)
    equal([one["payload"], one["payload_encoding"], one["payload_bytes"]], ["é", "string", 2])
    equal([two["payload"], two["payload_encoding"], two["payload_bytes"]], ["AP8=", "base64", 2])
    equal([three["payload"], three["payload_encoding"]], ["xyz", "string"])
    _publish(rabbit, payload="xyz")
    (one,) = _get(rabbit, encoding="base64")
    equal([one["payload"], one["payload_encoding"]], ["eHl6", "base64"])


@case("HTTP-PUB-08", "HTTP-GET-14", "HTTP-SHAPE-28")
def properties_of_a_message(rabbit: Rabbit) -> None:
    """Properties are told as they were given; a message without any has an empty list."""
    rabbit.http(*_Q).expect(201)
    properties = {
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "correlation_id": "c",
        "reply_to": "r",
        "expiration": "60000",
        "message_id": "m",
        "type": "t",
        "app_id": "a",
        "delivery_mode": 2,
        "priority": 3,
        "timestamp": 1700000000,
        "headers": {"n": 1, "s": "x", "f": 1.5, "b": True, "l": [1, "y"], "t": {"k": "v"}},
    }
    _publish(rabbit, properties={**properties, "unknown": 1})
    _publish(rabbit)
    one, two = _get(rabbit, count=2)
    equal(one["properties"], properties)
    equal(two["properties"], [])
    keys = ["exchange", "message_count", "payload", "payload_bytes", "payload_encoding", "properties", "redelivered"]
    equal(sorted(one), sorted([*keys, "routing_key"]))
    equal((one["exchange"], one["routing_key"]), ("", "q"))


# get

row(
    "HTTP-GET-01",
    "getting_without_any_key",
    "The keys that are missing are named.",
    ("POST", _GET, {}),
    bad("[{key_missing,ackmode},{key_missing,count},{key_missing,encoding}]"),
    before=[_Q],
)
row(
    "HTTP-GET-10",
    "getting_as_of_old",
    "The key of old versions does not stand for ackmode.",
    ("POST", _GET, {"requeue": True, "count": 1, "encoding": "auto"}),
    bad("[{key_missing,ackmode}]"),
    before=[_Q],
)
row(
    "HTTP-GET-02",
    "getting_from_an_empty_queue_over_http",
    "There is nothing.",
    ("POST", _GET, _ASK),
    (200, []),
    before=[_Q],
)
row(
    "HTTP-GET-02",
    "getting_no_message",
    "A count of 0 gets nothing.",
    ("POST", _GET, {**_ASK, "count": 0}),
    (200, []),
    before=[_Q, _PUT_ONE],
)
row(
    "HTTP-GET-09",
    "a_bogus_ackmode",
    "An ackmode that does not exist is a crash of 3.10, and explained by 4.3.",
    ("POST", _GET, {**_ASK, "ackmode": "bogus"}),
    {
        "3.10": CRASHED,
        "4.3": bad(
            "Invalid ackmode value: bogus. Valid values are: ack_requeue_true, ack_requeue_false, reject_requeue_true, "
            "reject_requeue_false"
        ),
    },
    before=[_Q],
)
row(
    "HTTP-GET-11",
    "a_bogus_encoding_of_get",
    "An encoding that does not exist is refused.",
    ("POST", _GET, {**_ASK, "encoding": "bogus"}),
    bad("Unsupported encoding. Please use auto or base64."),
    before=[_Q],
)
row(
    "HTTP-PROTO-24",
    "a_count_of_letters",
    "A count that is no number is refused.",
    ("POST", _GET, {**_ASK, "count": "x"}),
    bad(["not_integer", "x"]),
    before=[_Q],
)
row(
    "HTTP-GET-15",
    "getting_from_a_missing_queue_over_http",
    "A queue that is not there is told, in other words on each version.",
    ("POST", _GET, _ASK),
    {"3.10": missing("NOT_FOUND - no queue 'q' in vhost 'VHOST'"), "4.3": missing("queue_not_found")},
)
row(
    "HTTP-GET-15",
    "getting_from_a_missing_vhost",
    "A virtual host that is not there is told, in other words on each version.",
    ("POST", "queues/no-such-vhost-anywhere/q/get", _ASK),
    {"3.10": DENIED, "4.3": missing("vhost_not_found")},
)
row(
    "HTTP-GET-16",
    "getting_from_a_stream_over_http",
    "A stream has no get.",
    ("POST", _GET, _ASK),
    bad("540 basic.get not supported by stream queues queue 'q' in vhost 'VHOST'"),
    # On 3.10 a stream exists a moment later, or once a message was published.
    before=[("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": "stream"}}), _PUT_ONE],
)


@case("HTTP-GET-03", "HTTP-GET-04", "HTTP-PROTO-24")
def counts_of_get(rabbit: Rabbit) -> None:
    """Get tells how many are left behind each; a count that is too large or negative gets all."""
    rabbit.http(*_Q).expect(201)
    for count in (5, -1, "3"):
        for number in range(3):
            _publish(rabbit, payload=str(number))
        told = _get(rabbit, count=count)
        equal([(each["payload"], each["message_count"]) for each in told], [("0", 2), ("1", 1), ("2", 0)])


@case("HTTP-GET-05", "HTTP-GET-06")
def messages_that_return(rabbit: Rabbit) -> None:
    """Messages that are got and requeued stand where they stood, and are told as redelivered next time."""
    rabbit.http(*_Q).expect(201)
    for number in range(3):
        _publish(rabbit, payload=str(number))
    told = _get(rabbit, ackmode="ack_requeue_true", count=2)
    equal([(each["payload"], each["redelivered"]) for each in told], [("0", False), ("1", False)])
    told = _get(rabbit, ackmode="reject_requeue_true", count=3)
    equal([(each["payload"], each["redelivered"]) for each in told], [("0", True), ("1", True), ("2", False)])
    told = _get(rabbit, count=3)
    equal([(each["payload"], each["redelivered"]) for each in told], [("0", True), ("1", True), ("2", True)])


@case("HTTP-GET-07", "HTTP-GET-08")
def messages_that_are_dead_lettered(rabbit: Rabbit) -> None:
    """Messages that are got and rejected are dead-lettered, those that are acknowledged are not."""
    rabbit.http("PUT", "queues/V/dead", {}).expect(201)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    rabbit.http("PUT", "queues/V/q", {"arguments": arguments}).expect(201)
    _publish(rabbit, payload="acknowledged")
    _publish(rabbit, payload="rejected")
    _get(rabbit, ackmode="ack_requeue_false")
    _get(rabbit, ackmode="reject_requeue_false")
    dead: list[Mapping[str, Any]] = []

    def arrived() -> bool:
        dead.extend(rabbit.http("POST", "queues/V/dead/get", {**_ASK, "count": 5}).expect(200))
        return bool(dead)

    rabbit.eventually(arrived, "nothing was dead-lettered")
    equal([each["payload"] for each in dead], ["rejected"])
    equal(dead[0]["properties"]["headers"]["x-death"][0]["reason"], "rejected")


@case("HTTP-GET-12", "HTTP-GET-13")
def payloads_that_are_cut(rabbit: Rabbit) -> None:
    """A payload is cut to so many bytes; one that is cut within a letter is told as base64."""
    rabbit.http(*_Q).expect(201)
    _publish(rabbit, payload="aé")
    wanted = {0: ("", "string"), 1: ("a", "string"), 2: ("YcM=", "base64"), 9: ("aé", "string")}
    for size, (payload, encoding) in wanted.items():
        (told,) = _get(rabbit, ackmode="ack_requeue_true", truncate=size)
        equal([told["payload"], told["payload_encoding"], told["payload_bytes"]], [payload, encoding, 3])
