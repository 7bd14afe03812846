"""The management API: who may call (HTTP-AUTH)."""

import base64

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal
from hutch.conformance.http_rows import CREATED, DENIED, NOTHING, bad, missing, row, unauthorised
from hutch.conformance.rabbit import Rabbit

_CHALLENGE = 'Basic realm="RabbitMQ Management"'
_FOREIGN = {
    "3.10": unauthorised("User not authorised to access virtual host"),
    "4.3": missing("Not Found"),
}


@case("HTTP-AUTH-01")
def no_credentials(rabbit: Rabbit) -> None:
    """Without credentials the answer is 401, empty, with a challenge."""
    answer = rabbit.http("GET", "whoami", login=("", ""))
    answer.expect(401, None)
    equal(answer.headers.get("www-authenticate"), _CHALLENGE)


@case("HTTP-AUTH-02")
def a_wrong_password(rabbit: Rabbit) -> None:
    """A wrong password and an unknown user are told alike, on 3.10 with a challenge."""
    user = rabbit.admin.add_user("administrator")
    for login in ((user, "wrong"), ("nobody-at-all", PASSWORD), (user, "")):
        answer = rabbit.http("GET", "whoami", login=login)
        reason = "Login failed" if rabbit.profile == "3.10" else "Not_Authorized"
        answer.expect_refused(401, "not_authorized", reason)
        equal(answer.headers.get("www-authenticate"), _CHALLENGE if rabbit.profile == "3.10" else None)


@case("HTTP-AUTH-02")
def a_bearer_token(rabbit: Rabbit) -> None:
    """A bearer token is a failed login where nobody gives tokens."""
    answer = rabbit.http("GET", "whoami", login=("", ""), headers={"Authorization": "Bearer x"})
    answer.expect_refused(401, "not_authorized", "Login failed" if rabbit.profile == "3.10" else "Not_Authorized")


@case("HTTP-AUTH-03")
def no_tag_that_opens_the_api(rabbit: Rabbit) -> None:
    """A user without one of the API's tags is refused. Other tags make no difference."""
    for tags in ((), ("whatever",)):
        user = rabbit.admin.add_user(*tags)
        answer = rabbit.http("GET", "whoami", login=(user, PASSWORD))
        answer.expect_refused(401, "not_authorised", "Not management user")
        equal(answer.headers.get("www-authenticate"), None)


@case("HTTP-AUTH-10")
def whoami_by_tag(rabbit: Rabbit) -> None:
    """Each of the four tags opens the API, which tells the user's name and tags."""
    for tag in ("management", "policymaker", "monitoring", "administrator"):
        user = rabbit.admin.add_user(tag)
        told = rabbit.http("GET", "whoami", login=(user, PASSWORD)).expect(200)
        equal((told["name"], told["tags"]), (user, [tag]))


@case("HTTP-AUTH-10")
def a_policymaker_does_not_monitor(rabbit: Rabbit) -> None:
    """The tags policymaker and monitoring do not stand for one another."""
    user = rabbit.admin.add_user("policymaker")
    rabbit.http("GET", "nodes", login=(user, PASSWORD)).expect_refused(401, "not_authorised", "Not monitor user")
    user = rabbit.admin.add_user("monitoring")
    answer = rabbit.http("GET", "parameters", login=(user, PASSWORD))
    answer.expect_refused(401, "not_authorised", "User not authorised to access object")


for path in ("users", "permissions", "vhosts/V", "users/guest", "definitions", "topic-permissions"):
    row(
        "HTTP-AUTH-04",
        f"{path.partition('/')[0].replace('-', '_')}{'_one' if '/' in path else '_all'}_need_administrator",
        f"The path {path} is for administrators.",
        ("GET", path),
        unauthorised("Not administrator user"),
        user=["monitoring"],
    )
for path in ("nodes", "nodes/x"):
    row(
        "HTTP-AUTH-05",
        f"{path.replace('/', '_')}_need_monitoring",
        f"The path {path} needs the tag monitoring.",
        ("GET", path),
        unauthorised("Not monitor user"),
        user=["management"],
    )
for path in ("parameters", "global-parameters", "policies/V/p", "parameters/vhost-limits/V"):
    row(
        "HTTP-AUTH-06",
        f"{path.replace('/', '_').replace('-', '_').lower()}_need_policymaker",
        f"The path {path} needs the tag policymaker.",
        ("GET", path),
        unauthorised("User not authorised to access object"),
        user=["management"],
    )
for path in ("queues/V", "exchanges/V", "bindings/V", "policies/V", "queues/V/q", "vhosts/V/connections"):
    row(
        "HTTP-AUTH-07",
        f"{path.replace('/', '_').lower()}_of_a_foreign_vhost",
        f"The path {path} is refused, or hidden, where the user has no permissions in the virtual host.",
        ("GET", path),
        _FOREIGN,
        user=["management"],
        permissions=None,
    )
row(
    "HTTP-AUTH-08",
    "an_administrator_sees_a_foreign_vhost",
    "An administrator sees what is in a virtual host without permissions there.",
    ("GET", "queues/V"),
    (200, []),
    user=["administrator"],
    permissions=None,
)
row(
    "HTTP-AUTH-08",
    "an_administrator_declares_nothing_in_a_foreign_vhost",
    "An administrator without permissions in a virtual host declares nothing there.",
    ("PUT", "queues/V/q", {}),
    DENIED,
    user=["administrator"],
    permissions=None,
)
row(
    "HTTP-AUTH-08",
    "an_administrator_sets_policies_in_a_foreign_vhost",
    "An administrator sets policies in a virtual host without permissions there.",
    ("PUT", "policies/V/p", {"pattern": "x", "definition": {"max-length": 1}}),
    CREATED,
    user=["administrator"],
    permissions=None,
)
row(
    "HTTP-AUTH-09",
    "declaring_without_permission",
    "Declaring a queue needs the permission to configure it.",
    ("PUT", "queues/V/q", {}),
    DENIED,
    user=["management"],
    permissions=("^$", ".*", ".*"),
)
row(
    "HTTP-AUTH-09",
    "deleting_without_permission",
    "Deleting a queue needs the permission to configure it.",
    ("DELETE", "queues/V/q"),
    DENIED,
    before=[("PUT", "queues/V/q", {})],
    user=["management"],
    permissions=("^$", ".*", ".*"),
)
row(
    "HTTP-AUTH-09",
    "purging_without_permission",
    "Purging a queue needs the permission to read it.",
    ("DELETE", "queues/V/q/contents"),
    DENIED,
    before=[("PUT", "queues/V/q", {})],
    user=["management"],
    permissions=(".*", ".*", "^$"),
)
row(
    "HTTP-AUTH-09",
    "declaring_an_exchange_without_permission",
    "Declaring an exchange needs the permission to configure it.",
    ("PUT", "exchanges/V/x", {}),
    DENIED,
    user=["management"],
    permissions=("^$", ".*", ".*"),
)
row(
    "HTTP-AUTH-09",
    "binding_without_permission",
    "Binding a queue needs the permission to write to it.",
    ("POST", "bindings/V/e/amq.direct/q/q", {}),
    DENIED,
    before=[("PUT", "queues/V/q", {})],
    user=["management"],
    permissions=(".*", "^$", ".*"),
)
_GET = {"ackmode": "ack_requeue_true", "count": 1, "encoding": "auto"}
_MESSAGE = {"routing_key": "q", "properties": {}, "payload": "x", "payload_encoding": "string"}
row(
    "HTTP-AUTH-09",
    "getting_without_permission",
    "Getting messages needs the permission to read the queue; the text is AMQP's.",
    ("POST", "queues/V/q/get", _GET),
    {
        "3.10": unauthorised("ACCESS_REFUSED - access to queue 'q' in vhost 'VHOST' refused for user 'USER'"),
        "4.3": unauthorised("ACCESS_REFUSED - read access to queue 'q' in vhost 'VHOST' refused for user 'USER'"),
    },
    before=[("PUT", "queues/V/q", {})],
    user=["management"],
    permissions=(".*", ".*", "^$"),
)
row(
    "HTTP-AUTH-09",
    "publishing_without_permission",
    "Publishing needs the permission to write to the exchange; the answer is 400 with AMQP's code and text.",
    ("POST", "exchanges/V/amq.direct/publish", _MESSAGE),
    {
        "3.10": bad("403 ACCESS_REFUSED - access to exchange 'amq.direct' in vhost 'VHOST' refused for user 'USER'"),
        "4.3": bad(
            "403 ACCESS_REFUSED - write access to exchange 'amq.direct' in vhost 'VHOST' refused for user 'USER'"
        ),
    },
    user=["management"],
    permissions=(".*", "^$", ".*"),
)
row(
    "HTTP-AUTH-09",
    "seeing_without_permission",
    "Who may do nothing in a virtual host still sees what is in it.",
    ("GET", "exchanges/V/amq.direct?columns=name"),
    (200, {"name": "amq.direct"}),
    user=["management"],
    permissions=("^$", "^$", "^$"),
)


@case("HTTP-AUTH-11")
def unknown_paths_before_the_login(rabbit: Rabbit) -> None:
    """An unknown path, and a method that a path lacks, are told without a login."""
    rabbit.http("GET", "no-such-path", login=("", "")).expect_refused(404, "Object Not Found", "Not Found")
    rabbit.http("POST", "whoami", login=("", "")).expect(405, None)


row(
    "HTTP-AUTH-11",
    "an_unknown_vhost_before_the_permission",
    "A virtual host that does not exist is told as that to who could not enter it.",
    ("GET", "queues/no-such-vhost-anywhere"),
    NOTHING,
    user=["management"],
)


@case("HTTP-AUTH-12")
def a_lower_case_scheme(rabbit: Rabbit) -> None:
    """The scheme may be written in lower case."""
    http = rabbit.http
    user = rabbit.admin.add_user("management")
    token = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    http("GET", "whoami", login=("", ""), headers={"Authorization": f"basic {token}"}).expect(200)


@case("HTTP-AUTH-13")
def a_malformed_login(rabbit: Rabbit) -> None:
    """Credentials that cannot be read are 400, empty; so is another scheme."""
    for header in ("Basic !!!", "Basic Z3Vlc3Q=", "Basic", "Foo x"):
        rabbit.http("GET", "whoami", login=("", ""), headers={"Authorization": header}).expect(400, None)


@case("HTTP-AUTH-14")
def a_cookie_is_no_login(rabbit: Rabbit) -> None:
    """A cookie logs nobody in."""
    rabbit.http("GET", "whoami", login=("", ""), headers={"Cookie": "auth=Z3Vlc3Q6Z3Vlc3Q="}).expect(401, None)


@case("HTTP-AUTH-16")
def who_calls_is_deleted(rabbit: Rabbit) -> None:
    """An administrator may delete the user whose login the request has."""
    user = rabbit.admin.add_user("administrator")
    rabbit.http("DELETE", f"users/{user}", login=(user, PASSWORD)).expect(204, None)
    rabbit.http("GET", "whoami", login=(user, PASSWORD)).expect(401)
    rabbit.admin.forget_user(user)


@case("HTTP-AUTH-17")
def lists_show_what_the_user_may_enter(rabbit: Rabbit) -> None:
    """Lists of queues have only virtual hosts that the user may enter, even for a user with the tag monitoring."""
    rabbit.http("PUT", "queues/V/q", {}).expect(201)
    stranger = rabbit.admin.add_user("monitoring")
    equal(rabbit.http("GET", "queues", login=(stranger, PASSWORD)).expect(200), [])
    rabbit.admin.set_permissions(stranger, "^$", "^$", "^$")
    told = rabbit.http("GET", "queues", login=(stranger, PASSWORD)).expect(200)
    equal([(each["vhost"], each["name"]) for each in told], [(rabbit.vhost, "q")])
