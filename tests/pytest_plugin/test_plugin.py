"""The plugin inside pytest: runs of pytest are made and their outcome looked at."""

import subprocess
import sys

import pytest

from hutch.pytest_plugin.settings import SETTINGS

from .runs import ALONE

pytest_plugins = ["pytester"]

HEAVY = "[name for name in sys.modules if name.startswith(('hutch.client', 'hutch.fakebroker', 'hutch.wire'))]"


def test_it_is_there_without_being_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from hutch.client import Message

        def test_one(fakebroker):
            channel = fakebroker.connect().channel()
            channel.queue_declare("orders", durable=True, auto_delete=False)
            channel.basic_publish(Message(b"one"), routing_key="orders")
            fakebroker.published("orders", count=1)

        def test_two(fakebroker):
            fakebroker.published("orders", count=0)
        """
    )
    pytester.runpytest(*ALONE).assert_outcomes(passed=2)


def test_it_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(fakebroker): pass")
    result = pytester.runpytest("-p", "no:hutch", *ALONE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'fakebroker' not found"])


def test_fixtures_tell_what_they_are(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--fixtures", *ALONE)
    for name, text in (
        ("fakebroker", "A new RabbitMQ double for this test:*"),
        ("fakebroker_url", "The `*amqp://`* URL*"),
        ("fakebroker_connection", "A client of the fixture*"),
        ("fakebroker_channel", "An open channel*"),
        ("fakebroker_factory", "Makes brokers for this test*"),
        ("fakebroker_config [[]session scope]", "Settings for all brokers*"),
    ):
        result.stdout.fnmatch_lines([f"{name} -- *", f"    {text}"])


def test_the_marker_is_registered(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.fakebroker(clock="system")

        @pytest.mark.fakebroker(profile="3.10")
        def test_one(fakebroker):
            assert fakebroker.profile.name == "3.10"
            assert type(fakebroker.clock).__name__ == "SystemClock"
        """
    )
    pytester.runpytest("--strict-markers", *ALONE).assert_outcomes(passed=1)
    pytester.runpytest("--markers", *ALONE).stdout.fnmatch_lines(
        ["@pytest.mark.fakebroker(profile='4.3', clock='manual', *"]
    )


def test_the_marker_asks_for_single_confirms(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.fakebroker(single_confirms=True)
        def test_one(fakebroker):
            assert fakebroker.profile.amqp091.single_confirms

        def test_two(fakebroker):
            assert not fakebroker.profile.amqp091.single_confirms
        """
    )
    pytester.runpytest(*ALONE).assert_outcomes(passed=2)


def test_a_wrong_marker_is_told_in_a_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.fakebroker(profle="3.10")
        def test_name(fakebroker): pass

        @pytest.mark.fakebroker(profile="3.11")
        def test_profile(fakebroker): pass

        @pytest.mark.fakebroker(clock="stopped")
        def test_clock(fakebroker): pass

        @pytest.mark.fakebroker(leftovers="explode")
        def test_leftovers(fakebroker): pass

        @pytest.mark.fakebroker("3.10")
        def test_positional(fakebroker): pass
        """
    )
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(errors=5)
    for complaint in (
        f"argument 'profle' is unknown; did you mean 'profile'? choose from {', '.join(map(repr, SETTINGS))}",
        "profile '3.11' is unknown; did you mean '3.10'? choose from '3.10', '4.3'",
        "clock 'stopped' is unknown; choose from 'manual', 'frozen', 'auto', 'ticking', 'system'",
        "leftovers 'explode' is unknown; choose from 'ignore', 'warn', 'fail'",
        f"takes keyword arguments only ({', '.join(SETTINGS)}), not '3.10'",
    ):
        assert f"@pytest.mark.fakebroker: {complaint}" in result.stdout.lines
    assert "Traceback" not in result.stdout.str()


def test_the_option_sets_the_profile_unless_a_marker_does(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_option(fakebroker):
            assert fakebroker.profile.name == "3.10"

        @pytest.mark.fakebroker(profile="4.3")
        def test_marker(fakebroker):
            assert fakebroker.profile.name == "4.3"
        """
    )
    pytester.runpytest("--fakebroker-profile", "3.10", *ALONE).assert_outcomes(passed=2)
    result = pytester.runpytest("--fakebroker-profile", "3.1", "-k", "test_option", *ALONE)
    result.assert_outcomes(errors=1, deselected=1)
    result.stdout.fnmatch_lines(
        ["--fakebroker-profile: profile '3.1' is unknown; did you mean '3.10'[?] choose from '3.10', '4.3'"]
    )


def test_a_failure_shows_what_was_published_and_what_happened(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from hutch.client import Message

        def test_one(fakebroker):
            channel = fakebroker.connect().channel()
            channel.queue_declare("orders", durable=True, auto_delete=False)
            channel.basic_publish(Message(b"one", application_headers={"x-attempt": 1}), routing_key="orders")
            fakebroker.clock.advance(minutes=5)
            fakebroker.published("orders", count=1, headers={"x-attempt": 2})
        """
    )
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*fakebroker.published(*",
            "E*AssertionError: expected 1 published message with routing key 'orders', *; there are none",
            "E*near misses:",
            "E*header x-attempt is 1",
            "-* what happened in fakebroker -*",
            "+0.0 s  connected: in-process client 1",
            "+0.0 s  declared queue orders",
            "+0.0 s  published to the default exchange, key 'orders', routed to orders: one",
        ]
    )
    assert "matching.py" not in result.stdout.str(), "the traceback ends in the test"


def test_a_fixture_of_that_name_that_is_something_else_is_let_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def fakebroker():
            return "another one"

        def test_one(fakebroker):
            assert fakebroker == "this one"
        """
    )
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_an_error_behind_a_test_shows_nothing_of_the_broker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken(fakebroker):
            yield
            assert fakebroker is None

        def test_one(broken, fakebroker):
            fakebroker.connect().channel().queue_declare("orders")
        """
    )
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.no_fnmatch_line("*what happened in fakebroker*")


def test_the_report_does_not_wait_for_a_broker_that_is_stuck(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from hutch.fakebroker import Broker

        def test_one(fakebroker, monkeypatch):
            def stuck(self):
                raise TimeoutError
            monkeypatch.setattr(type(fakebroker), "drain_clients", stuck)
            assert fakebroker.queue("orders").ready == 1
        """
    )
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.fnmatch_lines(["-* what happened in fakebroker -*", "nothing"])


def test_a_failure_without_a_broker_shows_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): assert False")
    result = pytester.runpytest(*ALONE)
    result.assert_outcomes(failed=1)
    assert "fakebroker" not in result.stdout.str()


def test_nothing_is_left_behind(pytester: pytest.Pytester) -> None:
    """No thread, no socket, no task: in a process of its own, where every warning is an error."""
    pytester.makeconftest(
        """
        import gc, threading
        import pytest

        @pytest.fixture(autouse=True)
        def no_new_threads():
            before = set(threading.enumerate())
            yield
            gc.collect()
            assert set(threading.enumerate()) == before
        """
    )
    pytester.makepyfile(
        """
        import pytest
        from hutch.client import Message, connect
        from hutch.pytest_plugin import FakeBroker

        def use(connection):
            channel = connection.channel()
            channel.queue_declare("orders", durable=True, auto_delete=False)
            channel.basic_consume("orders")
            channel.basic_publish(Message(b"one"), routing_key="orders")

        def test_in_process_left_open(fakebroker):
            use(fakebroker.connect())

        def test_tcp_left_open_by_the_client(fakebroker):
            connection = connect(fakebroker.url)
            use(connection)
            fakebroker.close()
            connection.collect()

        def test_tcp(fakebroker):
            with connect(fakebroker.url) as connection:
                use(connection)

        def test_several(fakebroker):
            with FakeBroker() as other:
                use(fakebroker.connect())
                use(other.connect())
                with connect(fakebroker.url) as one, connect(other.url) as two:
                    use(one)
                    use(two)

        def test_that_fails(fakebroker):
            use(fakebroker.connect())
            with connect(fakebroker.url) as connection:
                use(connection)
                assert fakebroker.queue("orders").ready == 17

        @pytest.mark.fakebroker(clock="system")
        def test_on_the_system_clock(fakebroker):
            use(fakebroker.connect())
            with connect(fakebroker.url) as connection:
                use(connection)
        """
    )
    result = pytester.runpytest_subprocess("-W", "error", *ALONE)
    result.assert_outcomes(passed=5, failed=1)
    assert result.stderr.str() == ""


def test_under_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from hutch.client import Message, connect

        @pytest.mark.parametrize("number", range(20))
        def test_one(fakebroker, number):
            with connect(fakebroker.url) as connection:
                channel = connection.channel()
                channel.queue_declare("orders", durable=True, auto_delete=False, arguments={"x-message-ttl": 1000})
                channel.basic_publish(Message(str(number)), routing_key="orders")
                assert fakebroker.published(count=1)[0].body == str(number).encode()
                fakebroker.clock.advance(seconds=1)
                assert fakebroker.queue("orders").ready == 0
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
    result.assert_outcomes(passed=20)


def test_it_costs_nothing_until_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_unused():
            assert {HEAVY} == []

        def test_used(fakebroker):
            assert 'hutch.fakebroker' in sys.modules
            assert 'hutch.client' not in sys.modules, 'only for clients in process'
            assert 'asyncio' not in sys.modules, 'only for TCP'
        """
    )
    result = pytester.runpytest_subprocess(*ALONE)
    result.assert_outcomes(passed=2)


def test_its_module_imports_pytest_alone() -> None:
    script = f"import sys, pytest; before = set(sys.modules); import hutch.pytest_plugin.plugin; print({HEAVY}); "
    script += "print(sorted(name for name in sys.modules if name not in before))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "['hutch', 'hutch.pytest_plugin', 'hutch.pytest_plugin.plugin']"]


def test_the_package_has_no_other_names() -> None:
    import hutch.pytest_plugin  # noqa: PLC0415

    assert hutch.pytest_plugin.FakeBroker.__name__ == "FakeBroker"
    with pytest.raises(AttributeError, match="has no attribute 'RealBroker'"):
        _ = hutch.pytest_plugin.RealBroker
