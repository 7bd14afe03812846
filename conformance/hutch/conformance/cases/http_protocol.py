"""The management API: HTTP itself (HTTP-PROTO)."""

import json

from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import NOTHING, row
from hutch.conformance.rabbit import Rabbit


@case("HTTP-PROTO-01", "HTTP-PROTO-03")
def headers_of_an_answer(rabbit: Rabbit) -> None:
    """An answer is compact JSON that is not to be cached."""
    answer = rabbit.http("GET", "whoami")
    told = answer.expect(200)
    equal(answer.headers["content-type"], "application/json")
    equal(answer.headers["cache-control"], "no-cache")
    equal(answer.headers["content-length"], str(len(answer.body)))
    equal(answer.headers["vary"], "accept, accept-encoding, origin")
    equal("allow" in answer.headers, rabbit.profile != "3.10")
    true(b": " not in answer.body and b", " not in answer.body, "there are spaces in the answer")
    equal(json.loads(answer.body), told)


@case("HTTP-PROTO-02")
def headers_of_an_empty_answer(rabbit: Rabbit) -> None:
    """201 has a content-length of 0, and 204 has none."""
    answer = rabbit.http("PUT", "queues/V/q", {})
    answer.expect(201, None)
    equal(answer.headers["content-length"], "0")
    answer = rabbit.http("DELETE", "queues/V/q")
    answer.expect(204, None)
    equal(("content-length" in answer.headers, "content-type" in answer.headers), (False, False))


@case("HTTP-PROTO-02")
def the_words_of_a_status(rabbit: Rabbit) -> None:
    """The first line of an answer has the status in words."""
    for request, login, phrase in (
        (("GET", "whoami"), None, "OK"),
        (("PUT", "queues/V/q", {}), None, "Created"),
        (("DELETE", "queues/V/q"), None, "No Content"),
        (("DELETE", "queues/V/q"), None, "Not Found"),
        (("GET", "whoami"), ("nobody", "x"), "Unauthorized"),
        (("GET", "no-such-path/a%2Fb"), None, "Bad Request"),
        (("POST", "whoami", {}), None, "Method Not Allowed"),
    ):
        equal(rabbit.http(*request, login=login).phrase, phrase, str(request))


@case("HTTP-PROTO-04")
def a_method_that_a_path_lacks(rabbit: Rabbit) -> None:
    """A method that a path lacks is 405, empty, with those it has."""
    for path, allow in (
        ("queues/V/q", "HEAD, GET, PUT, DELETE, OPTIONS"),
        ("queues/V", "HEAD, GET, OPTIONS"),
        ("queues/V/q/contents", "DELETE, OPTIONS"),
        ("queues/V/q/get", "POST, OPTIONS"),
    ):
        answer = rabbit.http("POST" if "get" not in path else "PUT", path, {})
        answer.expect(405, None)
        equal(answer.headers["allow"], allow, path)


row("HTTP-PROTO-05", "an_unknown_path", "There is nothing.", ("GET", "no-such-path"), NOTHING)


@case("HTTP-PROTO-05", "HTTP-PROTO-06")
def other_unknown_paths(rabbit: Rabbit) -> None:
    """An unknown path cannot be written to, and one with an encoded slash is malformed."""
    for method in ("POST", "PUT", "DELETE"):
        answer = rabbit.http(method, "no-such-path", {})
        answer.expect(405, None)
        equal(answer.headers["allow"], "HEAD, GET, OPTIONS")
    rabbit.http("GET", "no-such-path/a%2Fb").expect(400, None)


@case("HTTP-PROTO-07")
def the_options_of_a_path(rabbit: Rabbit) -> None:
    """OPTIONS tells the methods of a path without a login."""
    answer = rabbit.http("OPTIONS", "queues/V/q", login=("", ""))
    answer.expect(200, None)
    equal(answer.headers["allow"], "HEAD, GET, PUT, DELETE, OPTIONS")


@case("HTTP-PROTO-08")
def the_head_of_an_answer(rabbit: Rabbit) -> None:
    """HEAD is answered as GET, without the body."""
    body = rabbit.http("GET", "whoami").body
    answer = rabbit.http("HEAD", "whoami")
    answer.expect(200, None)
    equal(answer.headers["content-length"], str(len(body)))


@case("HTTP-PROTO-08")
def no_head_of_limits(rabbit: Rabbit) -> None:
    """The lists of all limits have no HEAD."""
    for path in ("vhost-limits", "user-limits"):
        rabbit.http("HEAD", path).expect(405, None)


@case("HTTP-PROTO-09")
def what_a_client_accepts(rabbit: Rabbit) -> None:
    """The answer is JSON for who accepts that, and else 406, empty."""
    wanted = {
        "application/json": 200,
        "application/*": 200,
        "*/*": 200,
        "text/html, application/json;q=0.5": 200,
        "text/html": 406,
        "application/json;charset=utf-8": 406,
    }
    for accept, status in wanted.items():
        equal(rabbit.http("GET", "whoami", headers={"Accept": accept}).status, status, accept)


@case("HTTP-PROTO-10")
def content_types_of_bodies(rabbit: Rabbit) -> None:
    """A body is read as JSON, also with another content type."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/vnd.x+json"):
        rabbit.http("PUT", "queues/V/q", raw=b'{"durable":true}', headers={"Content-Type": kind}).expect_success()
    equal(rabbit.http("GET", "queues/V/q").expect(200)["durable"], True)


@case("HTTP-PROTO-10")
def content_types_that_count(rabbit: Rabbit) -> None:
    """Limits of virtual hosts and feature flags have to be JSON by their content type."""
    headers = {"Content-Type": "text/plain"}
    rabbit.http("PUT", "vhost-limits/V/max-queues", raw=b'{"value":1}', headers=headers).expect(415, None)
    rabbit.http("PUT", "feature-flags/quorum_queue/enable", raw=b"{}", headers=headers).expect(415, None)


@case("HTTP-PROTO-15")
def bodies_that_say_nothing(rabbit: Rabbit) -> None:
    """An empty body, a missing one, and null count as an empty object."""
    for raw in (b"", None, b"null", b"{}"):
        rabbit.http("PUT", "queues/V/q", raw=raw).expect_success()


@case("HTTP-PROTO-16")
def bodies_that_are_no_object(rabbit: Rabbit) -> None:
    """A body that is no JSON object is refused."""
    for raw in (b"[]", b"1", b"x", b'{"a":', b"{} x", b"[1]"):
        answer = rabbit.http("PUT", "queues/V/q", raw=raw)
        answer.expect_refused(400, "bad_request", "not_json")


@case("HTTP-PROTO-17")
def a_body_that_is_text(rabbit: Rabbit) -> None:
    """A body that is JSON in JSON is told."""
    answer = rabbit.http("PUT", "queues/V/q", raw=b'"{}"')
    text = "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?"
    answer.expect_refused(400, "bad_request", text)


row(
    "HTTP-PROTO-22",
    "a_key_that_nobody_knows",
    "Keys that nobody knows are not read.",
    ("PUT", "exchanges/V/x", {"whatever": 1, "name": "y", "vhost": "z"}),
    (201, None),
)


@case("HTTP-PROTO-28")
def slashes_and_dots_in_paths(rabbit: Rabbit) -> None:
    """A slash at the end changes nothing, and segments of dots are carried out."""
    rabbit.http("GET", "whoami/").expect(200)
    rabbit.http("GET", "queues/V/").expect(200, [])
    rabbit.http("GET", "users/../whoami").expect(200)
    rabbit.http("GET", "./whoami").expect(200)
    rabbit.http("GET", "queues//").expect(404)


@case("HTTP-PROTO-29")
def malformed_percents(rabbit: Rabbit) -> None:
    """A percent sign without two digits is malformed; octets that are no UTF-8 name nothing."""
    rabbit.http("GET", "queues/V/%zz").expect(400, None)
    rabbit.http("GET", "queues/%ff/q").expect_refused(404, "Object Not Found", "Not Found")
    rabbit.http("PUT", "queues/V/a%2fb", {}).expect(201)
    rabbit.http("GET", "queues/V/a%2Fb").expect(200)


@case("HTTP-PROTO-26")
def a_body_that_is_too_large(rabbit: Rabbit) -> None:
    """A body of eleven MiB is refused."""
    raw = b'{"arguments":{"x":"' + b"x" * (11 * 1024 * 1024) + b'"}}'
    answer = rabbit.http("PUT", "permissions/V/guest", raw=raw)
    answer.expect_refused(400, "bad_request", "Exceeded HTTP request body size limit")
