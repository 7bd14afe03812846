import pytest

from hutch.conformance.check import equal, same_table, true
from hutch.conformance.rabbit import Rabbit, body
from hutch.conformance.runner import Outcome
from hutch.wire import methods as amqp
from hutch.wire.fields import Int16
from tests.conformance.conftest import Run, failing, passing


def test_a_case_that_holds_passes(run: Run) -> None:
    result = run(passing)
    assert (result.outcome, result.message, result.error) == (Outcome.PASSED, "", None)


def test_another_error_than_expected_is_shown_with_code_and_text(run: Run) -> None:
    result = run(failing)
    assert result.outcome is Outcome.FAILED
    assert "expected (403, 'ACCESS_REFUSED - some other text', (50, 10))" in result.message
    assert "got (404, \"NOT_FOUND - no queue 'missing' in vhost 'conformance'\", (50, 10))" in result.message


def test_success_where_a_channel_error_is_expected_fails(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        with rabbit.expect_channel_error(channel, 404, "no queue", (50, 10)):
            rabbit.queue(channel)

    result = run(play)
    assert result.outcome is Outcome.FAILED
    assert "expected (404, 'NOT_FOUND - no queue', (50, 10)), and the broker accepted it" in result.message


def test_success_where_a_connection_error_is_expected_fails(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        with rabbit.expect_connection_error(rabbit.channel(), 540, "active=false", (20, 20)):
            pass

    assert "and the broker accepted it" in run(play).message


def test_an_error_of_the_channel_where_the_connection_should_go(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        text = "no queue 'missing' in vhost 'conformance'"
        with rabbit.expect_connection_error(channel, 404, text, (50, 10)):
            channel.queue_declare("missing", passive=True)

    assert run(play).message.startswith("the connection is still open")


def test_an_error_of_the_connection_where_the_channel_should_go(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        with rabbit.expect_channel_error(channel, 540, "active=false", (20, 20)):
            channel.flow(False)

    assert run(play).message.startswith("the broker closed the connection, not the channel alone")


def test_errors_that_come_unasked_are_waited_for(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        text = "no exchange 'missing' in vhost 'conformance'"
        rabbit.refused(lambda channel: rabbit.publish(channel, b"x", "missing"), 404, text, (60, 40))
        channel = rabbit.channel(rabbit.connect())
        with rabbit.expect_connection_error(channel, 540, "active=false", (20, 20)):
            channel.flow(False)

    assert run(play).outcome is Outcome.PASSED, run(play).message


def test_deliveries_that_come_and_that_do_not(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        queue = rabbit.queue(channel)
        consumer = rabbit.consume(channel, queue, no_ack=True)
        consumer.expect_nothing()
        rabbit.publish(rabbit.channel(), b"x", routing_key=queue)
        equal(body(consumer.one()), b"x")
        rabbit.publish(channel, b"more", routing_key=queue)
        consumer.expect_nothing()

    assert run(play).message.startswith("further deliveries: expected [], got [b'more']")


def test_raw_channels_tell_what_comes_unexpectedly(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.raw().channel()
        channel.call(amqp.ConfirmSelect())
        channel.publish(b"x", routing_key="nowhere")
        channel.expect_nothing()

    assert run(play).message.startswith("expected nothing more, got [BasicAck(delivery_tag=1")


def test_raw_connections_tell_that_the_broker_stays(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        rabbit.raw().expect_gone(0.2)

    assert run(play).message.startswith("the broker keeps the connection open")


def test_raw_connections_tell_another_close(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        raw = rabbit.raw()
        raw.send_frame(4, 0, b"")
        raw.expect_close(501, "something else", (0, 0))

    message = run(play).message
    assert "reply_text='FRAME_ERROR - something else'" in message
    assert "reply_text='FRAME_ERROR - type 4, all octets = <<>>: unknown_frame'" in message


def test_streams_tell_that_something_has_come(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        raw = rabbit.raw_unopened()
        true(not raw.transport.readable(), "something has come already")
        raw.send(b"AMQP\0\0\x09\1")
        rabbit.eventually(raw.transport.readable, "nothing comes")

    assert run(play).message == ""


def test_time_passes(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        channel = rabbit.channel()
        queue = rabbit.queue(channel)
        rabbit.publish(channel, b"x", routing_key=queue, expiration="3600000")
        rabbit.advance(3599)
        rabbit.expect_ready(channel, queue, 1)
        rabbit.advance(2)
        rabbit.expect_ready(channel, queue, 0)

    assert run(play).message == ""


def test_connections_are_closed_after_a_failure(run: Run) -> None:
    kept: list[Rabbit] = []

    def play(rabbit: Rabbit) -> None:
        kept.append(rabbit)
        rabbit.raw()
        raise AssertionError("no")

    connections = []

    def connecting(rabbit: Rabbit) -> None:
        connections.append(rabbit.connect())
        play(rabbit)

    assert run(connecting).message.startswith("no (")
    assert not connections[0].connected


def test_names_are_given_once(run: Run) -> None:
    def play(rabbit: Rabbit) -> None:
        names = [rabbit.name(), rabbit.name(), rabbit.name("x")]
        equal(len(set(names)), 3)
        true(names[2].startswith("x"), "another beginning")

    assert run(play).outcome is Outcome.PASSED


def test_comparisons_tell_both_sides() -> None:
    with pytest.raises(AssertionError, match=r"^counts: expected 2, got 1$"):
        equal(1, 2, "counts")
    with pytest.raises(AssertionError, match=r"^no good$"):
        true(0, "no good")


def test_tables_are_compared_with_their_wire_types() -> None:
    same_table({"a": 1, "b": [{"c": None}]}, {"b": [{"c": None}], "a": 1})
    with pytest.raises(AssertionError, match=r"'short'"):
        same_table({"a": Int16(1)}, {"a": 1})
