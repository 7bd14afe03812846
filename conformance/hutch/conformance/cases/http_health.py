"""The management API: health checks, and what there is of the whole broker (HTTP-HEALTH, HTTP-MISC)."""

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.http_rows import DENIED, NOTHING, bad, row, unauthorised
from hutch.conformance.rabbit import Rabbit

_OK = (200, {"status": "ok"})

for path in ("alarms", "local-alarms", "virtual-hosts", "certificate-expiration/1/days"):
    row(
        "HTTP-HEALTH-01",
        f"the_check_of_{path.partition('/')[0].replace('-', '_')}",
        f"The health check {path} passes.",
        ("GET", f"health/checks/{path}"),
        _OK,
    )
row(
    "HTTP-HEALTH-01",
    "the_check_of_a_quorum",
    "One node is a cluster of its own.",
    ("GET", "health/checks/node-is-quorum-critical"),
    (200, {"status": "ok", "reason": "single node cluster"}),
)
for path in ("is-in-service", "below-node-connection-limit", "ready-to-serve-clients"):
    row(
        "HTTP-EP-094",
        f"the_check_{path.replace('-', '_')}",
        f"The health check {path} came with 4.x.",
        ("GET", f"health/checks/{path}"),
        {"3.10": NOTHING, "4.3": _OK},
    )
row(
    "HTTP-HEALTH-06",
    "certificates_of_no_time",
    "A time is a number.",
    ("GET", "health/checks/certificate-expiration/x/days"),
    bad("Invalid expiration value."),
)
row(
    "HTTP-HEALTH-06",
    "certificates_of_no_unit",
    "A unit of time is one of four words.",
    ("GET", "health/checks/certificate-expiration/1/eons"),
    bad("Time unit not recognised. Supported units: days, weeks, months, years."),
)
row(
    "HTTP-HEALTH-05",
    "a_port_of_letters",
    "A port is a number.",
    ("GET", "health/checks/port-listener/x"),
    bad("Invalid port"),
)


@case("HTTP-HEALTH-02", "HTTP-HEALTH-03")
def the_check_of_a_port(rabbit: Rabbit) -> None:
    """A port is checked; one that nobody listens on fails, and those that there are, are told."""
    port = rabbit.http.port
    rabbit.http("GET", f"health/checks/port-listener/{port}").expect(200, {"status": "ok", "port": port})
    told = rabbit.http("GET", "health/checks/port-listener/1").expect(503)
    ports = told.pop("ports")
    equal(told, {"status": "failed", "reason": "No active listener", "missing": 1})
    true(port in ports, f"{port} is not among {ports}")


@case("HTTP-HEALTH-02", "HTTP-HEALTH-03", "HTTP-HEALTH-04")
def the_check_of_a_protocol(rabbit: Rabbit) -> None:
    """A protocol is checked; 4.3 checks several, and lists those that are missing."""
    told = rabbit.http("GET", "health/checks/protocol-listener/http").expect(200)
    failed = rabbit.http("GET", "health/checks/protocol-listener/bogus").expect(503)
    equal((failed["status"], failed["reason"]), ("failed", "No active listener"))
    if rabbit.profile == "3.10":
        equal(told, {"status": "ok", "protocol": "http"})
        equal(failed["missing"], "bogus")
    else:
        equal((told["status"], "http" in told["protocols"]), ("ok", True))
        equal(failed["missing"], ["bogus"])
    true("http" in failed["protocols"], f"http is not among {failed['protocols']}")


row("HTTP-HEALTH-09", "the_aliveness_test", "A virtual host is alive.", ("GET", "aliveness-test/V"), _OK)
row(
    "HTTP-HEALTH-09",
    "the_aliveness_of_nothing",
    "There has to be a virtual host.",
    ("GET", "aliveness-test/no-such-vhost-anywhere"),
    NOTHING,
)
row(
    "HTTP-AUTH-08",
    "the_aliveness_of_a_foreign_vhost",
    "Who may not enter a virtual host tests nothing there.",
    ("GET", "aliveness-test/V"),
    DENIED,
    user=["administrator"],
    permissions=None,
)
row(
    "HTTP-AUTH-09",
    "the_aliveness_without_permissions",
    "3.10 declares a queue for the test, and needs the permissions for it.",
    ("GET", "aliveness-test/V"),
    {
        "3.10": unauthorised(
            "ACCESS_REFUSED - access to queue 'aliveness-test' in vhost 'VHOST' refused for user 'USER'"
        ),
        "4.3": _OK,
    },
    user=["management"],
    permissions=("^$", "^$", "^$"),
)


@case("HTTP-HEALTH-09")
def the_queue_of_the_aliveness_test(rabbit: Rabbit) -> None:
    """3.10 leaves the queue of the test behind; the answer is compact."""
    equal(rabbit.http("GET", "aliveness-test/V").body, b'{"status":"ok"}')
    told = [each["name"] for each in rabbit.http("GET", "queues/V").expect(200)]
    equal(told, ["aliveness-test"] if rabbit.profile == "3.10" else [])


row("HTTP-EP-085", "the_health_check_of_old", "The node is healthy.", ("GET", "healthchecks/node"), _OK)
row(
    "HTTP-EP-009",
    "extensions_of_the_page",
    "The page has one part.",
    ("GET", "extensions?columns=javascript"),
    (200, ...),
)
row("HTTP-EP-101", "rebalancing", "One node leads all queues.", ("POST", "rebalance/queues"), (204, None))
row(
    "HTTP-EP-101",
    "rebalancing_without_the_tag",
    "That is for administrators.",
    ("POST", "rebalance/queues"),
    unauthorised("Not administrator user"),
    user=["monitoring"],
)
row(
    "HTTP-EP-109",
    "the_version_alone",
    "4.3 tells its version to anybody.",
    ("GET", "version"),
    {"3.10": NOTHING, "4.3": (200, ...)},
)
row(
    "HTTP-EP-104",
    "the_way_to_log_in",
    "3.10 tells its page how to log in.",
    ("GET", "auth"),
    {"3.10": (200, {"enable_uaa": False, "uaa_client_id": "", "uaa_location": ""}), "4.3": NOTHING},
)
row(
    "HTTP-EP-111",
    "an_unknown_feature_flag",
    "A feature flag has to be there.",
    ("PUT", "feature-flags/bogus/enable", {}),
    bad("unsupported"),
)
row(
    "HTTP-EP-113",
    "deprecated_features_in_use",
    "4.3 lists those.",
    ("GET", "deprecated-features/used"),
    {"3.10": NOTHING, "4.3": (200, ...)},
)


@case("HTTP-SHAPE-24", "HTTP-EP-110")
def feature_flags(rabbit: Rabbit) -> None:
    """Feature flags are listed with their state; that of quorum queues is enabled."""
    told = {each["name"]: each for each in rabbit.http("GET", "feature-flags").expect(200)}
    keys = ["desc", "doc_url", "name", "provided_by", "stability", "state"]
    if rabbit.profile != "3.10":
        keys += ["callbacks", "experiment_level", "require_level"]
    equal(sorted(told["quorum_queue"]), sorted(keys))
    equal(told["quorum_queue"]["state"], "enabled")


@case("HTTP-EP-110")
def feature_flags_without_the_tag(rabbit: Rabbit) -> None:
    """On 3.10 feature flags are for administrators, on 4.3 for all."""
    answer = rabbit.http("GET", "feature-flags", login=(rabbit.admin.add_user("management"), PASSWORD))
    if rabbit.profile == "3.10":
        answer.expect_refused(401, "not_authorised", "Not administrator user")
    else:
        answer.expect(200)


@case("HTTP-SHAPE-25", profiles=["4.3"])
def deprecated_features(rabbit: Rabbit) -> None:
    """Deprecated features are listed with their state and phase."""
    told = {each["name"]: each for each in rabbit.http("GET", "deprecated-features").expect(200)}
    wanted = {"global_qos": "denied_by_default", "transient_nonexcl_queues": "permitted_by_default"}
    equal({name: told[name]["deprecation_phase"] for name in wanted}, wanted)
    true({each["state"] for each in told.values()} <= {"permitted", "denied"}, "a state is neither of the two")


@case("HTTP-EP-004", "HTTP-MISC-07")
def the_name_of_the_cluster(rabbit: Rabbit) -> None:
    """The cluster has a name, which the overview tells as well. Calling it otherwise is for administrators."""
    told = rabbit.http("GET", "cluster-name").expect(200)
    equal(rabbit.http("GET", "overview").expect(200)["cluster_name"], told["name"])


row(
    "HTTP-EP-004",
    "renaming_the_cluster_without_the_tag",
    "That is for administrators.",
    ("PUT", "cluster-name", {"name": "x"}),
    unauthorised("Not administrator user"),
    user=["monitoring"],
)
row(
    "HTTP-EP-006",
    "an_unknown_node",
    "A node has to be there: 3.10 crashes.",
    ("GET", "nodes/n@nowhere"),
    {"3.10": (500, None), "4.3": NOTHING},
)
row("HTTP-EP-103", "resetting_an_unknown_node", "A node has to be there.", ("DELETE", "reset/n@nowhere"), NOTHING)
