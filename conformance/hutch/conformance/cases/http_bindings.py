"""The management API: bindings (HTTP-BIND)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CRASHED, DENIED, DONE, NOTHING, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit

_Q: Request = ("PUT", "queues/V/q", {})
_PATH = "bindings/V/e/amq.direct/q/q"


def _bind(rabbit: Rabbit, body: object, path: str = _PATH) -> str:
    answer = rabbit.http("POST", path, body)
    answer.expect(201, None)
    return answer.headers["location"]


@case("HTTP-BIND-01", "HTTP-SHAPE-29")
def the_location_of_a_binding(rabbit: Rabbit) -> None:
    """A new binding tells where it is: the destination and its key, each percent-encoded once more."""
    rabbit.http(*_Q).expect(201)
    rabbit.http("PUT", "queues/V/b%2Fq", {}).expect(201)
    equal(_bind(rabbit, {"routing_key": "k"}), "q/k")
    equal(_bind(rabbit, {}), "q/~")
    equal(_bind(rabbit, {"routing_key": "a.#"}), "q/a.%2523")
    equal(_bind(rabbit, {"routing_key": "a b"}), "q/a%2Bb")
    equal(_bind(rabbit, {"routing_key": "k"}, "bindings/V/e/amq.direct/q/b%2Fq"), "b%2Fq/k")


@case("HTTP-SHAPE-29")
def the_key_of_a_binding_with_arguments(rabbit: Rabbit) -> None:
    """Arguments are hashed into the key of a binding, by their names, types and values."""
    rabbit.http(*_Q).expect(201)
    equal(_bind(rabbit, {"routing_key": "k", "arguments": {"a": 1}}), "q/k~Ajat_Q")
    equal(_bind(rabbit, {"arguments": {"a": "1"}}), "q/~aT9uaA")
    one = _bind(rabbit, {"arguments": {"a": 1, "b": {"c": [True, 1.5]}}})
    equal(_bind(rabbit, {"arguments": {"b": {"c": [True, 1.5]}, "a": 1}}), one)


@case("HTTP-BIND-02")
def the_same_binding_again(rabbit: Rabbit) -> None:
    """The same binding again is 201 again, and there is one."""
    rabbit.http(*_Q).expect(201)
    equal(_bind(rabbit, {"routing_key": "k"}), _bind(rabbit, {"routing_key": "k"}))
    equal(len(rabbit.http("GET", _PATH).expect(200)), 1)


row(
    "HTTP-BIND-03",
    "binding_from_a_missing_exchange",
    "The source has to be there, and is looked for first.",
    ("POST", "bindings/V/e/x/q/no", {}),
    missing("no exchange 'x' in vhost 'VHOST'"),
)
row(
    "HTTP-BIND-03",
    "binding_a_missing_queue",
    "The queue has to be there.",
    ("POST", _PATH, {}),
    missing("no queue 'q' in vhost 'VHOST'"),
)
row(
    "HTTP-BIND-03",
    "binding_a_missing_exchange",
    "The destination exchange has to be there.",
    ("POST", "bindings/V/e/amq.direct/e/x", {}),
    missing("no exchange 'x' in vhost 'VHOST'"),
)
row(
    "HTTP-BIND-04",
    "binding_the_default_exchange",
    "Nothing is bound to the default exchange.",
    ("POST", "bindings/V/e/amq.default/q/q", {}),
    DENIED,
    before=[_Q],
)


@case("HTTP-BIND-05")
def a_routing_key_that_is_no_text(rabbit: Rabbit) -> None:
    """A number or null as a routing key is taken for its text; 4.3 takes no numbers."""
    rabbit.http(*_Q).expect(201)
    for key, text in ((5, "5"), (None, "null")):
        answer = rabbit.http("POST", _PATH, {"routing_key": key})
        if rabbit.profile == "3.10" or key is None:
            answer.expect(201, None)
            equal(answer.headers["location"], f"q/{text}")
        else:
            equal(answer.expect(400)["error"], "bad_request")


row(
    "HTTP-BIND-06",
    "binding_with_a_bogus_x_match",
    "An x-match that does not exist is refused.",
    ("POST", "bindings/V/e/amq.headers/q/q", {"arguments": {"x-match": "bogus"}}),
    bad('Invalid x-match field value <<"bogus">>; expected all, any, all-with-x, or any-with-x'),
    before=[_Q],
)
row(
    "HTTP-BIND-07",
    "binding_to_neither_queue_nor_exchange",
    "A destination that is neither q nor e is a crash.",
    ("GET", "bindings/V/e/amq.direct/z/q"),
    CRASHED,
)
row("HTTP-BIND-08", "putting_a_binding", "Bindings are posted.", ("PUT", _PATH, {}), (405, None), before=[_Q])
_BOUND = [_Q, ("POST", _PATH, {"routing_key": "k"})]
row(
    "HTTP-BIND-09",
    "deleting_a_binding",
    "A binding is deleted by its key.",
    ("DELETE", f"{_PATH}/k"),
    DONE,
    before=_BOUND,
)
row(
    "HTTP-BIND-09",
    "deleting_a_missing_binding",
    "There is no such key.",
    ("DELETE", f"{_PATH}/z"),
    NOTHING,
    before=_BOUND,
)
row("HTTP-BIND-09", "a_missing_binding", "There is no such key.", ("GET", f"{_PATH}/z"), NOTHING, before=_BOUND)


@case("HTTP-BIND-09", "HTTP-SHAPE-16")
def a_binding_by_its_key(rabbit: Rabbit) -> None:
    """A binding is shown by its key, percent-encoded."""
    rabbit.http(*_Q).expect(201)
    _bind(rabbit, {"routing_key": "a.#", "arguments": {"a": 1}})
    (listed,) = rabbit.http("GET", _PATH).expect(200)
    told = rabbit.http("GET", f"{_PATH}/{listed['properties_key'].replace('%', '%25')}").expect(200)
    equal(told, listed)
    wanted = {"source": "amq.direct", "destination": "q", "destination_type": "queue", "routing_key": "a.#"}
    equal({key: told[key] for key in wanted}, wanted)
    equal(sorted(told), sorted([*wanted, "vhost", "arguments", "properties_key"]))


row(
    "HTTP-BIND-10",
    "bindings_of_a_missing_exchange",
    "It has none.",
    ("GET", "exchanges/V/x/bindings/source"),
    (200, []),
)
row(
    "HTTP-BIND-10",
    "bindings_between_what_is_missing",
    "There are none.",
    ("GET", "bindings/V/e/x/q/no"),
    (200, []),
)


@case("HTTP-BIND-11", "HTTP-BIND-12")
def implicit_bindings(rabbit: Rabbit) -> None:
    """Each queue shows its binding to the default exchange, before the others."""
    rabbit.http(*_Q).expect(201)
    _bind(rabbit, {"routing_key": "k"})
    implicit = {
        "source": "",
        "vhost": rabbit.vhost,
        "destination": "q",
        "destination_type": "queue",
        "routing_key": "q",
        "arguments": {},
        "properties_key": "q",
    }
    for path in ("bindings/V", "queues/V/q/bindings"):
        told = rabbit.http("GET", path).expect(200)
        equal(told[0], implicit)
        equal([each["source"] for each in told], ["", "amq.direct"])


@case("HTTP-BIND-12")
def bindings_of_exchanges(rabbit: Rabbit) -> None:
    """The bindings from an exchange and those to it are listed apart."""
    rabbit.http("PUT", "exchanges/V/x", {}).expect(201)
    _bind(rabbit, {"routing_key": "k"}, "bindings/V/e/amq.direct/e/x")
    (one,) = rabbit.http("GET", "exchanges/V/amq.direct/bindings/source").expect(200)
    (other,) = rabbit.http("GET", "exchanges/V/x/bindings/destination").expect(200)
    equal(one, other)
    equal((one["destination"], one["destination_type"]), ("x", "exchange"))
