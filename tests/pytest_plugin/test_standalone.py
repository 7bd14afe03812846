"""A broker without pytest: context manager, decorator, mix-in for unittest."""

import asyncio
import inspect
import subprocess
import sys
import unittest

import pytest

from hutch.pytest_plugin import FakeBroker, FakeBrokerMixin, with_fakebroker

from .runs import ALONE

pytest_plugins = ["pytester"]


class TestDecorator:
    def test_a_function(self) -> None:
        @with_fakebroker(profile="3.10")
        def use(number: int, fakebroker: FakeBroker, *, factor: int) -> tuple[int, FakeBroker]:
            assert fakebroker.profile.name == "3.10"
            assert not fakebroker.broker.hub.closed
            return number * factor, fakebroker

        value, broker = use(3, factor=2)  # type: ignore[call-arg]
        assert value == 6
        assert broker.broker.hub.closed
        assert [*inspect.signature(use).parameters] == ["number", "factor"]
        assert use.__name__ == "use"

    def test_a_coroutine_function(self) -> None:
        @with_fakebroker()
        async def use(fakebroker: FakeBroker) -> FakeBroker:
            await fakebroker.wait_until_async(lambda: True)
            return fakebroker

        assert inspect.iscoroutinefunction(use)
        assert asyncio.run(use()).broker.hub.closed  # type: ignore[call-arg]

    def test_each_call_has_its_own(self) -> None:
        @with_fakebroker()
        def use(fakebroker: FakeBroker) -> FakeBroker:
            fakebroker.connect().channel().queue_declare("orders", passive=False)
            return fakebroker

        assert use() is not use()  # type: ignore[call-arg]

    def test_a_function_without_the_parameter(self) -> None:
        with pytest.raises(TypeError, match="use has no parameter 'fakebroker' to give the broker to"):

            @with_fakebroker()
            def use() -> None: ...

    def test_in_pytest(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            """
            from hutch.pytest_plugin import with_fakebroker

            @with_fakebroker(profile="3.10")
            def test_one(tmp_path, fakebroker):
                assert fakebroker.profile.name == "3.10"
                assert tmp_path.exists()
            """
        )
        pytester.runpytest(*ALONE).assert_outcomes(passed=1)


def test_pytest_need_not_be_installed() -> None:
    script = "import sys; sys.modules['pytest'] = None; from hutch.pytest_plugin import *; FakeBroker().close()"
    subprocess.run([sys.executable, "-c", script], check=True)


def outcome(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


class TestMixin:
    def test_each_test_has_its_own(self) -> None:
        brokers: list[FakeBroker] = []

        class Case(FakeBrokerMixin, unittest.TestCase):
            fakebroker_settings = {"profile": "3.10"}  # noqa: RUF012  (as it is written)

            def test_one(self) -> None:
                self.fakebroker.connect().channel().queue_declare("orders")
                brokers.append(self.fakebroker)

            def test_two(self) -> None:
                assert self.fakebroker.profile.name == "3.10"
                brokers.append(self.fakebroker)

            def tearDown(self) -> None:
                assert not self.fakebroker.broker.hub.closed

        assert outcome(Case).wasSuccessful()
        one, two = brokers
        assert one is not two
        assert one.broker.hub.closed

    def test_asyncio(self) -> None:
        class Case(FakeBrokerMixin, unittest.IsolatedAsyncioTestCase):
            async def test_one(self) -> None:
                self.fakebroker.connect().channel().queue_declare("orders")
                await self.fakebroker.wait_until_async(lambda: self.fakebroker.queue("orders"))

        result = outcome(Case)
        assert (result.testsRun, result.errors, result.failures) == (1, [], [])

    def test_leftovers_fail(self) -> None:
        class Case(FakeBrokerMixin, unittest.TestCase):
            fakebroker_settings = {"leftovers": "fail"}  # noqa: RUF012

            def test_one(self) -> None:
                self.fakebroker.connect().channel().queue_declare("orders")
                self.fakebroker.publish("orders", "one")

        ((_, trace),) = outcome(Case).failures
        assert "1 message unread in queue 'orders'" in trace
