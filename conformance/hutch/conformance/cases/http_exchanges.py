"""The management API: exchanges (HTTP-EXCH)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CREATED, DENIED, DONE, NOTHING, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit

_X: Request = ("PUT", "exchanges/V/x", {})
#: Exchanges that exist only with the event exchange plugin or the log exchange.
_OF_PLUGINS = frozenset({"amq.rabbitmq.event", "amq.rabbitmq.log"})


@case("HTTP-EXCH-01")
def an_exchange_without_properties(rabbit: Rabbit) -> None:
    """An exchange that is put without a body is direct and not durable."""
    rabbit.http("PUT", "exchanges/V/x").expect(201, None)
    told = rabbit.http("GET", "exchanges/V/x").expect(200)
    told = {key: told[key] for key in ("name", "vhost", "type", "durable", "auto_delete", "internal", "arguments")}
    flags = {"durable": False, "auto_delete": False, "internal": False}
    equal(told, {"name": "x", "vhost": rabbit.vhost, "type": "direct", **flags, "arguments": {}})


row("HTTP-EXCH-02", "an_exchange_put_twice", "The same exchange again is 204.", _X, DONE, before=[_X])
for key, value, shown in (("type", "fanout", "fanout"), ("durable", True, "true"), ("internal", True, "true")):
    current = "direct" if key == "type" else "false"
    row(
        "HTTP-EXCH-02",
        f"an_exchange_put_with_another_{key}",
        f"An exchange with another {key} is refused with AMQP's text.",
        ("PUT", "exchanges/V/x", {key: value}),
        bad(
            f"inequivalent arg '{key}' for exchange 'x' in vhost 'VHOST': received '{shown}' but current is '{current}'"
        ),
        before=[_X],
    )
row(
    "HTTP-EXCH-03",
    "an_exchange_put_of_an_unknown_type",
    "An exchange type that does not exist is told.",
    ("PUT", "exchanges/V/x", {"type": "no-such-type-at-all"}),
    bad("unknown exchange type 'no-such-type-at-all'"),
)
row(
    "HTTP-EXCH-04",
    "an_exchange_put_with_a_number_for_alternate",
    "The alternate exchange is named by text.",
    ("PUT", "exchanges/V/x", {"arguments": {"alternate-exchange": 5}}),
    bad("invalid type 'long' for arg 'alternate-exchange' in exchange 'x' in vhost 'VHOST'"),
)
for name in ("amq.foo", "amq.default"):
    row(
        "HTTP-EXCH-05",
        f"putting_{name.replace('.', '_')}",
        f"The exchange {name} cannot be put.",
        ("PUT", f"exchanges/V/{name}", {}),
        DENIED,
    )
row(
    "HTTP-EXCH-05",
    "putting_amq_direct_as_it_is",
    "A predeclared exchange may be put as it is.",
    ("PUT", "exchanges/V/amq.direct", {"type": "direct", "durable": True}),
    DONE,
)
for name in ("amq.direct", "amq.default"):
    row(
        "HTTP-EXCH-06",
        f"deleting_{name.replace('.', '_')}",
        f"The exchange {name} cannot be deleted.",
        ("DELETE", f"exchanges/V/{name}"),
        DENIED,
    )
_BOUND = [_X, ("PUT", "queues/V/q", {}), ("POST", "bindings/V/e/x/q/q", {})]
row(
    "HTTP-EXCH-07",
    "deleting_an_exchange_if_unused",
    "An exchange with bindings is not deleted if that is asked for.",
    ("DELETE", "exchanges/V/x?if-unused=true"),
    bad("exchange 'x' in vhost 'VHOST' in use"),
    before=_BOUND,
)
row(
    "HTTP-EXCH-07",
    "deleting_a_bound_exchange",
    "An exchange is deleted with its bindings.",
    ("DELETE", "exchanges/V/x"),
    DONE,
    before=_BOUND,
)


@case("HTTP-EXCH-08")
def the_default_exchange_by_name(rabbit: Rabbit) -> None:
    """Paths call the default exchange amq.default; its name is empty."""
    told = rabbit.http("GET", "exchanges/V/amq.default").expect(200)
    equal((told["name"], told["type"], told["durable"]), ("", "direct", True))


row("HTTP-EXCH-09", "a_missing_exchange", "There is nothing to show.", ("GET", "exchanges/V/x"), NOTHING)
row("HTTP-EXCH-09", "deleting_a_missing_exchange", "There is nothing to delete.", ("DELETE", "exchanges/V/x"), NOTHING)
row(
    "HTTP-EXCH-09",
    "an_exchange_put_in_an_unknown_vhost",
    "Putting an exchange where there is no virtual host says so.",
    ("PUT", "exchanges/no-such-vhost-anywhere/x", {}),
    missing("vhost_not_found"),
)


@case("HTTP-EXCH-10", "HTTP-LIST-10")
def predeclared_exchanges_over_http(rabbit: Rabbit) -> None:
    """A new virtual host has seven exchanges, listed by name; one of them is internal."""
    told = [each for each in rabbit.http("GET", "exchanges/V").expect(200) if each["name"] not in _OF_PLUGINS]
    names = ["", "amq.direct", "amq.fanout", "amq.headers", "amq.match", "amq.rabbitmq.trace", "amq.topic"]
    equal([each["name"] for each in told], names)
    equal([each["name"] for each in told if each["internal"]], ["amq.rabbitmq.trace"])


row(
    "HTTP-EXCH-01",
    "an_exchange_put_with_all_of_it",
    "An exchange is put with type, flags and arguments.",
    (
        "PUT",
        "exchanges/V/x",
        {
            "type": "topic",
            "durable": True,
            "auto_delete": True,
            "internal": True,
            "arguments": {"alternate-exchange": "y"},
        },
    ),
    CREATED,
)
