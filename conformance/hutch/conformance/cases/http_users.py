"""The management API: users and their limits (HTTP-USER)."""

import base64
import hashlib

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import CRASHED, NOTHING, bad, row
from hutch.conformance.rabbit import Rabbit
from hutch.wire import methods as amqp

_NO_USER = "no-such-user-anywhere"


def _body(**more: object) -> dict[str, object]:
    return {"password": PASSWORD, "tags": "management", **more}


@case("HTTP-USER-01", "HTTP-SHAPE-18")
def a_user_put(rabbit: Rabbit) -> None:
    """A user is put, shown with a hash and tags as a list, put again, and deleted."""
    user, http = rabbit.admin.reserve_user(), rabbit.http
    http("PUT", f"users/{user}", _body()).expect(201, None)
    told = http("GET", f"users/{user}").expect(200)
    equal(sorted(told), ["hashing_algorithm", "limits", "name", "password_hash", "tags"])
    equal((told["name"], told["tags"], told["limits"]), (user, ["management"], {}))
    equal(told["hashing_algorithm"], "rabbit_password_hashing_sha256")
    true(told in http("GET", "users").expect(200), "the user is not in the list")
    http("PUT", f"users/{user}", _body(tags="")).expect(204, None)
    http("DELETE", f"users/{user}").expect(204, None)
    http("DELETE", f"users/{user}").expect_refused(404, "Object Not Found", "Not Found")
    rabbit.admin.forget_user(user)


@case("HTTP-USER-04", "HTTP-USER-05")
def password_hashes(rabbit: Rabbit) -> None:
    """A password is kept as a salt of four bytes and their SHA-256; such a hash can be given in its place."""
    user, other, http = rabbit.admin.reserve_user(), rabbit.admin.reserve_user(), rabbit.http
    http("PUT", f"users/{user}", _body()).expect(201)
    salted = base64.b64decode(http("GET", f"users/{user}").expect(200)["password_hash"])
    equal(salted[4:], hashlib.sha256(salted[:4] + PASSWORD.encode()).digest())
    digest = hashlib.sha256(b"salt" + PASSWORD.encode()).digest()
    given = base64.b64encode(b"salt" + digest).decode()
    http("PUT", f"users/{other}", {"password_hash": given, "tags": "management"}).expect(201)
    equal(http("GET", f"users/{other}").expect(200)["password_hash"], given)
    http("GET", "whoami", login=(other, PASSWORD)).expect(200)
    http("GET", "whoami", login=(other, "wrong")).expect(401)


row(
    "HTTP-USER-02",
    "a_user_without_tags",
    "The tags have to be said.",
    ("PUT", "users/USER", {"password": PASSWORD}),
    bad("tags_not_present"),
    user=["administrator"],
)
row(
    "HTTP-USER-06",
    "a_user_with_two_passwords",
    "There is either a password or a hash.",
    ("PUT", "users/USER", _body(password_hash="")),
    bad("both_password_and_password_hash_are_provided"),
    user=["administrator"],
)
row(
    "HTTP-USER-05",
    "a_hash_that_is_no_base64",
    "A hash is base64.",
    ("PUT", "users/USER", {"password_hash": "!!", "tags": ""}),
    bad(["not_base64", "!!"]),
    user=["administrator"],
)
for name, value in (("numbers", 5), ("null", None)):
    row(
        "HTTP-USER-03",
        f"tags_of_{name}",
        f"Tags that are {name} are a crash.",
        ("PUT", "users/USER", _body(tags=value)),
        CRASHED,
        user=["administrator"],
    )
row(
    "HTTP-USER-04",
    "a_password_of_numbers",
    "A password that is no text is a crash.",
    ("PUT", "users/USER", _body(password=5)),
    CRASHED,
    user=["administrator"],
)


@case("HTTP-USER-03")
def tags_of_a_user(rabbit: Rabbit) -> None:
    """Tags are text with commas or a list, and any words."""
    user, http = rabbit.admin.add_user(), rabbit.http
    for given, told in (("a, b ,c", ["a", "b", "c"]), (["a", "b"], ["a", "b"]), ("", []), ([], [])):
        http("PUT", f"users/{user}", _body(tags=given)).expect(204)
        equal(http("GET", f"users/{user}").expect(200)["tags"], told)
    http("PUT", f"users/{user}", {"password": PASSWORD, "administrator": True}).expect(204)
    equal(http("GET", f"users/{user}").expect(200)["tags"], ["administrator"])


@case("HTTP-USER-08")
def tags_alone(rabbit: Rabbit) -> None:
    """Tags alone take a user's password away."""
    user = rabbit.admin.add_user("management")
    rabbit.http("PUT", f"users/{user}", {"tags": "management"}).expect(204, None)
    equal(rabbit.http("GET", f"users/{user}").expect(200)["password_hash"], "")
    rabbit.http("GET", "whoami", login=(user, PASSWORD)).expect(401)


@case("HTTP-USER-09")
def an_empty_password(rabbit: Rabbit) -> None:
    """An empty password is hashed, and logs nobody in."""
    user = rabbit.admin.reserve_user()
    rabbit.http("PUT", f"users/{user}", {"password": "", "tags": "management"}).expect(201)
    true(rabbit.http("GET", f"users/{user}").expect(200)["password_hash"], "the hash is empty")
    rabbit.http("GET", "whoami", login=(user, "")).expect(401)


@case("HTTP-USER-10", "HTTP-LIMIT-03")
def limits_of_a_user(rabbit: Rabbit) -> None:
    """Limits of a user are set with the user or one by one, shown, and cleared."""
    user, http = rabbit.admin.reserve_user(), rabbit.http
    http("PUT", f"users/{user}", _body(limits={"max-channels": 5})).expect(201)
    equal(http("GET", f"users/{user}").expect(200)["limits"], {"max-channels": 5})
    http("PUT", f"user-limits/{user}/max-connections", {"value": 3}).expect(204, None)
    wanted = {"user": user, "value": {"max-channels": 5, "max-connections": 3}}
    equal(http("GET", f"user-limits/{user}").expect(200), [wanted])
    true(wanted in http("GET", "user-limits").expect(200), "the limits are not in the list of all")
    for limit in ("max-channels", "max-connections", "max-connections"):
        http("DELETE", f"user-limits/{user}/{limit}").expect(204, None)
    equal(http("GET", f"user-limits/{user}").expect(200), [])


for name, limit, number, text in (
    ("with_a_fraction", "max-channels", 1.5, "max-channels should be a number, actually was 1.5"),
    ("that_is_unknown", "bogus", 1, 'Unrecognised terms [{<<"bogus">>,1}] in user-limits'),
):
    row(
        "HTTP-LIMIT-03",
        f"a_user_limit_{name}",
        f"The limit {limit} of {number!r} is refused.",
        ("PUT", f"user-limits/USER/{limit}", {"value": number}),
        bad(text),
        user=["administrator"],
    )
row(
    "HTTP-LIMIT-03",
    "a_limit_of_an_unknown_user",
    "There has to be a user.",
    ("PUT", f"user-limits/{_NO_USER}/max-channels", {"value": 1}),
    bad(["no_such_user", _NO_USER]),
)
row(
    "HTTP-EP-061",
    "limits_of_an_unknown_user",
    "There is nothing to show.",
    ("GET", f"user-limits/{_NO_USER}"),
    NOTHING,
)
row("HTTP-EP-057", "permissions_of_nobody", "There is no such user.", ("GET", f"users/{_NO_USER}/permissions"), NOTHING)
row("HTTP-EP-056", "nobody", "There is no such user.", ("GET", f"users/{_NO_USER}"), NOTHING)


@case("HTTP-USER-11")
def names_of_users(rabbit: Rabbit) -> None:
    """Names of users may have any letters."""
    user = rabbit.admin.reserve_user("/:")
    encoded = user.replace("/", "%2F").replace(":", "%3A")
    rabbit.http("PUT", f"users/{encoded}", _body()).expect(201)
    equal(rabbit.http("GET", f"users/{encoded}").expect(200)["name"], user)


@case("HTTP-USER-12")
def users_deleted_together(rabbit: Rabbit) -> None:
    """Several users are deleted at once; an unknown name ends that on 3.10."""
    first, second, third = (rabbit.admin.add_user() for _ in range(3))
    rabbit.http("POST", "users/bulk-delete", {"users": [first, second]}).expect(204, None)
    rabbit.admin.forget_user(first)
    rabbit.admin.forget_user(second)
    answer = rabbit.http("POST", "users/bulk-delete", {"users": [_NO_USER, third]})
    if rabbit.profile == "3.10":
        answer.expect_refused(400, "bad_request", ["no_such_user", _NO_USER])
    else:
        answer.expect(204, None)
        rabbit.admin.forget_user(third)


row(
    "HTTP-USER-12",
    "users_deleted_by_one_text",
    "The names are a list.",
    ("POST", "users/bulk-delete", {"users": _NO_USER}),
    CRASHED,
)


@case("HTTP-USER-13")
def a_user_deleted_over_http(rabbit: Rabbit) -> None:
    """The connections of a user that is deleted are closed."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    rabbit.http("DELETE", f"users/{user}").expect(204, None)
    rabbit.admin.forget_user(user)
    raw.expect_close(320, f"user '{user}' is deleted", (0, 0))


@case("HTTP-EP-054")
def users_without_permissions(rabbit: Rabbit) -> None:
    """Users who may enter no virtual host are listed."""
    user, other = rabbit.admin.add_user(), rabbit.admin.add_permitted_user()
    told = {each["name"] for each in rabbit.http("GET", "users/without-permissions").expect(200)}
    true(user in told and other not in told, f"{user} and not {other} is expected in {told}")


@case("HTTP-USER-14")
def a_password_changed_over_http(rabbit: Rabbit) -> None:
    """Connections of a user whose password changes stay open."""
    user = rabbit.admin.add_permitted_user()
    raw = rabbit.raw(user)
    rabbit.http("PUT", f"users/{user}", {"password": "another", "tags": ""}).expect(204)
    raw.channel().call(amqp.QueueDeclare(queue="q", exclusive=True))


@case("HTTP-MISC-01")
def login_by_a_form(rabbit: Rabbit) -> None:
    """Name and password in a form are checked, and answered with a cookie on 3.10, with a token on 4.3."""
    user = rabbit.admin.add_user("management")
    form = f"username={user}&password={PASSWORD}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = rabbit.http("POST", "login", raw=form, headers=headers, login=("", ""))
    token = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    if rabbit.profile == "3.10":
        answer.expect(200, "ok")
        equal(answer.headers["set-cookie"], f"auth={token}; Version=1")
    else:
        told = answer.expect(200)
        equal(told["token"], {"type": "basic", "value": token})
        equal((told["user"]["name"], told["user"]["tags"]), (user, ["management"]))


@case("HTTP-MISC-02")
def a_failed_login_by_a_form(rabbit: Rabbit) -> None:
    """A wrong password in a form, JSON in its place, and nothing are failed logins."""
    user = rabbit.admin.add_user("management")
    reason = "Login failed" if rabbit.profile == "3.10" else "Not_Authorized"
    for raw in (f"username={user}&password=wrong".encode(), b'{"username": "x", "password": "y"}', b""):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = rabbit.http("POST", "login", raw=raw, headers=headers, login=("", ""))
        answer.expect_refused(401, "not_authorized", reason)
