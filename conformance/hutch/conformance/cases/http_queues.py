"""The management API: queues (HTTP-QUEUE)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import CRASHED, CREATED, DENIED, DONE, NOTHING, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp

_Q: Request = ("PUT", "queues/V/q", {})
_QUORUM: Request = ("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": "quorum"}})
_STREAM: Request = ("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": "stream"}})
_MESSAGE: Request = (
    "POST",
    "exchanges/V/amq.default/publish",
    {"routing_key": "q", "properties": {}, "payload": "x", "payload_encoding": "string"},
)


@case("HTTP-QUEUE-01")
def a_queue_without_properties(rabbit: Rabbit) -> None:
    """A queue that is put without a body is classic, not durable, and stays."""
    rabbit.http("PUT", "queues/V/q").expect(201, None)
    told = rabbit.http("GET", "queues/V/q").expect(200)
    equal(
        [told[key] for key in ("name", "vhost", "durable", "auto_delete", "exclusive")],
        ["q", rabbit.vhost, *[False] * 3],
    )
    equal(told["type"], "classic")


row("HTTP-QUEUE-02", "a_queue_put_twice", "The same queue again is 204.", _Q, DONE, before=[_Q])
row(
    "HTTP-QUEUE-03",
    "a_durable_queue_put_as_transient",
    "A queue that differs is refused with AMQP's text.",
    _Q,
    bad(
        "inequivalent arg 'durable' for queue 'q' in vhost 'VHOST': received 'false' but current is 'true'",
    ),
    before=[("PUT", "queues/V/q", {"durable": True})],
)
row(
    "HTTP-QUEUE-04",
    "a_queue_put_with_another_argument",
    "An argument that the queue does not have is refused; a JSON integer is a long.",
    ("PUT", "queues/V/q", {"arguments": {"x-max-length": 5}}),
    bad(
        "inequivalent arg 'x-max-length' for queue 'q' in vhost 'VHOST': received the value '5' of type 'long' but "
        "current is none",
    ),
    before=[_Q],
)
row(
    "HTTP-QUEUE-04",
    "a_queue_put_without_its_argument",
    "An argument that is left out is refused.",
    _Q,
    bad(
        "inequivalent arg 'x-max-length' for queue 'q' in vhost 'VHOST': received none but current is the value '5' of "
        "type 'long'",
    ),
    before=[("PUT", "queues/V/q", {"arguments": {"x-max-length": 5}})],
)
row(
    "HTTP-QUEUE-05",
    "a_queue_put_with_an_unknown_argument",
    "An unknown argument makes no difference to a queue that is there.",
    ("PUT", "queues/V/q", {"arguments": {"x-whatever": 5}}),
    DONE,
    before=[_Q],
)
for name, argument, value, told in (
    ("a_negative_ttl", "x-message-ttl", -1, "{value_negative,-1}"),
    ("a_ttl_of_text", "x-message-ttl", "5", '"expected integer, got longstr"'),
    ("too_many_priorities", "x-max-priority", 300, "{max_value_exceeded,300}"),
):
    row(
        "HTTP-QUEUE-06",
        f"a_queue_put_with_{name}",
        f"The argument {argument} of {value!r} is refused with AMQP's text.",
        ("PUT", "queues/V/q", {"arguments": {argument: value}}),
        bad(f"invalid arg '{argument}' for queue 'q' in vhost 'VHOST': {told}"),
    )
row(
    "HTTP-QUEUE-07",
    "a_queue_put_of_an_unknown_type",
    "An unknown queue type is refused with AMQP's text.",
    ("PUT", "queues/V/q", {"arguments": {"x-queue-type": "bogus"}}),
    bad("invalid arg 'x-queue-type' for queue 'q' in vhost 'VHOST': \"unsupported queue type 'bogus'\""),
)
for kind in ("quorum", "stream"):
    row(
        "HTTP-QUEUE-08",
        f"a_transient_{kind}_queue_put",
        f"A queue of type {kind} has to be put as durable.",
        ("PUT", "queues/V/q", {"arguments": {"x-queue-type": kind}}),
        bad("invalid property 'non-durable' for queue 'q' in vhost 'VHOST'"),
    )


@case("HTTP-QUEUE-09")
def keys_that_are_not_read(rabbit: Rabbit) -> None:
    """Keys of a body that the API does not know, exclusive and type among them, change nothing."""
    rabbit.http("PUT", "queues/V/q", {"exclusive": True, "type": "quorum", "name": "other", "x": 1}).expect(201, None)
    told = rabbit.http("GET", "queues/V/q").expect(200)
    equal((told["exclusive"], told["type"], told["name"]), (False, "classic", "q"))


row(
    "HTTP-QUEUE-10",
    "a_queue_put_on_an_unknown_node",
    "A queue is put on a node that is there.",
    ("PUT", "queues/V/q", {"node": "n@localhost"}),
    {"3.10": bad("Node n@localhost could not be contacted"), "4.3": bad("Node n@localhost is not a cluster member")},
)
row(
    "HTTP-QUEUE-10",
    "a_queue_put_on_no_node",
    "A node that is no text is a crash.",
    ("PUT", "queues/V/q", {"node": None}),
    CRASHED,
)
row(
    "HTTP-QUEUE-11", "a_reserved_queue_name_put", "Names with amq. are reserved.", ("PUT", "queues/V/amq.x", {}), DENIED
)
row(
    "HTTP-QUEUE-12",
    "a_queue_name_of_256_bytes_put",
    "A queue's name has 255 bytes at most.",
    ("PUT", f"queues/V/{'q' * 256}", {}),
    bad("queue should be less than 255 bytes, actually was 256\n"),
)
row(
    "HTTP-QUEUE-12",
    "a_queue_name_of_255_bytes_put",
    "A queue's name of 255 bytes is fine.",
    ("PUT", f"queues/V/{'q' * 255}", {}),
    CREATED,
)
row(
    "HTTP-QUEUE-13",
    "a_queue_put_in_an_unknown_vhost",
    "Putting a queue where there is no virtual host says so.",
    ("PUT", "queues/no-such-vhost-anywhere/q", {}),
    missing("vhost_not_found"),
)
for method in ("GET", "DELETE"):
    row(
        "HTTP-QUEUE-13",
        f"a_queue_{method.lower()}_in_an_unknown_vhost",
        f"A {method} where there is no virtual host finds nothing.",
        (method, "queues/no-such-vhost-anywhere/q"),
        NOTHING,
    )
row(
    "HTTP-QUEUE-14",
    "a_queue_put_beyond_the_limit",
    "A limit of the virtual host is told with AMQP's text.",
    _Q,
    bad("cannot declare queue 'q': queue limit in vhost 'VHOST' (0) is reached"),
    before=[("PUT", "vhost-limits/V/max-queues", {"value": 0})],
)


@case("HTTP-QUEUE-15")
def an_exclusive_queue_over_http(rabbit: Rabbit) -> None:
    """An exclusive queue can be looked at, and is locked otherwise."""
    http = rabbit.http
    channel = rabbit.raw().channel()
    channel.call(amqp.QueueDeclare(queue="q", exclusive=True))
    told = http("GET", "queues/V/q").expect(200)
    equal((told["exclusive"], told["durable"]), (True, False))
    text = (
        f"cannot obtain exclusive access to locked queue 'q' in vhost '{rabbit.vhost}'. It could be originally "
        "declared on another connection or the exclusive property value does not match that of the original "
        "declaration."
    )
    http("PUT", "queues/V/q", {}).expect_refused(400, "bad_request", text)
    http("DELETE", "queues/V/q").expect_refused(400, "bad_request", text)
    http("DELETE", "queues/V/q/contents").expect_refused(400, "bad_request", text)
    body = {"ackmode": "ack_requeue_true", "count": 1, "encoding": "auto"}
    http("POST", "queues/V/q/get", body).expect_refused(400, "bad_request", f"405 RESOURCE_LOCKED - {text}")


@case("HTTP-QUEUE-16")
def deleting_a_queue_with_a_consumer(rabbit: Rabbit) -> None:
    """Deleting a queue over HTTP cancels its consumers; their connection goes on."""
    http = rabbit.http
    raw = rabbit.raw()
    channel = raw.channel()
    channel.call(amqp.QueueDeclare(queue="q"))
    channel.call(amqp.BasicConsume(queue="q", consumer_tag="tag"))
    http("DELETE", "queues/V/q").expect(204, None)
    equal(channel.read(), amqp.BasicCancel("tag", nowait=True))
    raw.expect_alive()


row(
    "HTTP-QUEUE-17",
    "deleting_a_queue_if_empty",
    "A queue with messages is not deleted if that is asked for.",
    ("DELETE", "queues/V/q?if-empty=true"),
    bad("queue 'q' in vhost 'VHOST' not empty"),
    before=[_Q, _MESSAGE],
)
row(
    "HTTP-QUEUE-17",
    "deleting_a_quorum_queue_if_empty",
    "Quorum queues know no such condition.",
    ("DELETE", "queues/V/q?if-empty=true"),
    bad(
        "cannot delete queue 'q' in vhost 'VHOST'. queue.delete operations with if-empty flag set are not supported by "
        "quorum queues"
    ),
    before=[_QUORUM],
)
row(
    "HTTP-QUEUE-17",
    "deleting_a_stream_if_empty",
    "Streams are deleted with all that they hold.",
    ("DELETE", "queues/V/q?if-empty=true"),
    DONE,
    before=[_STREAM, _MESSAGE],
)


@case("HTTP-QUEUE-18")
def deleting_a_queue_if_unused(rabbit: Rabbit) -> None:
    """A queue with a consumer is not deleted if that is asked for, and that goes before messages."""
    http = rabbit.http
    channel = rabbit.raw().channel()
    channel.call(amqp.QueueDeclare(queue="q"))
    channel.call(amqp.BasicConsume(queue="q", consumer_tag="tag"))
    for query in ("if-unused=true", "if-unused=true&if-empty=true"):
        answer = http("DELETE", f"queues/V/q?{query}")
        answer.expect_refused(400, "bad_request", f"queue 'q' in vhost '{rabbit.vhost}' in use")


for value in ("", "=false", "=bogus"):
    row(
        "HTTP-QUEUE-19",
        f"deleting_a_queue_if_empty{value.replace('=', '_') or '_bare'}",
        "A condition counts with the value true alone.",
        ("DELETE", f"queues/V/q?if-empty{value}"),
        DONE,
        before=[_Q, _MESSAGE],
    )
row(
    "HTTP-QUEUE-20",
    "deleting_a_missing_queue_over_http",
    "There is nothing to delete.",
    ("DELETE", "queues/V/q"),
    NOTHING,
)


@case("HTTP-QUEUE-21")
def purging_a_queue_over_http(rabbit: Rabbit) -> None:
    """Purging removes the messages."""
    rabbit.http("PUT", "queues/V/q", {}).expect(201)
    for _ in range(3):
        rabbit.http(*_MESSAGE).expect(200, {"routed": True})
    rabbit.http("DELETE", "queues/V/q/contents").expect(204, None)
    body = {"ackmode": "ack_requeue_true", "count": 5, "encoding": "auto"}
    rabbit.http("POST", "queues/V/q/get", body).expect(200, [])


row(
    "HTTP-QUEUE-21",
    "purging_a_missing_queue_over_http",
    "There is nothing to purge.",
    ("DELETE", "queues/V/q/contents"),
    NOTHING,
)
row(
    "HTTP-QUEUE-21",
    "purging_a_stream_over_http",
    "A stream cannot be purged.",
    ("DELETE", "queues/V/q/contents"),
    bad("queue.purge not supported by stream queues queue 'q' in vhost 'VHOST'"),
    before=[_STREAM],
)
row(
    "HTTP-QUEUE-21",
    "purging_a_quorum_queue_over_http",
    "A quorum queue can be purged.",
    ("DELETE", "queues/V/q/contents"),
    DONE,
    before=[_QUORUM, _MESSAGE],
)
row(
    "HTTP-QUEUE-22",
    "an_action_without_a_name",
    "What to do with a queue has to be said.",
    ("POST", "queues/V/q/actions", {}),
    bad("[{key_missing,action}]"),
    before=[_Q],
)
row(
    "HTTP-QUEUE-22",
    "an_unknown_action",
    "An unknown action is told, with its name.",
    ("POST", "queues/V/q/actions", {"action": "bogus"}),
    bad(["unknown", "bogus"]),
    before=[_Q],
)
row("HTTP-QUEUE-23", "putting_on_a_list", "A list of queues cannot be put.", ("PUT", "queues/V", {}), (405, None))
row(
    "HTTP-PROTO-23",
    "a_boolean_as_text",
    "A boolean may be given as text.",
    ("PUT", "queues/V/q", {"durable": "true", "auto_delete": "false"}),
    DONE,
    before=[("PUT", "queues/V/q", {"durable": True})],
)
for name, given in (("a_number", 1), ("null", None), ("a_word", "yes")):
    row(
        "HTTP-PROTO-23",
        f"{name}_is_no_boolean",
        f"The value {given!r} is no boolean.",
        ("PUT", "queues/V/q", {"durable": given}),
        bad(["not_boolean", given]),
    )
row(
    "HTTP-PROTO-25",
    "an_empty_list_of_arguments",
    "An empty list stands for no arguments.",
    ("PUT", "queues/V/q", {"arguments": []}),
    CREATED,
)
for name, arguments in (("null", None), ("text", "x")):
    row(
        "HTTP-PROTO-25",
        f"arguments_that_are_{name}",
        f"Arguments that are {name} are a crash.",
        ("PUT", "queues/V/q", {"arguments": arguments}),
        CRASHED,
    )
row(
    "HTTP-PROTO-25",
    "a_null_among_arguments",
    "An argument cannot be null.",
    ("PUT", "queues/V/q", {"arguments": {"x-whatever": None}}),
    bad("null_not_allowed"),
)


@case("HTTP-QUEUE-24")
def arguments_read_back(rabbit: Rabbit) -> None:
    """Arguments are told as JSON has them: a timestamp in seconds, void as a word."""
    http = rabbit.http
    channel = rabbit.raw().channel()
    channel.call(
        amqp.QueueDeclare(queue="q", arguments={"x-a": b"\xfc\x00", "x-b": None, "x-c": [1, "s"], "x-d": {"k": 1.5}})
    )
    told = http("GET", "queues/V/q").expect(200)["arguments"]
    told.pop("x-queue-type", None)
    equal(told, {"x-a": "Not UTF-8, base64 is: /AA=", "x-b": "undefined", "x-c": [1, "s"], "x-d": {"k": 1.5}})


@case("HTTP-PROTO-29", "HTTP-PROTO-30")
def names_in_paths(rabbit: Rabbit) -> None:
    """Names of any letters work when they are percent-encoded, and are told as they are."""
    for encoded, name in (
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%25", "%"),
        ("%3F%23", "?#"),
        ("a+b", "a+b"),
        ("%C3%A9", "é"),
        ("%252F", "%2F"),
    ):
        rabbit.http("PUT", f"queues/V/{encoded}", {}).expect(201, None)
        equal(rabbit.http("GET", f"queues/V/{encoded}").expect(200)["name"], name)
    told = {each["name"] for each in rabbit.http("GET", "queues/V").expect(200)}
    true({"a/b", "a b", "%", "?#", "a+b", "é", "%2F"} <= told, f"some names are missing from {told}")
