"""One broker for several tests: fakebroker_module and fakebroker_session."""

import pytest

from hutch.client import ConnectionForced
from hutch.pytest_plugin import FakeBroker

from .runs import ALONE

pytest_plugins = ["pytester"]


class TestEachTestFindsTheSameState:
    def test_messages_topology_time_names_and_history(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            import pytest

            NAMES = set()

            @pytest.mark.parametrize("number", range(3))
            def test_one(fakebroker_session, number):
                assert list(fakebroker_session.history) == []
                assert fakebroker_session.clock.time() == 1_700_000_000
                channel = fakebroker_session.connect().channel()
                NAMES.add(channel.queue_declare().queue)
                channel.queue_declare("orders", auto_delete=False)
                fakebroker_session.publish("orders", str(number))
                assert fakebroker_session.queue("orders").ready == 1
                fakebroker_session.published(count=1)
                fakebroker_session.clock.advance(hours=1)
                fakebroker_session.admin.add_vhost("apart")

            def test_it_is_one_broker(fakebroker_session):
                assert len(NAMES) == 1
                assert list(fakebroker_session.connections) == []

            def test_without_a_broker():
                pass
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=5)

    def test_what_wider_fixtures_do_stays_until_they_undo_it(self, pytester: pytest.Pytester) -> None:
        pytester.makeconftest(
            """
            import pytest

            @pytest.fixture(scope="session")
            def shop(fakebroker_session):
                channel = fakebroker_session.connect().channel()
                channel.queue_declare("orders", auto_delete=False)
                fakebroker_session.publish("orders", "kept")
                yield channel
                assert fakebroker_session.queue("orders").ready == 1, "the last test's messages are gone"

            @pytest.fixture(scope="module")
            def bank(fakebroker_session, shop):
                shop.queue_declare("accounts", auto_delete=False)
                yield shop
                assert fakebroker_session.queue("accounts").ready == 0
                shop.queue_delete("accounts")

            @pytest.fixture(autouse=True)
            def message(fakebroker_session, shop):
                fakebroker_session.publish("orders", "of the test")

            @pytest.fixture(scope="module")
            def broken(fakebroker_session):
                fakebroker_session.publish("orders", "of a fixture that fails")
                raise ValueError
            """
        )
        one = """
            import pytest

            @pytest.mark.parametrize("number", range(3))
            def test_one(bank, fakebroker_session, number):
                assert fakebroker_session.queue("orders").ready == 2
                bank.basic_get("orders")
                fakebroker_session.publish("accounts", "one")
                assert fakebroker_session.queue("accounts").ready == 1
                assert bank.connection.is_alive()
            """
        other = """
            import pytest

            @pytest.fixture(scope="class", params=["a", "b"])
            def parametrized(fakebroker_session, request):
                fakebroker_session.publish("orders", request.param)
                yield
                assert fakebroker_session.get("orders").body == b"kept"
                assert fakebroker_session.get("orders").body == request.param.encode()
                fakebroker_session.publish("orders", "kept")

            def test_the_module_is_gone(fakebroker_session):
                with pytest.raises(LookupError):
                    fakebroker_session.queue("accounts")

            class TestClass:
                def test_one(self, fakebroker_session, parametrized):
                    assert fakebroker_session.queue("orders").ready == 3

            def test_one_that_fails(broken):
                pass

            def test_another(fakebroker_session):
                assert [message.body for message in fakebroker_session.queue("orders").messages] == [
                    b"kept", b"of the test"
                ]
            """
        pytester.makepyfile(test_a=one, test_b=other)
        pytester.runpytest(*ALONE).assert_outcomes(passed=7, errors=1)

    def test_a_module_has_a_broker_of_its_own(self, pytester: pytest.Pytester) -> None:
        module = """
            import pytest

            pytestmark = pytest.mark.fakebroker(profile="3.10")

            def test_one(fakebroker_module):
                assert fakebroker_module.profile.name == "3.10"
                fakebroker_module.connect().channel().queue_declare("orders", auto_delete=False)

            def test_two(fakebroker_module):
                with pytest.raises(LookupError):
                    fakebroker_module.queue("orders")
            """
        pytester.makepyfile(test_a=module, test_b=module.replace("3.10", "4.3"))
        pytester.runpytest(*ALONE).assert_outcomes(passed=4)

    def test_a_broker_that_a_test_stopped_is_started(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            import pytest

            @pytest.mark.parametrize("number", range(2))
            def test_one(fakebroker_session, number):
                fakebroker_session.connect().close()
                assert list(fakebroker_session.faults) == []
                fakebroker_session.faults.connecting().refuse()
                fakebroker_session.stop()
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=2)

    def test_a_broker_that_a_test_closed_is_missed_by_those_that_use_it(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            def test_closes(fakebroker_session):
                fakebroker_session.close()

            def test_uses(fakebroker_session):
                pass

            def test_does_not():
                pass
            """
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["E*RuntimeError: the broker is closed*"])

    def test_clients_of_tests_before_are_let_go(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            import time
            import pytest

            @pytest.mark.parametrize("number", range(5))
            def test_one(fakebroker_session, number):
                channel = fakebroker_session.connect().channel()
                channel.queue_declare("rpc")
                fakebroker_session.reply_to("rpc", lambda request: "yes")
                deadline = time.monotonic() + 20
                while len(fakebroker_session.broker.hub.pipes) > 4 and time.monotonic() < deadline:
                    time.sleep(0.01)  # those that reply are closed by threads of their own
                assert len(fakebroker_session.broker.hub.pipes) <= 4
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=5)


class TestLeftovers:
    def test_they_are_named_in_the_test_that_left_them(self, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\nfakebroker_leftovers = fail\n")
        pytester.makeconftest(
            """
            import pytest
            from hutch.client import connect

            @pytest.fixture(scope="session")
            def shop(fakebroker_session):
                with connect(fakebroker_session.url) as connection:
                    connection.channel().queue_declare("orders", auto_delete=False)
                    fakebroker_session.publish("orders", "kept")
                    yield connection
            """
        )
        pytester.makepyfile(
            """
            import pytest
            from hutch.client import connect

            LEFT = []

            @pytest.fixture(scope="module", autouse=True)
            def closed():
                yield
                LEFT.pop().collect()

            def test_tidy(shop):
                assert shop.is_alive()

            def test_leaves_a_connection(shop, fakebroker_session):
                LEFT.append(connect(fakebroker_session.url))

            def test_leaves_a_message(shop, fakebroker_session):
                assert not LEFT[0].is_alive()
                fakebroker_session.publish("orders", "left")

            def test_fails(shop, fakebroker_session):
                fakebroker_session.publish("orders", "left")
                assert False

            def test_the_last(shop, fakebroker_session):
                fakebroker_session.publish("orders", "left")
            """
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(passed=4, failed=1, errors=3)
        result.stdout.fnmatch_lines(
            [
                "*ERROR at teardown of test_leaves_a_connection*",
                "E*the test left behind in its broker:",
                "*connection '*' of user 'guest' is open, with 0 channels",
                "*ERROR at teardown of test_leaves_a_message*",
                "*2 messages unread in queue 'orders'",
                "*ERROR at teardown of test_the_last*",
                "*2 messages unread in queue 'orders'",
                "*what happened in fakebroker_session*",
                "*published*left*",
            ]
        )
        assert "2 channels" not in result.stdout.str()
        assert "1 channel" not in result.stdout.str(), "the connection of the fixture is none"

    def test_a_warning(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            import pytest

            pytestmark = pytest.mark.fakebroker(leftovers="warn")

            def test_one(fakebroker_module):
                fakebroker_module.connect().channel().queue_declare("orders", auto_delete=False)
                fakebroker_module.publish("orders", "left")
            """
        )
        result = pytester.runpytest("-W", "default", *ALONE)
        result.assert_outcomes(passed=1, warnings=1)
        result.stdout.fnmatch_lines(["*1 message unread in queue 'orders'"])


class TestMarkers:
    @pytest.mark.parametrize(
        ("fixture", "where"),
        [("session", "fakebroker_config"), ("module", "fakebroker_config, or the module's marker")],
    )
    def test_one_that_no_broker_goes_by_is_refused(self, pytester: pytest.Pytester, fixture: str, where: str) -> None:
        pytester.makepyfile(
            f"""
            import pytest

            @pytest.mark.fakebroker(profile="3.10")
            def test_one(fakebroker_{fixture}):
                pass

            @pytest.mark.fakebroker(profile="3.10")
            def test_two(fakebroker_{fixture}, fakebroker):
                assert fakebroker.profile.name == "3.10"
            """
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(
            [f"@pytest.mark.fakebroker: fakebroker_{fixture} is made once for several tests, so the settings stand in*"]
        )
        assert where in result.stdout.str()


def test_a_reset_of_the_fixture_is_that_of_the_broker(fakebroker: FakeBroker) -> None:
    connection = fakebroker.connect()
    channel = connection.channel()
    channel.queue_declare("orders", auto_delete=False)
    fakebroker.publish("orders", "one")
    fakebroker.clock.advance(5)
    fakebroker.reset()
    assert list(fakebroker.history) == []
    assert fakebroker.clock.time() == 1_700_000_000
    with pytest.raises(ConnectionForced):
        channel.queue_declare("orders")
    with pytest.raises(LookupError):
        fakebroker.queue("orders")
    assert fakebroker.connect().is_alive()
