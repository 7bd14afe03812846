"""Promises: as vine's where both have the same, and what connections and channels do with them."""

from typing import Any

import pytest
import vine

from hutch.client import Connection, NotAllowed, ResourceError, promise
from hutch.wire.frames import method_frame
from hutch.wire.methods import ChannelClose, ChannelOpen, ConnectionClose, ConnectionOpen, QueueDeclare
from tests.client.scripted import Server, connected

BOTH = pytest.mark.parametrize("kind", [promise, vine.promise], ids=["hutch", "vine"])
Kind = Any


@BOTH
def test_a_promise_without_a_function_hands_on_its_arguments(kind: Kind) -> None:
    got: list[object] = []
    pending = kind(None, (1,), {"a": 1}, callback=lambda *args, **kwargs: got.append((args, kwargs)))
    assert not pending.ready
    assert pending.value is None
    assert pending(2, b=2) is None
    assert got == [((1, 2), {"a": 1, "b": 2})]
    assert pending.ready
    assert not pending.failed
    assert pending.value == ((1, 2), {"a": 1, "b": 2})


@BOTH
def test_a_function_is_called_and_its_result_handed_on(kind: Kind) -> None:
    got: list[object] = []
    pending = kind(lambda a, b: a + b, (1,))
    pending.then(lambda result: result * 10).then(got.append)
    assert pending(2) == 3
    assert pending.value == ((3,), {})
    assert got == [30]


@BOTH
def test_a_listener_that_comes_late_is_called_at_once(kind: Kind) -> None:
    got: list[object] = []
    pending = kind()
    for name in ("first", "second"):
        pending.then(kind(lambda value, name=name: got.append((name, value))))
    pending(1)
    listener = pending.then(lambda value: got.append(("late", value)))
    assert listener.ready
    assert got == [("first", 1), ("second", 1), ("late", 1)]


@BOTH
def test_an_error_without_on_error_is_raised(kind: Kind) -> None:
    def fail() -> None:
        raise KeyError("x")

    failing = kind(fail)
    with pytest.raises(KeyError):
        failing()
    assert failing.failed
    assert not failing.ready
    assert isinstance(failing.reason, KeyError)


@BOTH
def test_on_error_is_told_instead(kind: Kind) -> None:
    def fail(_: int) -> None:
        raise KeyError("x")

    errors: list[tuple[object, ...]] = []
    failing = kind(fail, (7,), on_error=lambda *args: errors.append(args))
    later = failing.then(
        lambda _: pytest.fail("nothing to call it with"), on_error=lambda error: errors.append((error,))
    )
    assert failing() is None
    assert errors == [(7, failing.reason), (failing.reason,)]
    assert later.failed
    failing.then(lambda _: pytest.fail("nothing to call it with"), on_error=lambda error: errors.append((error,)))
    assert len(errors) == 3


@BOTH
def test_throw(kind: Kind) -> None:
    error = ValueError("no")
    broken = kind()
    listener = broken.then(lambda: pytest.fail("broken"))
    with pytest.raises(ValueError, match="no"):
        broken.throw(error)
    assert broken.reason is error
    assert listener.reason is error
    quiet = kind()
    quiet.throw(error, propagate=False)
    assert quiet.failed


@BOTH
def test_throw_takes_the_error_being_handled(kind: Kind) -> None:
    def handle() -> None:
        try:
            raise KeyError("being handled")
        except KeyError:
            kind().throw()

    with pytest.raises(KeyError, match="being handled"):
        handle()


@BOTH
def test_a_cancelled_promise_does_nothing(kind: Kind) -> None:
    def unwanted(*_: object) -> None:
        pytest.fail("cancelled")

    cancelled = kind(unwanted, on_error=kind(unwanted))
    listener = cancelled.then(unwanted)
    cancelled.cancel()
    assert cancelled(1) is None
    cancelled.throw(KeyError("x"))
    assert listener.cancelled
    assert cancelled.then(unwanted).cancelled
    assert not cancelled.ready
    assert not cancelled.failed


def test_a_listener_hears_of_one_outcome() -> None:
    got: list[str] = []
    calls: list[int] = []
    often = promise(calls.append)
    often.then(lambda _: got.append("before"))
    often(1)
    often.then(lambda _: got.append("after"))
    often(2)
    assert calls == [1, 2]
    assert got == ["before", "after"]


def test_a_promise_calls_functions_only() -> None:
    with pytest.raises(TypeError, match="not 7"):
        promise(7)  # type: ignore[arg-type]


# connections and channels


@BOTH
def test_an_open_connection_fulfils_promises(server: Server, kind: Kind) -> None:
    calls: list[tuple[str, object]] = []
    on_open = kind(lambda connection: calls.append(("on_open", connection)))
    on_tune_ok = kind(lambda connection: calls.append(("on_tune_ok", connection)))
    connection = Connection(transport=lambda: server, on_open=on_open, on_tune_ok=on_tune_ok)
    assert connection.on_open is on_open
    connection.then(lambda _: calls.append(("then", None)))
    connection.connect()
    assert calls == [("on_tune_ok", connection), ("on_open", connection), ("then", None)]
    assert on_open.ready


def test_then_on_an_open_connection_is_at_once(server: Server) -> None:
    got: list[Connection] = []
    connection = connected(server)
    assert connection.then(got.append).ready
    assert got == [connection]


@pytest.mark.parametrize("given", [None, lambda _: pytest.fail("not open")], ids=["nothing", "a function"])
def test_a_connection_that_does_not_open(server: Server, given: Any) -> None:
    server.answers[ConnectionOpen] = lambda _: ConnectionClose(530, "NOT_ALLOWED - vhost nope not found", 10, 40)
    errors: list[BaseException] = []
    connection = Connection(transport=lambda: server, on_open=given)
    connection.then(lambda _: pytest.fail("not open"), errors.append)
    with pytest.raises(NotAllowed) as caught:
        connection.connect()
    assert errors == [caught.value]
    connection.then(lambda _: pytest.fail("not open"), errors.append)
    assert errors == [caught.value] * 2


def test_a_connection_that_cannot_be_reached(server: Server) -> None:
    server.refusal = ConnectionRefusedError("no")
    errors: list[BaseException] = []
    connection = Connection(transport=lambda: server, on_open=promise(pytest.fail, on_error=errors.append))
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    assert errors == [server.refusal]


def test_an_error_of_on_open_goes_to_its_on_error(server: Server) -> None:
    def fail(_: Connection) -> None:
        raise KeyError("on_open's own")

    errors: list[BaseException] = []
    connection = Connection(transport=lambda: server, on_open=promise(fail, on_error=errors.append))
    connection.connect()
    assert [type(error) for error in errors] == [KeyError]
    assert connection.connected


def test_on_open_set_later_may_be_a_function(server: Server) -> None:
    calls: list[object] = []
    connection = Connection(transport=lambda: server)
    connection.on_open = lambda _: calls.append("on_open")
    connection.then(lambda _: calls.append("then"))
    connection.connect()
    assert calls == ["on_open", "then"]


@BOTH
def test_connecting_again_calls_back_at_once(server: Server, kind: Kind) -> None:
    connection = connected(server)
    assert connection.connect(kind(lambda: "called")) == "called"
    assert connection.connect(lambda: "called") == "called"


@BOTH
def test_a_channel_fulfils_promises(server: Server, kind: Kind) -> None:
    calls: list[tuple[str, object]] = []
    channel = connected(server).channel(callback=kind(lambda channel: calls.append(("on_open", channel))))
    channel.then(lambda _: calls.append(("then", None)))
    assert calls == [("on_open", channel), ("then", None)]
    server.answers[QueueDeclare] = lambda _: ChannelClose(406, "PRECONDITION_FAILED", 50, 10)
    with pytest.raises(channel.connection.channel_errors if channel.connection else ()):
        channel.queue_declare("q")
    assert calls[2] == ("on_open", channel), "a channel that opens itself anew is opened once more"


def test_a_channel_that_does_not_open(server: Server) -> None:
    errors: list[BaseException] = []
    connection = connected(server)
    close = ConnectionClose(506, "RESOURCE_ERROR - no more", 20, 10)
    server.answers[ChannelOpen] = lambda _: method_frame(0, close.encode())
    with pytest.raises(ResourceError) as caught:
        connection.channel(callback=promise(pytest.fail, on_error=errors.append))
    assert errors == [caught.value]
