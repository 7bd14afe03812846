"""The management API: virtual hosts, permissions and limits (HTTP-VHOST, HTTP-PERM, HTTP-LIMIT)."""

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import CRASHED, CREATED, DONE, NOTHING, Request, bad, missing, row
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp

_ALL = {"configure": ".*", "write": ".*", "read": ".*"}
_NO_USER = "no-such-user-anywhere"
_NO_VHOST = "no-such-vhost-anywhere"


# virtual hosts


@case("HTTP-VHOST-01", "HTTP-VHOST-02")
def a_vhost_put(rabbit: Rabbit) -> None:
    """A virtual host that is put is there, with description and tags, and the caller may do everything in it."""
    vhost = rabbit.admin.reserve_vhost()
    rabbit.http("PUT", f"vhosts/{vhost}", {"description": "d", "tags": "a, b"}).expect(201, None)
    told = rabbit.http("GET", f"vhosts/{vhost}").expect(200)
    equal([told["name"], told["description"], told["tags"], told["tracing"]], [vhost, "d", ["a", "b"], False])
    equal((told["metadata"]["description"], told["metadata"]["tags"]), ("d", ["a", "b"]))
    equal(told["default_queue_type"], "undefined" if rabbit.profile == "3.10" else "classic")
    me = rabbit.http("GET", "whoami").expect(200)["name"]
    equal(rabbit.http("GET", f"permissions/{vhost}/{me}").expect(200), {"user": me, "vhost": vhost, **_ALL})


@case("HTTP-VHOST-03")
def a_vhost_put_again(rabbit: Rabbit) -> None:
    """A virtual host that is put again is 204, and has other metadata: what is left out is empty."""
    vhost = rabbit.admin.reserve_vhost()
    rabbit.http("PUT", f"vhosts/{vhost}", {"description": "d", "tags": ["a"]}).expect(201)
    rabbit.http("PUT", f"vhosts/{vhost}", {"description": "e"}).expect(204, None)
    told = rabbit.http("GET", f"vhosts/{vhost}").expect(200)
    equal([told["description"], told["tags"]], ["e", []])


@case("HTTP-VHOST-04", profiles=["4.3"])
def a_default_queue_type_over_http(rabbit: Rabbit) -> None:
    """A virtual host has a default queue type; one that does not exist is refused."""
    vhost = rabbit.admin.reserve_vhost()
    rabbit.http("PUT", f"vhosts/{vhost}", {"default_queue_type": "quorum"}).expect(201)
    equal(rabbit.http("GET", f"vhosts/{vhost}").expect(200)["default_queue_type"], "quorum")
    answer = rabbit.http("PUT", f"vhosts/{vhost}", {"default_queue_type": "bogus"})
    answer.expect_refused(400, "bad_request", "bogus is not a valid queue type")


@case("HTTP-VHOST-05")
def a_vhost_that_is_traced(rabbit: Rabbit) -> None:
    """Tracing is turned on and off with a virtual host."""
    vhost = rabbit.admin.reserve_vhost()
    rabbit.http("PUT", f"vhosts/{vhost}", {"tracing": True}).expect(201)
    equal(rabbit.http("GET", f"vhosts/{vhost}").expect(200)["tracing"], True)
    rabbit.http("PUT", f"vhosts/{vhost}", {"tracing": "false"}).expect(204)
    equal(rabbit.http("GET", f"vhosts/{vhost}").expect(200)["tracing"], False)


row(
    "HTTP-VHOST-07",
    "protecting_an_unknown_vhost",
    "A virtual host is protected from deletion on 4.3 alone.",
    ("POST", f"vhosts/{_NO_VHOST}/deletion/protection", {}),
    {
        "3.10": (405, None),
        "4.3": missing(f"Cannot enable deletion protection of virtual host '{_NO_VHOST}' because it does not exist"),
    },
)


@case("HTTP-VHOST-07", profiles=["4.3"])
def a_protected_vhost(rabbit: Rabbit) -> None:
    """A virtual host that is protected from deletion is not deleted until the protection ends."""
    vhost = rabbit.admin.add_vhost()
    rabbit.http("POST", f"vhosts/{vhost}/deletion/protection", {}).expect(204, None)
    equal(rabbit.http("GET", f"vhosts/{vhost}").expect(200)["protected_from_deletion"], True)
    text = f"Refusing to delete virtual host '{vhost}' because it is protected from deletion"
    rabbit.http("DELETE", f"vhosts/{vhost}").expect_refused(412, "precondition_failed", text)
    rabbit.http("DELETE", f"vhosts/{vhost}/deletion/protection").expect(204, None)
    equal(rabbit.http("GET", f"vhosts/{vhost}").expect(200)["protected_from_deletion"], False)


@case("HTTP-VHOST-08", "HTTP-VHOST-09")
def a_vhost_deleted(rabbit: Rabbit) -> None:
    """A virtual host is deleted with its connections; then there is nothing to delete."""
    vhost = rabbit.admin.add_vhost()
    raw = rabbit.raw(virtual_host=vhost)
    rabbit.http("DELETE", f"vhosts/{vhost}").expect(204, None)
    rabbit.admin.forget_vhost(vhost)
    equal(raw.expect(amqp.ConnectionClose).reply_code, 320)
    rabbit.http("DELETE", f"vhosts/{vhost}").expect_refused(404, "Object Not Found", "Not Found")


row(
    "HTTP-EP-052",
    "a_vhost_started_on_an_unknown_node",
    "A virtual host is started on a node that is there.",
    ("POST", "vhosts/V/start/n@localhost", {}),
    {
        "3.10": bad("Request to node n@localhost failed with nodedown"),
        "4.3": bad("Unknown node: n@localhost"),
    },
)


# permissions


@case("HTTP-PERM-01", "HTTP-SHAPE-20")
def permissions_put(rabbit: Rabbit) -> None:
    """Permissions are put, shown in four lists, and deleted."""
    user, http = rabbit.admin.add_user(), rabbit.http
    body = {"configure": "^a", "write": "", "read": ".*"}
    http("PUT", f"permissions/V/{user}", body).expect(201, None)
    http("PUT", f"permissions/V/{user}", body).expect(204, None)
    wanted = {"user": user, "vhost": rabbit.vhost, **body}
    equal(http("GET", f"permissions/V/{user}").expect(200), wanted)
    equal(http("GET", f"users/{user}/permissions").expect(200), [wanted])
    for path in ("permissions", "vhosts/V/permissions"):
        true(wanted in http("GET", path).expect(200), f"{path} lacks {wanted}")
    http("DELETE", f"permissions/V/{user}").expect(204, None)
    http("DELETE", f"permissions/V/{user}").expect_refused(404, "Object Not Found", "Not Found")


row(
    "HTTP-PERM-01",
    "permissions_with_a_key_missing",
    "Each of the three has to be said.",
    ("PUT", "permissions/V/USER", {"configure": ".*"}),
    bad("[{key_missing,write},{key_missing,read}]"),
    user=["administrator"],
)
row(
    "HTTP-PERM-02",
    "permissions_that_are_no_pattern",
    "What is no regular expression is refused, its text as numbers.",
    ("PUT", "permissions/V/USER", {**_ALL, "write": "["}),
    bad(["invalid_regexp", [91], [list(b"missing terminating ] for character class"), 1]]),
    user=["administrator"],
)
row(
    "HTTP-PERM-03",
    "permissions_of_an_unknown_user",
    "User and virtual host have to be there.",
    ("PUT", f"permissions/V/{_NO_USER}", _ALL),
    bad("vhost_or_user_not_found"),
)
row(
    "HTTP-PERM-03",
    "permissions_in_an_unknown_vhost",
    "User and virtual host have to be there.",
    ("PUT", f"permissions/{_NO_VHOST}/USER", _ALL),
    bad("vhost_or_user_not_found"),
    user=["administrator"],
)
row(
    "HTTP-PERM-03",
    "no_permissions_to_show",
    "There is nothing to show.",
    ("GET", f"permissions/V/{_NO_USER}"),
    NOTHING,
)


@case("HTTP-PERM-04")
def topic_permissions_put(rabbit: Rabbit) -> None:
    """Topic permissions are put for an exchange, shown as a list, and deleted all at once."""
    user, http = rabbit.admin.add_user(), rabbit.http
    path = f"topic-permissions/V/{user}"
    http("GET", path).expect_refused(404, "Object Not Found", "Not Found")
    body = {"exchange": "amq.topic", "write": "^a", "read": "^b"}
    http("PUT", path, body).expect(201, None)
    http("PUT", path, body).expect(204, None)
    wanted = {"user": user, "vhost": rabbit.vhost, **body}
    equal(http("GET", path).expect(200), [wanted])
    equal(http("GET", f"users/{user}/topic-permissions").expect(200), [wanted])
    for everywhere in ("topic-permissions", "vhosts/V/topic-permissions"):
        true(wanted in http("GET", everywhere).expect(200), f"{everywhere} lacks {wanted}")
    http("DELETE", path).expect(204, None)
    http("GET", path).expect(404)


row(
    "HTTP-PERM-04",
    "topic_permissions_of_an_unknown_exchange",
    "4.3 wants an exchange that is there.",
    ("PUT", "topic-permissions/V/USER", {"exchange": "x", "write": "", "read": ""}),
    {"3.10": CREATED, "4.3": bad(["no_such_exchange", "x"])},
    user=["administrator"],
)


# limits of virtual hosts


@case("HTTP-LIMIT-01", "HTTP-SHAPE-23")
def limits_of_a_vhost(rabbit: Rabbit) -> None:
    """Limits of a virtual host are set, shown in a list, and cleared."""
    http = rabbit.http
    equal(http("GET", "vhost-limits/V").expect(200), [])
    http("PUT", "vhost-limits/V/max-queues", {"value": 5}).expect(204, None)
    http("PUT", "vhost-limits/V/max-connections", {"value": -1}).expect(204, None)
    wanted = {"vhost": rabbit.vhost, "value": {"max-queues": 5, "max-connections": -1}}
    equal(http("GET", "vhost-limits/V").expect(200), [wanted])
    true(wanted in http("GET", "vhost-limits").expect(200), "the limits are not in the list of all")
    http("DELETE", "vhost-limits/V/max-queues").expect(204, None)
    http("DELETE", "vhost-limits/V/max-queues").expect(204, None)
    equal(http("GET", "vhost-limits/V").expect(200), [{**wanted, "value": {"max-connections": -1}}])


for name, limit, value, text in (
    ("of_text", "max-queues", "5", 'max-queues should be a number, actually was <<"5">>'),
    ("that_is_unknown", "bogus", 5, 'Unrecognised terms [{<<"bogus">>,5}] in limits'),
):
    row(
        "HTTP-LIMIT-02",
        f"a_vhost_limit_{name}",
        f"The limit {limit} of {value!r} is refused.",
        ("PUT", f"vhost-limits/V/{limit}", {"value": value}),
        bad(f"Validation failed\n\n{text}\n"),
    )
row(
    "HTTP-LIMIT-04",
    "clearing_a_limit_of_an_unknown_vhost",
    "3.10 crashes where 4.3 says that there is no virtual host.",
    ("DELETE", f"vhost-limits/{_NO_VHOST}/max-queues"),
    {"3.10": CRASHED, "4.3": missing("vhost_not_found")},
)
row(
    "HTTP-LIMIT-04",
    "a_limit_of_an_unknown_vhost",
    "There has to be a virtual host.",
    ("PUT", f"vhost-limits/{_NO_VHOST}/max-queues", {"value": 5}),
    missing("vhost_not_found"),
)
row(
    "HTTP-EP-082",
    "limits_of_an_unknown_vhost",
    "There is nothing to show.",
    ("GET", f"vhost-limits/{_NO_VHOST}"),
    NOTHING,
)
_LIMITS: Request = ("PUT", "parameters/vhost-limits/V/limits", {"value": {"max-queues": 3}})
row("HTTP-PARAM-03", "limits_as_a_parameter", "Limits are a parameter, too.", _LIMITS, CREATED)
row("HTTP-PARAM-03", "limits_as_a_parameter_again", "A parameter again is 204.", _LIMITS, DONE, before=[_LIMITS])
row(
    "HTTP-SHAPE-22",
    "limits_shown_as_a_parameter",
    "A parameter is shown with its component.",
    ("GET", "parameters/vhost-limits/V"),
    (200, [{"value": {"max-queues": 3}, "vhost": "VHOST", "component": "vhost-limits", "name": "limits"}]),
    before=[("PUT", "vhost-limits/V/max-queues", {"value": 3})],
)
