"""The suite on brokers that are not made for it. The emulator behind a port stands in for the live broker."""

from urllib.parse import quote

import pytest

from hutch.conformance.case import PROFILES, all_cases, select
from hutch.conformance.live import Live
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.runner import Outcome, Result, run, run_case
from hutch.conformance.targets import TargetError
from hutch.fakebroker import Broker
from hutch.wire.url import parse_url
from tests.conformance.conftest import made, passing

#: Cases that take only a moment, and some that need more of a broker.
QUICK = "exch-declare or exch-sys-01 or queue-declare or queue-excl or bind- or conn-open-01"
VHOST = "their own/vhost"


def url_of(broker: Broker, user: str, vhost: str = VHOST) -> str:
    """The URL of a user who has the name for a password."""
    (address,) = parse_url(broker.url)
    return f"amqp://{user}:{user}@{address.host}:{address.port}/{quote(vhost, safe='')}"


def of_others(profile: str = "4.3") -> Broker:
    """A broker without guest and without the virtual host "/"."""
    return Broker(profile, users={"ann": "ann", "bob": "bob"}, vhosts=(VHOST,))


def held(broker: Broker) -> object:
    """What is on a broker."""
    node = broker.hub.node
    vhosts = {name: (sorted(vhost.queues), sorted(vhost.exchanges)) for name, vhost in node.vhosts.items()}
    return vhosts, sorted(node.users), node.connections


def reasons(results: list[Result]) -> set[str]:
    """Why cases of this profile do not apply."""
    skipped = {result.message for result in results if result.outcome is Outcome.NOT_APPLICABLE}
    return {reason for reason in skipped if not reason.startswith("a behaviour of ")}


PLUGINS = {
    f"needs the plugin rabbitmq_{name}"
    for name in ("consistent_hash_exchange", "delayed_message_exchange", "recent_history_exchange")
}
CONTROL = "needs --rabbitmqctl, to control the broker itself"


@pytest.mark.parametrize("profile", PROFILES)
def test_another_virtual_host_and_user_without_management(profile: str) -> None:
    with of_others(profile) as broker:
        before = held(broker)
        target = Live(url_of(broker, "bob"))
        results = list(run(select(all_cases(), QUICK), target))
        assert [result for result in results if result.message and result.outcome is not Outcome.NOT_APPLICABLE] == []
        assert reasons(results) == {*PLUGINS, CONTROL, "needs the management API (--management)"}
        assert (held(broker), target.left_behind()) == (before, [])


@pytest.mark.parametrize("profile", PROFILES)
def test_another_virtual_host_and_user_with_management(profile: str) -> None:
    with of_others(profile) as broker:
        before = held(broker)
        target = Live(url_of(broker, "ann"), broker.management_url)
        results = list(run(select(all_cases(), QUICK), target))
        assert [result for result in results if result.message and result.outcome is not Outcome.NOT_APPLICABLE] == []
        elsewhere = "needs to hear of events in the virtual host '/': NOT_ALLOWED - vhost / not found"
        assert reasons(results) == {*PLUGINS, CONTROL, elsewhere}
        assert (held(broker), target.left_behind()) == (before, [])


def test_a_user_who_is_no_administrator() -> None:
    """What needs none is played all the same."""

    def administered(rabbit: Rabbit) -> None:
        rabbit.admin.add_user()

    with of_others() as broker:
        broker.admin.add_user("bob", "bob")
        target = Live(url_of(broker, "bob"), broker.management_url)
        assert run_case(made(passing), target).outcome is Outcome.PASSED
        result = run_case(made(administered), target)
        reason = "needs a user with the tag administrator for the management API, which 'bob' lacks"
        assert (result.outcome, result.message) == (Outcome.NOT_APPLICABLE, reason)


def test_an_administrator_of_another_name() -> None:
    def administered(rabbit: Rabbit) -> None:
        assert rabbit.userid == "bob"
        rabbit.channel()
        rabbit.connect(virtual_host=rabbit.admin.add_vhost()).channel()

    with of_others() as broker:
        before = held(broker)
        management = broker.management_url.replace("//", "//ann:ann@")
        result = run_case(made(administered), Live(url_of(broker, "bob"), management))
        assert (result.outcome, result.message) == (Outcome.PASSED, "")
        assert held(broker) == before


def test_what_is_left_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hutch.fakebroker.management.vhosts.vhosts.delete_vhost", lambda *_: None)
    with of_others() as broker:
        target = Live(url_of(broker, "ann"), broker.management_url)
        made_vhosts = sorted(broker.hub.node.vhosts.keys() - {VHOST})
        assert len(made_vhosts) == 1
        assert target.left_behind() == [f"virtual host '{name}'" for name in made_vhosts]


def test_a_queue_that_cannot_be_deleted_is_told() -> None:
    def losing_rights(rabbit: Rabbit) -> None:
        rabbit.queue(rabbit.channel())
        broker.admin.set_permissions("bob", configure="^$", vhost=VHOST)

    with of_others() as broker:
        target = Live(url_of(broker, "bob"))
        run_case(made(losing_rights), target)
        (queue,) = broker.hub.node.vhosts[VHOST].queues
        assert target.left_behind() == [f"queue '{queue}' in virtual host '{VHOST}'"]


def test_a_default_queue_type_that_is_not_classic_is_refused() -> None:
    """Its cases declare durable queues without a type, and expect classic ones."""
    with of_others() as broker:
        broker.admin.add_vhost("typed", default_queue_type="quorum")
        broker.admin.set_permissions("bob", vhost="typed")
        before = held(broker)
        with pytest.raises(TargetError, match=r"^the virtual host 'typed' has a default queue type, "):
            Live(url_of(broker, "bob", "typed"))
        assert held(broker) == before
