"""The management API: policies, parameters and global parameters (HTTP-POL, HTTP-PARAM)."""

import secrets

from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CRASHED, CREATED, DONE, NOTHING, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit

_BODY = {"pattern": "^q", "definition": {"max-length": 5}}
_PATHS = ("policies", "operator-policies")


def _invalid(text: str) -> tuple[int, object]:
    return bad(f"Validation failed\n\n{text}\n")


def _escaped(text: str) -> dict[str, tuple[int, object]]:
    """3.10 writes HTML where policies are concerned."""
    return {"3.10": _invalid(text.replace("<", "&lt;").replace(">", "&gt;")), "4.3": _invalid(text)}


for path in _PATHS:
    kind = path.replace("-", "_")
    put: Request = ("PUT", f"{path}/V/p", _BODY)
    row("HTTP-POL-01", f"{kind}_put", "A new policy is 201.", put, CREATED)
    row("HTTP-POL-01", f"{kind}_put_again", "A policy that is there is 204.", put, DONE, before=[put])
    row(
        "HTTP-POL-01",
        f"{kind}_without_its_keys",
        "Pattern and definition have to be said.",
        ("PUT", f"{path}/V/p", {}),
        bad("[{key_missing,pattern},{key_missing,definition}]"),
    )
    row(
        "HTTP-SHAPE-21",
        f"{kind}_shown",
        "A policy is shown with all of it.",
        ("GET", f"{path}/V/p"),
        (
            200,
            {
                "vhost": "VHOST",
                "name": "p",
                "pattern": "^q",
                "apply-to": "all" if path == "policies" else "queues",
                "definition": {"max-length": 5},
                "priority": 0,
            },
        ),
        before=[("PUT", f"{path}/V/p", {**_BODY, **({} if path == "policies" else {"apply-to": "queues"})})],
    )
    row(
        "HTTP-POL-12",
        f"{kind}_deleted",
        "A policy is deleted.",
        ("DELETE", f"{path}/V/p"),
        DONE,
        before=[put],
    )
    row("HTTP-POL-12", f"{kind}_that_are_missing", "There is nothing to delete.", ("DELETE", f"{path}/V/p"), NOTHING)
    row(
        "HTTP-POL-12",
        f"{kind}_in_an_unknown_vhost",
        "There has to be a virtual host.",
        ("PUT", f"{path}/no-such-vhost-anywhere/p", _BODY),
        missing("vhost_not_found"),
    )
    row(
        "HTTP-POL-05",
        f"{kind}_with_text_for_a_definition",
        "A definition that is no object is a crash.",
        ("PUT", f"{path}/V/p", {**_BODY, "definition": "x"}),
        CRASHED,
    )
for name, body in (("without_apply_to", {}), ("with_another_name", {"name": "z", "vhost": "z"})):
    row(
        "HTTP-POL-12",
        f"a_policy_{name}",
        "Name and virtual host are those of the path.",
        ("PUT", "policies/V/p", {**_BODY, **body}),
        CREATED,
    )
row(
    "HTTP-POL-03",
    "a_policy_for_nothing",
    "What a policy applies to is one of some words.",
    ("PUT", "policies/V/p", {**_BODY, "apply-to": "bogus"}),
    {
        "3.10": _invalid("apply-to 'bogus' unrecognised; should be 'queues', 'exchanges' or 'all'"),
        "4.3": _invalid(
            "apply-to 'bogus' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', "
            "'exchanges', or 'all'"
        ),
    },
)
row(
    "HTTP-POL-04",
    "a_priority_of_text",
    "A priority is a number.",
    ("PUT", "policies/V/p", {**_BODY, "priority": "5"}),
    _escaped('priority should be a number, actually was <<"5">>'),
)
row(
    "HTTP-POL-04",
    "a_priority_of_null",
    "A priority is a number.",
    ("PUT", "policies/V/p", {**_BODY, "priority": None}),
    _invalid("priority should be a number, actually was null"),
)
row(
    "HTTP-POL-04",
    "a_priority_with_a_fraction",
    "A priority keeps its fraction.",
    ("GET", "policies/V/p?columns=priority"),
    (200, {"priority": 1.5}),
    before=[("PUT", "policies/V/p", {**_BODY, "priority": 1.5})],
)
row(
    "HTTP-POL-05",
    "an_empty_policy",
    "A policy asks for something.",
    ("PUT", "policies/V/p", {**_BODY, "definition": {}}),
    _invalid("no policy provided"),
)
row(
    "HTTP-POL-06",
    "a_pattern_of_numbers",
    "A pattern is text.",
    ("PUT", "policies/V/p", {**_BODY, "pattern": 5}),
    _invalid("pattern should be a binary but was 5"),
)
row(
    "HTTP-POL-06",
    "a_bad_pattern",
    "A pattern is a regular expression.",
    ("PUT", "policies/V/p", {**_BODY, "pattern": "["}),
    _invalid(
        'pattern should be regular expression but is invalid: {"missing terminating ] for character class",\n'
        f"{' ' * 54}1}}"
    ),
)
for key, value, text in (
    ("max-length", -1, "-1 is not a valid maximum length"),
    ("message-ttl", 1.5, "1.5 is not a valid message TTL"),
    ("expires", 0, "0 is not a valid queue expiry"),
    ("dead-letter-exchange", 5, "5 is not a valid dead letter exchange name"),
    ("alternate-exchange", 5, "5 is not a valid alternate exchange name"),
    ("overflow", "bogus", '<<"bogus">> is not a valid overflow value'),
    ("max-age", "5", '<<"5">> is not a valid max age'),
):
    row(
        "HTTP-POL-07",
        f"a_policy_with_a_bad_{key.replace('-', '_')}",
        f"The key {key} of {value!r} is refused.",
        ("PUT", "policies/V/p", {**_BODY, "definition": {key: value}}),
        _escaped(text),
    )
row(
    "HTTP-POL-08",
    "a_policy_with_unknown_keys",
    "Keys that nobody knows are named.",
    ("PUT", "policies/V/p", {**_BODY, "definition": {"bogus": 1, "bogus2": "x"}}),
    _escaped('[{<<"bogus">>,1},{<<"bogus2">>,<<"x">>}] are not recognised policy settings'),
)
row(
    "HTTP-POL-09",
    "an_operator_policy_with_unknown_keys",
    "Operator policies are not written as HTML.",
    ("PUT", "operator-policies/V/p", {**_BODY, "apply-to": "queues", "definition": {"bogus": 1}}),
    _invalid('[{<<"bogus">>,1}] are not recognised policy settings'),
)


@case("HTTP-POL-11", "HTTP-PARAM-01")
def policies_as_parameters(rabbit: Rabbit) -> None:
    """Policies are parameters as well, to look at alone."""
    http = rabbit.http
    http("PUT", "policies/V/p", _BODY).expect(201)
    http("PUT", "operator-policies/V/o", {**_BODY, "apply-to": "queues"}).expect(201)
    (told,) = http("GET", "parameters/operator_policy/V").expect(200)
    equal((told["component"], told["name"], told["vhost"]), ("operator_policy", "o", rabbit.vhost))
    equal(told["value"]["definition"], {"max-length": 5})
    equal([each["name"] for each in http("GET", "parameters/policy/V").expect(200)], ["p"])
    answer = http("PUT", "parameters/policy/V/p", {"value": _BODY})
    answer.expect_refused(400, "bad_request", "policies may not be set using this method")


row(
    "HTTP-PARAM-02",
    "a_parameter_of_an_unknown_component",
    "There has to be such a component.",
    ("PUT", "parameters/bogus/V/p", {"value": 1}),
    _invalid("component bogus not found"),
)
row(
    "HTTP-PARAM-02",
    "a_parameter_without_a_value",
    "A parameter has a value.",
    ("PUT", "parameters/bogus/V/p", {}),
    bad("[{key_missing,value}]"),
)
row("HTTP-EP-070", "parameters_of_an_unknown_component", "It has none.", ("GET", "parameters/bogus"), (200, []))
row(
    "HTTP-EP-071",
    "parameters_in_an_unknown_vhost",
    "There has to be a virtual host.",
    ("GET", "parameters/vhost-limits/no-such-vhost-anywhere"),
    NOTHING,
)


@case("HTTP-PARAM-04")
def a_global_parameter(rabbit: Rabbit) -> None:
    """A global parameter has any value, and is put, shown, and deleted."""
    http, path = rabbit.http, f"global-parameters/hutch-{secrets.token_hex(4)}"
    try:
        http("PUT", path, {"value": [1, {"a": None}]}).expect(201, None)
        http("PUT", path, {"value": "x"}).expect(204, None)
        told = http("GET", path).expect(200)
        equal((told["value"], told["name"]), ("x", path.partition("/")[2]))
        equal(told in http("GET", "global-parameters").expect(200), True)
    finally:
        http("DELETE", path).expect(204, None)
    http("DELETE", path).expect_refused(404, "Object Not Found", "Not Found")


@case("HTTP-STAT-07")
def a_policy_over_http_holds(rabbit: Rabbit) -> None:
    """A policy holds at once for a queue that is there, and the queue shows it a moment later."""
    http = rabbit.http
    http("PUT", "queues/V/q", {}).expect(201)
    http("PUT", "policies/V/p", {"pattern": "^q$", "definition": {"max-length": 1}}).expect(201)

    def told() -> bool:
        shown = http("GET", "queues/V/q").expect(200)
        wanted = ("p", {"max-length": 1})
        return (shown.get("policy"), shown.get("effective_policy_definition")) == wanted

    rabbit.eventually(told, "the queue shows no policy")
