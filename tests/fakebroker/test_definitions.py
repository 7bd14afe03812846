"""Definitions, as live brokers take, refuse and give them. What they answered is recorded, and asked again of those
that run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from hutch.client import AccessRefused, Connection
from hutch.conformance.management import Management
from hutch.fakebroker import Broker, InvalidDefinitions
from hutch.fakebroker.definitions.comparing import differences
from hutch.fakebroker.definitions.management_api import ManagementAPI, ManagementError
from hutch.wire.fields import ByteArray, Float32, Int8, UInt64
from tests.live import LiveBroker

RECORDED: Final = json.loads((Path(__file__).parent / "recorded/definitions.json").read_text())
#: The virtual host in the recorded definitions.
VHOST: Final = "hutch definitions"
PROFILES: Final = ("3.10", "4.3")
CASES: Final = [
    pytest.param(case, id=f"{number}-{'-'.join(case['definitions'])}") for number, case in enumerate(RECORDED["cases"])
]


def names_left(definitions: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of what is in a virtual host, and routing keys of bindings."""
    return {
        section: sorted(item.get("name", item.get("routing_key")) for item in definitions[section])
        for section in ("queues", "exchanges", "policies", "parameters", "bindings")
    }


def as_recorded(reason: Any) -> Any:
    """A reason, with texts in place of lists of characters."""
    if not isinstance(reason, list):
        return reason
    if len(reason) > 1 and all(isinstance(each, int) for each in reason):
        return {"characters": "".join(map(chr, reason))}
    return [as_recorded(each) for each in reason]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES)
def test_what_rabbitmq_refuses_and_what_it_leaves(profile: str, case: dict[str, Any]) -> None:
    answer = case["answers"][profile]
    with Broker(profile, definitions=RECORDED["begin"]) as broker:
        got: dict[str, Any] = {"status": 204, "reason": None}
        try:
            broker.admin.import_definitions(case["definitions"], case["into"])
        except InvalidDefinitions as error:
            got = {
                "status": 500 if error.crashes else 400,
                "reason": None if error.crashes else as_recorded(error.reason),
            }
        got["left"] = names_left(broker.admin.export_definitions(VHOST))
        assert got == answer


def rich(broker: Broker) -> None:
    """Have some of everything that definitions tell."""
    admin = broker.admin
    admin.import_definitions({"vhosts": [{"name": VHOST, "metadata": {"description": "Größe", "tags": ["a", "b"]}}]})
    admin.add_user("hutch-ann", "secret", ["management", "monitoring"])
    admin.set_user_limit("hutch-ann", "max-channels", 5)
    admin.set_permissions("hutch-ann", "^a", "", ".*", vhost=VHOST)
    admin.set_topic_permissions("hutch-ann", "amq.topic", "^a", ".*", vhost=VHOST)
    admin.set_vhost_limit("max-connections", 7, vhost=VHOST)
    admin.set_policy("p", "^q", {"max-length": 5, "overflow": "reject-publish"}, priority=1.5, vhost=VHOST)
    admin.set_operator_policy("o", "^q", {"max-length": 5}, apply_to="queues", priority=2, vhost=VHOST)
    connection = Connection(transport=broker.transport, virtual_host=VHOST)
    connection.connect()
    channel = connection.channel()
    channel.queue_declare("q", durable=True, auto_delete=False, arguments={"x-max-priority": 3, "x": [1, {"y": True}]})
    channel.queue_declare("quorum", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    channel.queue_declare("log", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"})
    channel.queue_declare("gone", auto_delete=True)
    channel.exchange_declare("x", "headers", durable=True, auto_delete=False)
    channel.exchange_declare("ae", "topic", durable=False, auto_delete=True, arguments={"alternate-exchange": "x"})
    channel.queue_bind("q", "x", "k", arguments={"x-match": "all", "größe": 1.5, "n": 70_000})
    channel.exchange_bind("x", "ae", "#")
    channel.exchange_declare("hidden", "fanout", durable=True, auto_delete=False)
    connection.close()


def alike(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Definitions in an order that does not depend on the broker, without its name and without its own exchange."""
    return {
        key: sorted(
            (json.dumps(item, sort_keys=True) for item in value if not str(item.get("name")).startswith("amq.")),
            key=str,
        )
        if isinstance(value, list)
        else value
        for key, value in definitions.items()
        if key not in {"explanation", "original_cluster_name"}
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_exported_can_be_imported(profile: str) -> None:
    with Broker(profile) as broker:
        rich(broker)
        exported = broker.admin.export_definitions()
        of_vhost = broker.admin.export_definitions(VHOST)
    with Broker(profile, users={}, vhosts=(), definitions=exported) as broker:
        assert broker.admin.export_definitions() == exported
        broker.admin.delete_vhost(VHOST)
        broker.admin.add_vhost(VHOST)
        broker.admin.import_definitions(of_vhost, VHOST)
        assert differences(broker.admin.export_definitions(VHOST), of_vhost) == []
    assert json.loads(json.dumps(exported)) == exported


def test_exclusive_queues_and_messages_stay_behind(broker: Broker) -> None:
    connection = Connection(transport=broker.transport)
    connection.connect()
    channel = connection.channel()
    channel.queue_declare("mine", exclusive=True)
    channel.queue_declare("ours", auto_delete=False)
    exported = broker.admin.export_definitions()
    assert [queue["name"] for queue in exported["queues"]] == ["ours"]
    connection.close()


def test_a_file_may_be_named(tmp_path: Path) -> None:
    file = tmp_path / "definitions.json"
    file.write_text(json.dumps(RECORDED["begin"]))
    with Broker(definitions=file) as broker:
        assert broker.queue("q", VHOST).ready == 0
    file.write_text("[]")
    with pytest.raises(InvalidDefinitions, match="failed_to_parse_json"):
        Broker(definitions=file)
    with pytest.raises(FileNotFoundError):
        Broker(definitions=str(tmp_path / "nothing"))


@pytest.mark.parametrize("profile", PROFILES)
def test_arguments_of_all_types_are_told_as_rabbitmq_tells_them(profile: str) -> None:
    given = {
        "i8": Int8(-1),
        "u64": UInt64((1 << 63) + 5),
        "f32": Float32(0.1),
        "dec": Decimal("1.5"),
        "neg": Decimal("-0.25"),
        "b": b"\xff\xfe",
        "ba": ByteArray(b"abc"),
        "ts": datetime(2020, 1, 1),
        "void": None,
        "t": {"x": None, "y": [True, b"\xff"]},
        "s": "é",
        "whole": 3.0,
        "empty": {},
        "el": [],
    }
    told = {
        "i8": -1,
        "u64": -9223372036854775803,
        "f32": 0.10000000149011612,
        "dec": 1.15,
        "neg": 2.4294967271,
        "b": "Not UTF-8, base64 is: //4=",
        "ba": "abc",
        "ts": 1577836800,
        "void": "undefined",
        "t": {"x": "undefined", "y": [True, "Not UTF-8, base64 is: /w=="]},
        "s": "é",
        "whole": 3.0,
        "empty": {},
        "el": [],
    }
    with Broker(profile) as broker:
        connection = Connection(transport=broker.transport)
        connection.connect()
        connection.channel().queue_declare("q", durable=True, auto_delete=False, arguments=given)
        (queue,) = broker.admin.export_definitions()["queues"]
        assert {key: value for key, value in queue["arguments"].items() if key != "x-queue-type"} == told
        connection.close()


def test_files_of_one_virtual_host_are_alike_whether_items_name_it_or_not() -> None:
    """RabbitMQ 3.10 names it in policies, and 4.3 does not."""
    policy = {"name": "p", "pattern": "^q", "apply-to": "queues", "definition": {"max-length": 5}, "priority": 0}
    named, other = {**policy, "vhost": "shop"}, {**policy, "name": "other", "vhost": "/"}
    assert differences({"policies": [policy]}, {"policies": [named, other]}, "shop") == []
    assert differences({"policies": [policy]}, {"policies": [named]}) == [
        '- policy name "p"',
        '+ policy name "p" vhost "shop"',
    ]


def test_differences_name_what_is_there_once_and_what_is_not_alike() -> None:
    with Broker() as broker:
        rich(broker)
        before = broker.admin.export_definitions()
        broker.admin.add_user("hutch-ann", "another")
        broker.admin.delete_policy("p", vhost=VHOST)
        broker.admin.add_vhost("new")
        after = broker.admin.export_definitions()
    assert differences(before, before) == []
    assert differences(before, after) == [
        '~ user name "hutch-ann": password_hash differs',
        '~ user name "hutch-ann": tags ["management", "monitoring"] -> []',
        '+ vhost name "new"',
        '+ permission user "guest" vhost "new"',
        f'- policy name "p" vhost "{VHOST}"',
    ]


def test_versions_are_compared_by_what_both_tell() -> None:
    exported = []
    for profile in PROFILES:
        with Broker(profile) as broker:
            rich(broker)
            exported.append(broker.admin.export_definitions())
    assert differences(exported[0], exported[1]) == []


# live brokers


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Iterator[ManagementAPI]:
    broker = LiveBroker.named(request.param)
    forget(broker.management, VHOST, "hutch-ann")
    yield ManagementAPI(broker.management)
    forget(broker.management, VHOST, "hutch-ann")


def forget(management: str, vhost: str, user: str) -> None:
    """Delete what these tests make on a live broker."""
    operator = Management(management, "guest", "guest")
    for delete, name in (
        (operator.delete_vhost, vhost),
        (operator.delete_user, user),
        (operator.delete_user, "hutch-bob"),
    ):
        with suppress(LookupError):
            delete(name)


LIVE: Final = pytest.mark.parametrize(
    ("live", "profile"), list(zip(PROFILES, PROFILES, strict=True)), indirect=["live"]
)


@LIVE
def test_a_live_broker_takes_and_gives_the_same(live: ManagementAPI, profile: str) -> None:
    with Broker(profile) as broker:
        rich(broker)
        ours = broker.admin.export_definitions()
        of_vhost = broker.admin.export_definitions(VHOST)
    # Compare only what this test added: other tests use the broker, too.
    theirs = live.export_definitions()
    new = {
        **ours,
        "users": [user for user in ours["users"] if user["name"] != "guest"],
        "vhosts": [vhost for vhost in ours["vhosts"] if vhost["name"] == VHOST],
        "permissions": [each for each in ours["permissions"] if each["user"] != "guest"],
        "global_parameters": [],
    }
    live.import_definitions(new)
    assert alike(live.export_definitions(VHOST)) == alike(of_vhost)
    # And import everything back.
    whole = live.export_definitions()
    with Broker(profile, users={}, vhosts=(), definitions=without_others(whole)) as broker:
        assert alike(broker.admin.export_definitions()) == alike(without_others(whole))
        for password, refusal in (("secret", nullcontext()), ("wrong", pytest.raises(AccessRefused))):
            connection = Connection(
                transport=broker.transport, userid="hutch-ann", password=password, virtual_host=VHOST
            )
            with refusal:
                connection.connect()
                connection.close()
    assert theirs["rabbit_version"] == ours["rabbit_version"]


def without_others(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Definitions of a broker that others use at the same time, without what is theirs."""
    kept = {"name": {"guest", "hutch-ann", VHOST}, "user": {"guest", "hutch-ann"}}
    return {
        section: [
            item
            for item in items
            if item.get("vhost", VHOST) in {VHOST, "/"}
            and (section not in {"users", "vhosts"} or item["name"] in {*kept["name"], "/"})
            and item.get("user", "guest") in kept["user"]
            and not (item.get("vhost") == "/" and section in {"queues", "exchanges", "bindings", "policies"})
        ]
        if isinstance(items, list)
        else items
        for section, items in definitions.items()
    }


@pytest.mark.slow
@LIVE
def test_live_brokers_answer_as_recorded(live: ManagementAPI, profile: str) -> None:
    # Other names of equal length: the other test may run at the same time.
    vhost, user = "hutch definition2", "hutch-eve"
    recorded = json.loads(json.dumps(RECORDED).replace(VHOST, vhost).replace("hutch-ann", user))
    management = LiveBroker.named(profile).management
    for number, case in enumerate(recorded["cases"]):
        answer = case["answers"][profile]
        forget(management, vhost, user)
        live.import_definitions(recorded["begin"])
        if answer["status"] == 204:
            live.import_definitions(case["definitions"], case["into"])
        else:
            with pytest.raises(ManagementError, match=f"answers {answer['status']}") as refused:
                live.import_definitions(case["definitions"], case["into"])
            if isinstance(answer["reason"], str):
                assert str(refused.value).endswith(" ".join(answer["reason"].split()))
        assert (number, names_left(live.export_definitions(vhost))) == (number, answer["left"])
    forget(management, vhost, user)
