"""Waits in event loops: asyncio, trio, anyio; with pytest-asyncio and anyio's plugin."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import anyio
import pytest
import trio

from hutch.client import Channel
from hutch.pytest_plugin import FakeBroker

from .runs import OTHERS, without

pytest_plugins = ["pytester"]

Main = Callable[[], Awaitable[None]]


def on_asyncio(main: Main) -> None:
    async def run() -> None:
        await main()

    asyncio.run(run())


def on_trio(main: Main) -> None:
    trio.run(main)


LOOPS = [on_asyncio, on_trio]


@pytest.fixture
def channel(fakebroker: FakeBroker) -> Channel:
    channel = fakebroker.connect().channel()
    channel.queue_declare("orders")
    return channel


@pytest.mark.parametrize("run", LOOPS)
class TestBoth:
    def test_it_waits_for_another_task(
        self, fakebroker: FakeBroker, channel: Channel, run: Callable[[Main], None]
    ) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as tasks:

                async def publish() -> None:
                    await anyio.sleep(0)
                    fakebroker.publish("orders", "one")

                tasks.start_soon(publish)
                found = await fakebroker.wait_until_async(lambda: fakebroker.published("orders", count=1))
                assert found[0].body == b"one"

        run(main)
        assert not fakebroker.broker.hub.turn.followers

    def test_it_waits_for_another_thread(
        self, fakebroker: FakeBroker, channel: Channel, run: Callable[[Main], None]
    ) -> None:
        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, lambda: fakebroker.publish("orders", "one"))
                await fakebroker.wait_until_async(lambda: fakebroker.queue("orders").ready == 1)

        run(main)

    def test_failure_says_what_the_condition_was(self, fakebroker: FakeBroker, run: Callable[[Main], None]) -> None:
        async def main() -> None:
            with pytest.raises(AssertionError, match=r"(?s)condition still false after 0\.01 s; last value: 0\n.*due"):
                await fakebroker.wait_until_async(lambda: len(fakebroker.history), timeout=0.01)

        run(main)
        assert not fakebroker.broker.hub.turn.followers

    @pytest.mark.parametrize("clock", ["auto", "ticking", "system"])
    def test_time_passes_meanwhile(self, clock: str, run: Callable[[Main], None]) -> None:
        with FakeBroker(clock=clock) as broker:
            broker.connect().channel().queue_declare("orders", arguments={"x-message-ttl": 30})
            broker.publish("orders", "one")

            async def main() -> None:
                await broker.wait_until_async(lambda: broker.expired("orders"))

            run(main)

    def test_a_wait_that_is_cancelled_leaves_nothing(self, fakebroker: FakeBroker, run: Callable[[Main], None]) -> None:
        async def main() -> None:
            with anyio.move_on_after(0.01) as scope:
                await fakebroker.wait_until_async(lambda: False)
            assert scope.cancelled_caught

        run(main)
        assert not fakebroker.broker.hub.turn.followers

    def test_the_blocking_twin_raises_at_once(self, fakebroker: FakeBroker, run: Callable[[Main], None]) -> None:
        async def main() -> None:
            with pytest.raises(RuntimeError, match=r"wait_until\(\) blocks, and .*event loop runs .*wait_until_async"):
                fakebroker.wait_until(lambda: True)

        run(main)

    def test_in_a_thread_beside_the_loop_it_blocks(self, fakebroker: FakeBroker, run: Callable[[Main], None]) -> None:
        async def main() -> None:
            await anyio.to_thread.run_sync(lambda: fakebroker.wait_until(lambda: True))

        run(main)


def test_an_application_in_the_same_loop(fakebroker: FakeBroker) -> None:
    async def main() -> None:
        connection = await aio_pika.connect(fakebroker.url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("orders")

            async def work(message: Any) -> None:
                async with message.process():
                    await channel.default_exchange.publish(aio_pika.Message(b"done"), "done")

            await channel.declare_queue("done")
            await queue.consume(work)
            fakebroker.publish("orders", "one")
            await fakebroker.wait_until_async(lambda: fakebroker.acked(queue="orders", count=1))
            assert fakebroker.get("done").body == b"done"

    asyncio.run(main())


def test_outside_of_a_loop(fakebroker: FakeBroker) -> None:
    wait = fakebroker.wait_until_async(lambda: True)
    with pytest.raises(RuntimeError, match="none runs in this thread"):
        wait.send(None)


def test_a_condition_that_is_a_coroutine_is_a_mistake(fakebroker: FakeBroker) -> None:
    for condition in (True, fakebroker.published()):
        with pytest.raises(TypeError, match="a condition is a function without parameters, not"):
            fakebroker.wait_until(condition)  # type: ignore[arg-type]

    async def coroutine() -> bool:
        return True

    with pytest.raises(TypeError, match="a condition is a plain function, and coroutine is a coroutine function"):
        fakebroker.wait_until(coroutine)  # type: ignore[unused-coroutine]


def test_with_the_plugins_of_pytest(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nasyncio_mode = strict\n")
    pytester.makepyfile(
        """
        import pytest

        async def body(fakebroker):
            fakebroker.connect().channel().queue_declare("orders")
            fakebroker.publish("orders", "one")
            await fakebroker.wait_until_async(lambda: fakebroker.queue("orders").ready == 1)
            with pytest.raises(RuntimeError, match="wait_until_async"):
                fakebroker.wait_until(lambda: True)

        @pytest.mark.asyncio
        async def test_asyncio(fakebroker):
            await body(fakebroker)

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        @pytest.mark.anyio
        async def test_anyio(anyio_backend, fakebroker):
            await body(fakebroker)
        """
    )
    options = without(*(name for name in OTHERS if name not in {"asyncio", "anyio"}))
    pytester.runpytest_subprocess("-W", "error", *options).assert_outcomes(passed=3)
