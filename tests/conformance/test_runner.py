import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hutch.conformance.case import PROFILES, all_cases, select
from hutch.conformance.live import Live
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.runner import Outcome, run, run_case
from hutch.conformance.targets import InProcess, Target, TargetError, TargetUnreachable, Tcp
from hutch.fakebroker import Broker, ManualClock
from tests import certificates
from tests.conformance.conftest import failing, made, passing
from tests.watched import Watched


def test_results_come_in_the_order_of_the_cases() -> None:
    cases = [made(passing), made(failing), made(passing, profiles=("3.10",))]
    results = list(run(cases, InProcess()))
    assert [result.outcome for result in results] == [Outcome.PASSED, Outcome.FAILED, Outcome.NOT_APPLICABLE]
    assert [result.case for result in results] == cases
    assert results[2].message == "a behaviour of 3.10"


def test_errors_that_are_no_assertions_are_failures() -> None:
    def broken(rabbit: Rabbit) -> None:
        raise LookupError("what")

    result = run_case(made(broken), InProcess())
    assert result.outcome is Outcome.FAILED
    assert result.message.startswith("LookupError: what (test_runner.py:")


@pytest.mark.slow
def test_a_case_that_hangs_is_given_up(emulator: Target) -> None:
    never = threading.Event()

    def hanging(rabbit: Rabbit) -> None:
        rabbit.channel()
        never.wait(20)

    try:
        result = run_case(made(hanging), emulator, deadline=0.2)
    finally:
        never.set()
    assert result.outcome is Outcome.FAILED
    assert result.message.startswith("no end after 0.2 s")


def test_a_case_that_waits_for_the_broker_for_ever_is_cut_off() -> None:
    ended = threading.Event()

    def waiting(rabbit: Rabbit) -> None:
        try:
            rabbit.connect().drain_events()
        finally:
            ended.set()

    result = run_case(made(waiting), Tcp(), deadline=0.2)
    assert result.message.startswith("no end after 0.2 s")
    assert ended.wait(5), "the case still waits"


def test_profiles_are_known_by_their_names() -> None:
    for kind in (InProcess, Tcp):
        with pytest.raises(TargetError, match=r"^unknown profile '3\.9'; there are 3\.10, 4\.3$"):
            kind("3.9")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_live_brokers_profile_is_read_from_its_version(profile: str) -> None:
    with Broker(profile) as broker:
        target = Live(broker.url)
        assert target.profile == profile
        assert target.name.endswith(f"as {profile})")
        other = PROFILES[1 - PROFILES.index(profile)]
        assert Live(broker.url, profile=other).profile == other


def test_a_case_that_fails_once_on_a_live_broker_is_told_of() -> None:
    played: list[str] = []

    def hasty(rabbit: Rabbit) -> None:
        played.append(rabbit.profile)
        assert len(played) > 1, "too early"

    assert [result.outcome for result in run([made(hasty)], InProcess())] == [Outcome.FAILED]
    played.clear()
    with Broker() as broker:
        (result,) = run([made(hasty)], Live(broker.url))
        assert (result.outcome, len(played)) == (Outcome.PASSED, 2)
        assert result.message.startswith("passed when played again; at first: too early")
        (result,) = run([made(failing)], Live(broker.url))
        assert result.outcome is Outcome.FAILED


def test_a_live_broker_is_left_as_it_was() -> None:
    with Broker(plugins=["rabbitmq_consistent_hash_exchange"]) as broker:
        target = Live(broker.url)
        cases = select(all_cases(), "exclusive or declaring or reserved or server_named")
        results = list(run(cases, target))
        # some cases need plugins or an operator, which this broker lacks
        outcomes = {result.outcome for result in results}
        assert outcomes - {Outcome.NOT_APPLICABLE} == {Outcome.PASSED}, [result.message for result in results]
        assert broker.hub.node.vhosts["/"].queues == {}
        assert [name for name in broker.hub.node.vhosts["/"].exchanges if name and not name.startswith("amq.")] == []


@pytest.mark.slow
def test_a_live_broker_behind_tls(tmp_path: Path) -> None:
    with Broker() as broker:
        url = broker.listen_tls(certificates.server_context())
        target = Live(f"{url}?cacertfile={certificates.write(tmp_path).ca}")
        results = list(run(select(all_cases(), "reserved or mechanisms"), target))
        # some cases need plugins or an operator, which this broker lacks
        outcomes = {result.outcome for result in results}
        assert outcomes - {Outcome.NOT_APPLICABLE} == {Outcome.PASSED}, [result.message for result in results]
        with pytest.raises(TargetUnreachable, match="certificate"):
            Live(url)


def test_a_live_broker_that_refuses() -> None:
    with Broker() as broker:
        url = broker.url
        with pytest.raises(TargetError, match=r"^127\.0\.0\.1:\d+: ACCESS_REFUSED - Login was refused"):
            Live(url.replace("guest:guest", "guest:wrong"))
        with pytest.raises(TargetError, match=r"^127\.0\.0\.1:\d+: NOT_ALLOWED - vhost nowhere not found$"):
            Live(url.rstrip("/") + "/nowhere")
    with pytest.raises(TargetUnreachable, match=r"127\.0\.0\.1:\d+: Connection refused$"):
        Live(url)


@pytest.mark.parametrize(
    "url", ["http://localhost", "memory://", "amqp://a;amqp://b", "amqp://host:port", "amqps://host?verify=no", ""]
)
def test_urls_that_are_of_no_use(url: str) -> None:
    with pytest.raises(TargetError):
        Live(url)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the shell that started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_case_cleans_up_behind_itself() -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupted(rabbit: Rabbit) -> None:
        connection = rabbit.connect()
        rabbit.queue(connection.channel())
        signal.pthread_kill(main, signal.SIGINT)
        connection.drain_events()

    with Broker() as broker:
        target = Live(broker.url)
        with pytest.raises(KeyboardInterrupt):
            run_case(made(interrupted), target)
        assert broker.hub.node.vhosts["/"].queues == {}
        assert broker.hub.node.connections == {}


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_case_starts_the_broker_again(tmp_path: Path) -> None:
    """However long that takes. The command stands in for rabbitmqctl."""
    called, script = tmp_path / "called", tmp_path / "rabbitmqctl"
    script.write_text(
        f"""#!/bin/sh\necho $1 >> {called}; test $1 = eval && echo '<<"aHV0Y2hAbG9jYWxob3N0">>' || sleep 4\n"""
    )
    script.chmod(0o755)
    main = threading.main_thread().ident
    assert main is not None

    def interrupted(rabbit: Rabbit) -> None:
        signal.pthread_kill(main, signal.SIGINT)
        rabbit.restart()

    with Broker() as broker:
        with pytest.raises(KeyboardInterrupt):
            run_case(made(interrupted), Live(broker.url, rabbitmqctl=str(script)))
        assert called.read_text().split() == ["eval", "stop_app", "start_app"]


def test_a_case_that_needs_what_the_target_lacks_does_not_apply() -> None:
    def between_two(rabbit: Rabbit) -> None:
        assert rabbit.admin.add_vhost() != rabbit.vhost

    with Broker() as broker:
        result = run_case(made(between_two), Live(broker.url))
    assert (result.outcome, result.error) == (Outcome.NOT_APPLICABLE, None)
    assert result.message == "needs the management API (--management)"
    assert run_case(made(between_two), InProcess()).outcome is Outcome.PASSED


def test_a_case_that_moves_a_live_broker_needs_its_rabbitmqctl(tmp_path: Path) -> None:
    """The command stands in for rabbitmqctl: it notes how it was called, and names the cluster."""
    called = tmp_path / "called"
    script = tmp_path / "rabbitmq ctl"
    script.write_text(f"""#!/bin/sh\necho "$@" >> {called}; echo '<<"aHV0Y2hAbG9jYWxob3N0">>'\n""")
    script.chmod(0o755)

    def alarmed(rabbit: Rabbit) -> None:
        rabbit.control.raise_alarm("memory")

    with Broker() as broker:
        result = run_case(made(alarmed), Live(broker.url))
        assert (result.outcome, result.error) == (Outcome.NOT_APPLICABLE, None)
        assert result.message == "needs --rabbitmqctl, to control the broker itself"
        target = Live(broker.url, rabbitmqctl=f"'{script}' --node here")
        assert run_case(made(alarmed), target).outcome is Outcome.PASSED
    assert called.read_text().splitlines() == [
        "--node here eval base64:encode(rabbit_nodes:cluster_name()).",
        "--node here eval rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).",
        "--node here eval rabbit_alarm:clear_alarm({resource_limit, memory, node()}).",
    ]
    assert run_case(made(alarmed), InProcess()).outcome is Outcome.PASSED


def test_a_rabbitmqctl_that_is_of_no_use() -> None:
    with Broker() as broker:
        for command, told in {
            "/no/such --node here": r"^/no/such --node here cannot be run: No such file or directory$",
            "false": r"^rabbitmqctl eval gave exit status 1: it says nothing$",
            "'open": r"^\"'open\" is no command line: No closing quotation$",
            "echo": r"^rabbitmqctl eval printed 'eval base64:.*', not the cluster's name$",
            "printf '<<\"w7w=\">>'": r"^rabbitmqctl is that of 'ü', and the broker at the URL is 'hutch@localhost'$",
        }.items():
            with pytest.raises(TargetError, match=told):
                Live(broker.url, rabbitmqctl=command)


def test_a_turn_that_leaves_something_is_found() -> None:
    class Leaving(Watched):
        def broker(self, clock: ManualClock) -> Broker:
            broker = super().broker(clock)
            broker.hub.turn.followers.insert(0, lambda: broker.hub.node.pending.append(dict))
            return broker

    result = run_case(made(passing), Leaving())
    assert result.outcome is Outcome.FAILED
    assert "a turn of the broker has left [<class 'dict'>" in result.message
