"""The management API: replicas of quorum queues on one node, and paths that few tools use (HTTP-EP)."""

import base64
import gzip
from urllib.parse import quote

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import ANY, CRASHED, DONE, NOTHING, bad, missing, refusal, row, unauthorised
from hutch.conformance.rabbit import Rabbit

_NEWER = ["4.3"]
_QUORUM = ("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": "quorum"}})
_CLASSIC = ("PUT", "queues/V/q", {"durable": True})
_STREAM = ("PUT", "queues/V/q", {"durable": True, "arguments": {"x-queue-type": "stream"}})
_STRANGER = {"node": "no-such-node@anywhere"}
_NO_MEMBER = bad("Node is not a cluster member")
_LEADERS = "health/checks/quorum-queues-without-elected-leaders"


def _unavailable(reason: str) -> tuple[int, object]:
    return refusal(503, "service_unavailable", reason)


def _node(rabbit: Rabbit) -> str:
    name: str = rabbit.http("GET", "nodes").expect(200)[0]["name"]
    return name


@case("HTTP-EP-036", "HTTP-SHAPE-27", profiles=_NEWER)
def the_replicas_of_a_quorum_queue(rabbit: Rabbit) -> None:
    """The status of a quorum queue lists its replicas: here, the one that leads."""
    rabbit.http(*_QUORUM).expect(201)
    (told,) = rabbit.http("GET", "queues/quorum/V/q/status").expect(200)
    equal([told[key] for key in ("Node Name", "Raft State", "Membership")], [_node(rabbit), "leader", "voter"])


for _name, _before, _reason in (
    ("classic", _CLASSIC, "classic_queue_not_supported"),
    ("stream", _STREAM, "not_quorum_queue"),
):
    row(
        "HTTP-EP-036",
        f"the_replicas_of_a_{_name}_queue",
        f"A {_name} queue has no replicas of a quorum queue.",
        ("GET", "queues/quorum/V/q/status"),
        (503, {"status": "failed", "reason": _reason}),
        before=[_before],
        profiles=_NEWER,
    )
row(
    "HTTP-EP-036",
    "the_replicas_of_no_queue",
    "The status of a queue that is not there is not found.",
    ("GET", "queues/quorum/V/q/status"),
    NOTHING,
    profiles=_NEWER,
)
row(
    "HTTP-EP-036",
    "replicas_in_older_versions",
    "3.10 has no paths for replicas.",
    ("GET", "queues/quorum/V/q/status"),
    NOTHING,
    profiles=["3.10"],
)


@case("HTTP-EP-037", profiles=_NEWER)
def adding_a_replica(rabbit: Rabbit) -> None:
    """The only node may be added again; other queues, and those that are not there, are refused."""
    http, path, node = rabbit.http, "queues/quorum/V/q/replicas/add", {"node": _node(rabbit)}
    http("POST", path, node).expect(*_unavailable("not_found"))
    http(*_CLASSIC).expect(201)
    http("POST", path, node).expect(*_unavailable("classic_queue_not_supported"))
    http("DELETE", "queues/V/q").expect(204)
    http(*_STREAM).expect(201)
    http("POST", path, node).expect(*_unavailable("not_quorum_queue"))
    http("DELETE", "queues/V/q").expect(204)
    http(*_QUORUM).expect(201)
    http("POST", path, node).expect(204, None)
    http("POST", path, {**node, "membership": "bogus"}).expect(*bad("Invalid membership value"))


@case("HTTP-EP-038", profiles=_NEWER)
def deleting_a_replica(rabbit: Rabbit) -> None:
    """The last replica of a queue stays."""
    http, path, node = rabbit.http, "queues/quorum/V/q/replicas/delete", {"node": _node(rabbit)}
    http("DELETE", path, node).expect(*NOTHING)
    http(*_CLASSIC).expect(201)
    http("DELETE", path, node).expect(*_unavailable("classic_queue_not_supported"))
    http("DELETE", "queues/V/q").expect(204)
    http(*_QUORUM).expect(201)
    http("DELETE", path, node).expect(*_unavailable("last_node"))
    http("GET", "queues/quorum/V/q/status").expect(200)


for _method, _what in (("POST", "add"), ("DELETE", "delete")):
    _path = f"queues/quorum/V/q/replicas/{_what}"
    row(
        "HTTP-EP-037",
        f"replica_{_what}_without_node",
        "The node has to be named.",
        (_method, _path, {}),
        bad("[{key_missing,node}]"),
        before=[_QUORUM],
        profiles=_NEWER,
    )
    row(
        "HTTP-EP-037",
        f"replica_{_what}_elsewhere",
        "The node has to be one of the cluster.",
        (_method, _path, _STRANGER),
        _NO_MEMBER,
        before=[_QUORUM],
        profiles=_NEWER,
    )
    row(
        "HTTP-EP-037",
        f"replica_{_what}_by_who_may_not",
        "Administrators alone change replicas.",
        (_method, _path, _STRANGER),
        unauthorised("Not administrator user"),
        before=[_QUORUM],
        user=["management"],
        profiles=_NEWER,
    )


@case("HTTP-EP-039", profiles=_NEWER)
def growing_onto_a_node(rabbit: Rabbit) -> None:
    """Queues of a pattern get a replica on a node; on the only one they have it."""
    node = quote(_node(rabbit), safe="")
    path, body = f"queues/quorum/replicas/on/{node}/grow", {"vhost_pattern": rabbit.vhost, "queue_pattern": ".*"}
    rabbit.http("POST", path, {**body, "strategy": "all"}).expect(204, None)
    rabbit.http("POST", path, {**body, "strategy": "bogus"}).expect(*bad("Invalid strategy value"))
    keys = ",\n ".join(f"{{key_missing,{key}}}" for key in ("vhost_pattern", "queue_pattern", "strategy"))
    rabbit.http("POST", path, {}).expect(*bad(f"[{keys}]"))


row(
    "HTTP-EP-039",
    "growing_onto_no_node",
    "A node that is not there crashes the handler.",
    (
        "POST",
        "queues/quorum/replicas/on/no-such-node@anywhere/grow",
        {"vhost_pattern": ".*", "queue_pattern": ".*", "strategy": "all"},
    ),
    CRASHED,
    profiles=_NEWER,
)
row(
    "HTTP-EP-040",
    "shrinking_off_no_node",
    "There are no replicas on a node that is not there.",
    ("DELETE", "queues/quorum/replicas/on/no-such-node@anywhere/shrink"),
    NOTHING,
    profiles=_NEWER,
)

# health checks

for _rest in ("all-vhosts/", "all-vhosts", "all-vhosts/pattern/.*", "vhost/V", "vhost/V/pattern/.*", "vhost/no-such"):
    row(
        "HTTP-EP-099",
        f"quorum_queues_with_leaders_{_rest}",
        "All quorum queues of a healthy node have a leader.",
        ("GET", f"{_LEADERS}/{_rest}"),
        (200, {"status": "ok"}),
        profiles=_NEWER,
    )
row(
    "HTTP-EP-100",
    "quorum_queues_of_a_foreign_vhost",
    "The check of a virtual host hides those that the user may not enter.",
    ("GET", f"{_LEADERS}/vhost/V"),
    missing("Not Found"),
    user=["management"],
    permissions=None,
    profiles=_NEWER,
)

# other paths


@case("HTTP-EP-107", profiles=_NEWER)
def the_hash_of_a_password(rabbit: Rabbit) -> None:
    """A password is hashed, each time with another salt; a user may be made with the hash."""
    hashes = [rabbit.http("GET", "auth/hash_password/a%2Fb").expect(200)["ok"] for _ in range(2)]
    equal([len(base64.b64decode(each)) for each in hashes], [36, 36])
    true(hashes[0] != hashes[1], "a salt")
    user = rabbit.admin.add_user("management")
    rabbit.http("PUT", f"users/{user}", {"password_hash": hashes[0], "tags": "management"}).expect(204)
    rabbit.http("GET", "whoami", login=(user, "a/b")).expect(200)


row(
    "HTTP-EP-107",
    "a_hash_for_who_may_not",
    "Administrators alone have passwords hashed.",
    ("GET", "auth/hash_password/x"),
    unauthorised("Not administrator user"),
    user=["monitoring"],
    profiles=_NEWER,
)
row(
    "HTTP-EP-108",
    "a_logout",
    "A web page logs out.",
    ("DELETE", "login"),
    DONE,
    profiles=_NEWER,
)
row(
    "HTTP-EP-015",
    "sessions_of_no_connection",
    "A connection that is not there has no sessions.",
    ("GET", "connections/no-such-connection/sessions"),
    NOTHING,
    profiles=_NEWER,
)
row(
    "HTTP-EP-051",
    "deletion_protection_shown",
    "The path of the deletion protection is there to be changed, and crashes when it is read.",
    ("GET", "vhosts/V/deletion/protection"),
    CRASHED,
    profiles=_NEWER,
)
row(
    "HTTP-EP-010",
    "all_configuration_of_a_vhost",
    "The old name of definitions is for all of them.",
    ("GET", "all-configuration/no-such-vhost"),
    NOTHING,
)


@case("HTTP-EP-015", profiles=_NEWER)
def sessions_of_a_connection(rabbit: Rabbit) -> None:
    """A connection of AMQP 0-9-1 has no sessions."""
    user = rabbit.admin.add_permitted_user()
    rabbit.connect_as(user)

    def name() -> str | None:
        listed = rabbit.http("GET", "connections").expect(200)
        return next((each["name"] for each in listed if each.get("user") == user), None)

    found = rabbit.eventually(name, "the connection is not listed")
    answer = rabbit.http("GET", f"connections/{quote(str(found), safe='')}/sessions")
    answer.expect(*bad("connection does not use AMQP 1.0"))


@case("HTTP-PROTO-08", "HTTP-EP-061", "HTTP-EP-082")
def limits_without_head(rabbit: Rabbit) -> None:
    """The paths of limits have no HEAD."""
    user = rabbit.admin.add_user("management")
    for path in (f"user-limits/{user}", "vhost-limits/V"):
        rabbit.http("HEAD", path).expect(405)
        equal(sorted(rabbit.http("OPTIONS", path).headers["allow"].split(", ")), ["GET", "OPTIONS"])


@case("HTTP-PROTO-07", "HTTP-PROTO-05")
def options_of_an_unknown_path(rabbit: Rabbit) -> None:
    """An unknown path has the methods of a file."""
    answer = rabbit.http("OPTIONS", "no-such-path", login=("", ""))
    answer.expect(200, None)
    equal(sorted(answer.headers["allow"].split(", ")), ["GET", "HEAD", "OPTIONS"])


@case("HTTP-PROTO-11")
def compressed_answers(rabbit: Rabbit) -> None:
    """Bodies of more than 300 bytes are compressed for who takes gzip."""
    http = rabbit.http
    user = rabbit.admin.add_user("management")
    login = (user, PASSWORD)
    plain = http("GET", "exchanges/V")
    true(len(plain.body) > 300, f"{len(plain.body)} bytes")
    for accepted, is_compressed in (
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("deflate", False),
        ("*", False),
    ):
        answer = http("GET", "exchanges/V", headers={"Accept-Encoding": accepted})
        equal(answer.status, 200)
        equal(answer.headers.get("content-encoding"), "gzip" if is_compressed else None, accepted)
        names = {each["name"] for each in plain.json}
        body = gzip.decompress(answer.body) if is_compressed else answer.body
        true(all(name.encode() in body for name in names), "all exchanges")
        equal(answer.headers["content-length"], str(len(answer.body)))
    brief = http("GET", "whoami", headers={"Accept-Encoding": "gzip"}, login=login)
    equal(brief.headers.get("content-encoding"), None)
    head = http("HEAD", "exchanges/V", headers={"Accept-Encoding": "gzip"})
    equal((head.body, head.headers.get("content-encoding")), (b"", None))


row(
    "HTTP-EP-106",
    "attempts_of_no_node",
    "A node that is not there counts no logins.",
    ("GET", "auth/attempts/no-such-node/source"),
    NOTHING,
)
row(
    "HTTP-EP-008",
    "tables_of_no_node",
    "A node that is not there has no memory.",
    ("GET", "nodes/no-such-node/memory/ets"),
    NOTHING,
)
row("HTTP-EP-009", "extensions_listed", "The parts of the web page are listed.", ("GET", "extensions"), (200, ANY))
