"""What a test leaves behind, and what is done about it."""

import pytest

from hutch.client import Message, connect
from hutch.pytest_plugin import FakeBroker, LeftoverWarning

from .runs import ALONE

pytest_plugins = ["pytester"]


class TestWhat:
    def test_nothing(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        channel.queue_declare("orders")
        channel.basic_publish(Message(b"one"), routing_key="orders")
        assert fakebroker.get("orders").body == b"one"
        with connect(fakebroker.url) as connection:
            connection.channel()
        assert fakebroker.leftovers() == []

    def test_messages(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        channel.queue_declare("orders")
        for number in range(3):
            fakebroker.publish("orders", str(number))
        channel.basic_get("orders")
        assert fakebroker.leftovers() == [
            "1 message unacknowledged in queue 'orders'",
            "2 messages unread in queue 'orders'",
        ]

    def test_a_stream_keeps_its_messages(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        channel.queue_declare("log", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"})
        fakebroker.publish("log", "one")
        assert fakebroker.leftovers() == []

    def test_connections(self, fakebroker: FakeBroker) -> None:
        fakebroker.connect().channel()
        with connect(fakebroker.url) as connection:
            connection.channel()
            (line,) = fakebroker.leftovers()
            (name,) = [view.name for view in fakebroker.connections if "in-process" not in view.name]
            assert line == f"connection {name!r} of user 'guest' is open, with 1 channel"
        with connect(fakebroker.memory_url):
            (line,) = fakebroker.leftovers()
            assert line.endswith(" of user 'guest' is open, with 0 channels")

    def test_faults_that_never_happened(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        fakebroker.faults.on("basic.publish", nth=2).lose()
        fakebroker.faults.next("basic.publish").lose()
        channel.basic_publish(Message(b"one"), routing_key="orders")
        assert fakebroker.leftovers() == [
            "a fault never happened (1 matches): faults.on('basic.publish', nth=2).lose()"
        ]

    def test_a_stub_is_none(self, fakebroker: FakeBroker) -> None:
        fakebroker.connect().channel().queue_declare("rpc")
        fakebroker.reply_to("rpc", lambda _: None)
        assert fakebroker.leftovers() == []

    def test_returned_messages_that_nobody_asked_for(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        channel.events["basic_return"].add(lambda *_: None)
        for key in ("a", "b"):
            channel.basic_publish(Message(b"one"), routing_key=key, mandatory=True)
        assert len(fakebroker.leftovers()) == 2
        fakebroker.returned("a", count=1)
        (line,) = fakebroker.leftovers()
        assert line == (
            "a message was returned to its publisher (NO_ROUTE), and no fakebroker.returned(...) asked for it: "
            "the default exchange, key 'b': one"
        )
        fakebroker.history.clear()
        assert fakebroker.leftovers() == []
        for _ in range(10):
            channel.basic_publish(Message(b"one"), routing_key="b", mandatory=True)
        assert fakebroker.leftovers()[-1] == "5 more messages were returned"


class TestReactions:
    def test_as_a_context_manager(self) -> None:
        def leave(reaction: str) -> None:
            with FakeBroker(leftovers=reaction) as broker:
                broker.connect().channel().queue_declare("orders")
                broker.publish("orders", "one")

        leave("ignore")
        with pytest.warns(LeftoverWarning, match="1 message unread in queue 'orders'"):
            leave("warn")
        with pytest.raises(AssertionError) as failure:
            leave("fail")
        assert str(failure.value).splitlines() == [
            "the test left behind in its broker:",
            "  1 message unread in queue 'orders'",
        ]
        with pytest.raises(ValueError, match=r"leftovers 'fial' is unknown; did you mean 'fail'\?"):
            leave("fial")

    def test_another_error_comes_first(self) -> None:
        def leave() -> None:
            with FakeBroker(leftovers="fail") as broker:
                broker.connect().channel().queue_declare("orders")
                broker.publish("orders", "one")
                _ = 1 / 0

        with pytest.raises(ZeroDivisionError):
            leave()

    def test_in_pytest(self, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\nfakebroker_leftovers = fail\n")
        pytester.makepyfile(
            """
            import pytest

            def leave(broker):
                broker.connect().channel().queue_declare("orders")
                broker.publish("orders", "one")

            def test_fails(fakebroker):
                leave(fakebroker)

            def test_fails_of_the_factory(fakebroker_factory):
                leave(fakebroker_factory())

            def test_fails_for_itself(fakebroker):
                leave(fakebroker)
                assert False

            @pytest.mark.fakebroker(leftovers="ignore")
            def test_ignores(fakebroker):
                leave(fakebroker)

            @pytest.mark.fakebroker(leftovers="warn")
            def test_warns(fakebroker):
                leave(fakebroker)

            def test_clean(fakebroker):
                leave(fakebroker)
                fakebroker.get("orders")
            """
        )
        result = pytester.runpytest("-W", "default", *ALONE)
        result.assert_outcomes(passed=5, failed=1, errors=2, warnings=1)
        result.stdout.fnmatch_lines(
            ["E*AssertionError: the test left behind in its broker:", "E*  1 message unread in queue 'orders'"]
        )
        result = pytester.runpytest("-W", "default", "--fakebroker-leftovers", "ignore", *ALONE)
        result.assert_outcomes(passed=5, failed=1, warnings=1)
