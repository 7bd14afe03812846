"""Where a broker's settings come from, several brokers, and the fixtures that give clients."""

import pytest

from hutch.client import Channel, Connection
from hutch.pytest_plugin import FakeBroker

from .runs import ALONE

pytest_plugins = ["pytester"]


class TestSources:
    def test_each_counts_before_the_ones_in_front_of_it(self, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\nfakebroker_profile = 3.10\nfakebroker_clock = frozen\n")
        pytester.makepyfile(
            """
            import pytest

            def test_ini(fakebroker):
                assert fakebroker.profile.name == "3.10"
                assert type(fakebroker.clock).__name__ == "FrozenClock"

            class TestOverridden:
                @pytest.fixture(scope="class")
                def fakebroker_config(self):
                    return {"clock": "auto", "seed": 7, "users": {"ann": "secret"}, "vhosts": ["shop"]}

                def test_config(self, fakebroker):
                    assert fakebroker.profile.name == "3.10"
                    assert type(fakebroker.clock).__name__ == "AutoClock"
                    assert fakebroker.connect().userid == "ann"

                @pytest.mark.fakebroker(clock="system", vhosts=["bank"])
                def test_marker(self, fakebroker):
                    assert type(fakebroker.clock).__name__ == "SystemClock"
                    assert fakebroker.connect().userid == "ann"
                    assert fakebroker.connect().virtual_host == "bank"
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=3)
        result = pytester.runpytest("--fakebroker-clock", "ticking", *ALONE)
        result.assert_outcomes(passed=1, failed=2)
        result.stdout.fnmatch_lines(
            ["E*assert 'TickingClock' == 'FrozenClock'", "E*assert 'TickingClock' == 'AutoClock'"]
        )

    def test_a_wrong_one_says_where_it_is(self, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\nfakebroker_clock = forzen\n")
        pytester.makeconftest(
            """
            import pytest

            @pytest.fixture(scope="session")
            def fakebroker_config():
                return {"profle": "3.10"}
            """
        )
        pytester.makepyfile("def test_one(fakebroker): pass")
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["ini file: clock 'forzen' is unknown; did you mean 'frozen'? choose from 'manual', *"]
        )
        result = pytester.runpytest("-o", "fakebroker_clock=", *ALONE)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(
            ["fakebroker_config: argument 'profle' is unknown; did you mean 'profile'? choose from 'profile', *"]
        )

    def test_a_clock_may_be_given(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            import pytest
            from hutch.fakebroker import ManualClock

            CLOCK = ManualClock(start=0)

            @pytest.mark.fakebroker(clock=CLOCK)
            def test_one(fakebroker):
                assert fakebroker.clock is CLOCK
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=1)


class TestFactory:
    def test_strangers(self, fakebroker_factory: type[FakeBroker]) -> None:
        one, other = fakebroker_factory(), fakebroker_factory(profile="3.10")
        one.connect().channel().queue_declare("orders")
        assert (one.profile.name, other.profile.name) == ("4.3", "3.10")
        with pytest.raises(LookupError, match="no queue 'orders'"):
            other.queue("orders")
        assert one.clock is not other.clock

    def test_on_one_clock(self, fakebroker_factory: type[FakeBroker]) -> None:
        one = fakebroker_factory()
        other = fakebroker_factory(clock=one.clock)
        for broker in (one, other):
            broker.connect().channel().queue_declare("orders", arguments={"x-message-ttl": 1000})
            broker.publish("orders", "one")
        one.clock.advance(seconds=1)
        assert one.expired("orders", count=1)
        assert other.expired("orders", count=1)

    @pytest.mark.fakebroker(profile="3.10", clock="frozen")
    def test_what_is_not_said_is_as_for_fakebroker(
        self, fakebroker: FakeBroker, fakebroker_factory: type[FakeBroker]
    ) -> None:
        other = fakebroker_factory(clock=fakebroker.clock)
        assert other.profile.name == "3.10"
        assert type(fakebroker_factory().clock) is type(fakebroker.clock)

    def test_they_are_closed_and_shown(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            MADE = []

            def test_fails(fakebroker_factory):
                for name in "ab":
                    MADE.append(fakebroker_factory())
                    MADE[-1].connect().channel().queue_declare(name)
                assert False

            def test_closed():
                assert all(broker.broker.hub.closed for broker in MADE)
            """
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(
            [
                "-* what happened in broker 1 of fakebroker_factory -*",
                "*declared queue a",
                "-* what happened in broker 2 of fakebroker_factory -*",
                "*declared queue b",
            ]
        )


def test_clients(
    fakebroker: FakeBroker, fakebroker_connection: Connection, fakebroker_channel: Channel, fakebroker_url: str
) -> None:
    assert fakebroker_channel.connection is fakebroker_connection
    fakebroker_channel.queue_declare("orders")
    assert fakebroker.queue("orders").ready == 0
    assert fakebroker_url == fakebroker.url
