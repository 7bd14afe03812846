"""The management API: which keys there are (HTTP-SHAPE, HTTP-STAT). An emulator has no Erlang, so not all of them."""

from collections.abc import Mapping
from typing import Any

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import case
from hutch.conformance.check import equal, true
from hutch.conformance.rabbit import Rabbit


def _has(told: Mapping[str, Any], what: str, *keys: str) -> None:
    missing = [key for key in keys if key not in told]
    true(not missing, f"{what} lacks {', '.join(missing)}: {sorted(told)}")


@case("HTTP-SHAPE-01", "HTTP-EP-003")
def the_overview(rabbit: Rabbit) -> None:
    """The overview tells what the broker is, and how much of everything there is."""
    told = rabbit.http("GET", "overview").expect(200)
    keys = ["management_version", "rates_mode", "exchange_types", "product_name", "product_version"]
    keys += ["rabbitmq_version", "cluster_name", "disable_stats", "enable_queue_totals", "message_stats"]
    keys += ["queue_totals", "object_totals", "node", "listeners", "contexts"]
    if rabbit.profile != "3.10":
        keys += ["default_queue_type", "cluster_tags", "node_tags", "is_op_policy_updating_enabled"]
    _has(told, "the overview", *keys)
    equal(told["product_name"], "RabbitMQ")
    true(told["rabbitmq_version"].startswith(rabbit.profile.partition(".")[0]), told["rabbitmq_version"])
    equal(sorted(told["object_totals"]), ["channels", "connections", "consumers", "exchanges", "queues"])
    true({"direct", "fanout", "headers", "topic"} <= {each["name"] for each in told["exchange_types"]}, "types")
    _has(told["listeners"][0], "a listener", "node", "protocol", "ip_address", "port", "socket_opts")


@case("HTTP-EP-003")
def the_overview_of_who_does_not_monitor(rabbit: Rabbit) -> None:
    """A user without the tag monitoring does not see nodes and listeners."""
    told = rabbit.http("GET", "overview", login=(rabbit.admin.add_user("management"), PASSWORD)).expect(200)
    true(told.keys().isdisjoint({"node", "listeners", "contexts"}), f"too much: {sorted(told)}")


@case("HTTP-SHAPE-03", "HTTP-EP-005")
def the_node(rabbit: Rabbit) -> None:
    """The node is listed, and shown by its name."""
    (told,) = rabbit.http("GET", "nodes").expect(200)
    keys = ["name", "type", "running", "os_pid", "uptime", "processors", "rates_mode", "enabled_plugins", "partitions"]
    keys += ["exchange_types", "contexts", "mem_alarm", "disk_free_alarm", "applications", "config_files", "log_files"]
    _has(told, "the node", *keys, *([] if rabbit.profile == "3.10" else ["being_drained", "rabbitmq_version"]))
    equal((told["type"], told["running"], told["partitions"]), ("disc", True, []))
    true(isinstance(told["os_pid"], str) and told["os_pid"].isdecimal(), told["os_pid"])
    equal(rabbit.http("GET", f"nodes/{told['name']}").expect(200)["name"], told["name"])


@case("HTTP-SHAPE-10", "HTTP-SHAPE-11", "HTTP-SHAPE-14")
def a_classic_queue_shown(rabbit: Rabbit) -> None:
    """A classic queue is shown with its properties, state and counts; lists of 4.3 leave some keys out."""
    http = rabbit.http
    http("PUT", "queues/V/q", {"durable": True}).expect(201)

    def counted() -> bool:
        # The counts and the other facts reach the management API at different times.
        told: Mapping[str, Any] = http("GET", "queues/V/q").expect(200)
        return "messages" in told and "policy" in told

    rabbit.eventually(counted, "the queue has no counts, or lacks its policy")
    told = http("GET", "queues/V/q").expect(200)
    keys = ["arguments", "auto_delete", "durable", "exclusive", "name", "node", "state", "type", "vhost"]
    keys += ["consumers", "effective_policy_definition", "messages", "messages_ready", "messages_unacknowledged"]
    newer = [] if rabbit.profile == "3.10" else ["internal", "internal_owner"]
    nulls = ["policy", "operator_policy", "exclusive_consumer_tag", "single_active_consumer_tag"]
    _has(told, "the queue", *keys, *newer, *nulls, "consumer_details", "deliveries", "incoming")
    equal({key: told[key] for key in nulls}, dict.fromkeys(nulls))
    equal((told["type"], told["state"], told["messages"]), ("classic", "running", 0))
    (listed,) = http("GET", "queues/V").expect(200)
    _has(listed, "the list", *keys, *newer)
    equal({key in listed for key in nulls}, {rabbit.profile == "3.10"})
    equal("consumer_details" in listed, False)
    equal(told["arguments"], {} if rabbit.profile == "3.10" else {"x-queue-type": "classic"})


@case("HTTP-SHAPE-14", "HTTP-EP-029", profiles=["4.3"])
def queues_in_detail(rabbit: Rabbit) -> None:
    """The list with all keys has those that are null, too."""
    http = rabbit.http
    http("PUT", "queues/V/q", {"durable": True}).expect(201)

    def told() -> list[Mapping[str, Any]]:
        listed = http("GET", "queues/detailed").expect(200)
        return [each for each in listed if each["vhost"] == rabbit.vhost and "policy" in each]

    rabbit.eventually(told, "the queue is not there, or lacks its policy")
    equal(told()[0]["policy"], None)


@case("HTTP-SHAPE-12", "HTTP-SHAPE-13")
def replicated_queues_shown(rabbit: Rabbit) -> None:
    """Quorum queues and streams have a leader, members, and who of them is online."""
    http = rabbit.http
    for kind in ("quorum", "stream"):
        http("PUT", f"queues/V/{kind}", {"durable": True, "arguments": {"x-queue-type": kind}}).expect(201)

        def has_members(path: str = f"queues/V/{kind}") -> Mapping[str, Any] | None:
            told: Mapping[str, Any] = http("GET", path).expect(200)
            return told if "members" in told else None

        told = rabbit.eventually(has_members, f"the {kind} queue has no members")
        _has(told, f"the {kind} queue", "members", "online", "type", "arguments")
        equal((told["type"], told["members"] == told["online"], len(told["members"])), (kind, True, 1))
        if kind == "quorum" or rabbit.profile != "3.10":
            equal(told["leader"], told["members"][0])


@case("HTTP-STAT-11", "HTTP-STAT-13")
def queues_without_statistics(rabbit: Rabbit) -> None:
    """Without statistics a queue is listed with its properties; its counts can be asked for."""
    http = rabbit.http
    http("PUT", "queues/V/q", {"durable": True}).expect(201)
    body = {"routing_key": "q", "properties": {}, "payload": "x", "payload_encoding": "string"}
    http("POST", "exchanges/V/amq.default/publish", body).expect(200, {"routed": True})
    keys = ["arguments", "auto_delete", "durable", "exclusive", "name", "node", "state", "type", "vhost"]
    (told,) = http("GET", "queues/V?disable_stats=true").expect(200)
    _has(told, "the queue", *keys)
    equal("messages" in told, False)
    (told,) = http("GET", "queues/V?disable_stats=true&enable_queue_totals=true").expect(200)
    equal([told[key] for key in ("messages", "messages_ready", "messages_unacknowledged")], [1, 1, 0])


@case("HTTP-SHAPE-09")
def an_exchange_shown(rabbit: Rabbit) -> None:
    """An exchange is shown with its properties, and who made it."""
    rabbit.http("PUT", "exchanges/V/x", {}).expect(201)
    told = rabbit.http("GET", "exchanges/V/x").expect(200)
    keys = ["arguments", "auto_delete", "durable", "internal", "name", "type", "vhost", "incoming", "outgoing"]
    _has(told, "the exchange", *keys)
    equal((told["incoming"], told["outgoing"]), ([], []))


@case("HTTP-SHAPE-17", "HTTP-EP-047")
def a_vhost_shown(rabbit: Rabbit) -> None:
    """A virtual host is shown with metadata and state, alone and in the list."""
    told = rabbit.http("GET", "vhosts/V").expect(200)
    keys = ["name", "description", "tags", "default_queue_type", "metadata", "tracing", "cluster_state"]
    _has(told, "the virtual host", *keys, *([] if rabbit.profile == "3.10" else ["protected_from_deletion"]))
    equal(list(told["cluster_state"].values()), ["running"])
    listed = {each["name"]: each for each in rabbit.http("GET", "vhosts").expect(200)}
    equal(listed[rabbit.vhost]["metadata"], told["metadata"])


@case("HTTP-STAT-06")
def counts_of_a_queue(rabbit: Rabbit) -> None:
    """A queue tells how many messages it has, ready and unacknowledged, and how many consumers."""
    http = rabbit.http
    channel = rabbit.channel()
    queue = rabbit.queue(channel)
    for number in range(3):
        rabbit.publish(channel, f"{number}".encode(), routing_key=queue)
    channel.basic_get(queue)

    def counted() -> bool:
        told = http("GET", f"queues/V/{queue}").expect(200)
        counts = [told.get(key) for key in ("messages", "messages_ready", "messages_unacknowledged", "consumers")]
        return counts == [3, 2, 1, 0]

    rabbit.eventually(counted, "the counts do not come out right")


@case("HTTP-DEFS-01", "HTTP-DEFS-02")
def definitions_over_http(rabbit: Rabbit) -> None:
    """Definitions are told whole and for a virtual host."""
    rabbit.http("PUT", "queues/V/q", {"durable": True}).expect(201)
    told = rabbit.http("GET", "definitions/V").expect(200)
    equal([each["name"] for each in told["queues"]], ["q"])
    whole = rabbit.http("GET", "definitions").expect(200)
    keys = ["users", "vhosts", "permissions", "topic_permissions", "parameters", "global_parameters", "policies"]
    _has(whole, "the definitions", *keys, "queues", "exchanges", "bindings", "rabbitmq_version", "product_name")


@case("HTTP-DEFS-07", "HTTP-DEFS-20")
def definitions_imported_over_http(rabbit: Rabbit) -> None:
    """Definitions of a virtual host are imported into it."""
    body = {
        "queues": [{"name": "q", "durable": True, "auto_delete": False, "arguments": {}}],
        "exchanges": [
            {"name": "x", "type": "fanout", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
        ],
        "bindings": [
            {"source": "x", "destination": "q", "destination_type": "queue", "routing_key": "", "arguments": {}}
        ],
    }
    rabbit.http("POST", "definitions/V", body).expect(204, None)
    equal([each["destination"] for each in rabbit.http("GET", "exchanges/V/x/bindings/source").expect(200)], ["q"])


@case("HTTP-EP-011", "HTTP-PROTO-20")
def definitions_that_go_nowhere(rabbit: Rabbit) -> None:
    """Definitions of an unknown virtual host, and what is no JSON, are refused."""
    http = rabbit.http
    path = "definitions/no-such-vhost-anywhere"
    http("GET", path).expect_refused(400, "bad_request", "vhost_not_found")
    http("POST", path, {}).expect_refused(404, "not_found", "vhost_not_found")
    http("POST", "definitions/V", raw=b"x").expect_refused(400, "bad_request", "failed_to_parse_json")
    http("POST", "definitions/V", raw=b"{}", headers={"Content-Type": "text/plain"}).expect(415, None)


@case("HTTP-DEFS-06")
def definitions_to_download(rabbit: Rabbit) -> None:
    """Definitions can be asked for as a file."""
    answer = rabbit.http("GET", "definitions/V?download=f.json")
    answer.expect(200)
    equal(answer.headers["content-disposition"], "attachment; filename=f.json")


@case("HTTP-DEFS-23")
def definitions_in_a_form(rabbit: Rabbit) -> None:
    """Definitions come in a form, too, in the part named file."""
    lines = [
        b"--edge",
        b'Content-Disposition: form-data; name="file"; filename="f.json"',
        b"Content-Type: application/json",
        b"",
        b'{"queues":[{"name":"q","durable":true,"auto_delete":false,"arguments":{}}]}',
        b"--edge--",
        b"",
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    rabbit.http("POST", "definitions/V", raw=b"\r\n".join(lines), headers=headers).expect(204, None)
    rabbit.http("GET", "queues/V/q").expect(200)
