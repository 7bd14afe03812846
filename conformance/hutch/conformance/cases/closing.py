"""How a connection ends, and what comes along with its end in one segment (CONN-CLOSE, CONN-FRAME).

RabbitMQ's reader goes through all bytes that came at once before it hears from channels. An error that a channel has
found is therefore told last; one that the reader has found at once.
"""

import contextlib
from typing import Final

from hutch.conformance.case import case
from hutch.conformance.check import equal, reply_text
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import Item, RawConnection, fields
from hutch.wire import methods as amqp
from hutch.wire.frames import HEARTBEAT, METHOD, frame, method_frame

_CLOSE: Final = method_frame(0, amqp.ConnectionClose(200, "bye").encode())
_CLOSE_OK: Final = method_frame(0, amqp.ConnectionCloseOk().encode())
_ANSWER: Final = amqp.ConnectionCloseOk()

#: An error that the connection's reader detects, and the reply text.
_OPEN_AGAIN: Final = method_frame(0, amqp.ConnectionOpen("/").encode())
_RUNNING: Final = "unexpected method in connection state running"
#: An error that a channel detects, and the reply text.
_NOT_OPEN: Final = method_frame(7, amqp.BasicQos().encode())
_EXPECTED: Final = "expected 'channel.open'"

_UNKNOWN_METHOD: Final = frame(METHOD, 0, b"\0\x63\0\1")
#: A connection.close without arguments.
_UNDECODABLE: Final = frame(METHOD, 0, b"\0\x0a\0\x32")
_WRONG_END: Final = frame(METHOD, 0, b"\0\x0a\0\x33")[:-1] + b"\0"
_END_TEXT: Final = "type 1, all octets = <<0,10,0,51>>: {invalid_frame_end_marker,0}"


def _closes(code: int, text: str, method: tuple[int, int]) -> Item:
    return amqp.ConnectionClose(code, reply_text(code, text), *method)


def _expect(raw: RawConnection, *answers: Item) -> None:
    """The next answers on channel 0, and nothing between them and the answer to another connection.close."""
    for answer in answers:
        equal(raw.read_on(0), answer)


def _expect_closed(raw: RawConnection) -> None:
    """Nothing more has come; the connection is closed, and ends with close-ok."""
    raw.send(_CLOSE)
    _expect(raw, _ANSWER)
    raw.send(_CLOSE_OK)
    raw.expect_gone()


def _busy(rabbit: Rabbit, *channels: int) -> RawConnection:
    raw = rabbit.raw()
    for number in channels or (1,):
        raw.channel(number)
    return raw


@case("CONN-CLOSE-04", "CONN-HDR-14")
def close_behind_close_ok(rabbit: Rabbit) -> None:
    """Connection.close that comes with the close-ok that ends the stream is answered, as often as it comes."""
    for error, text, method in ((_OPEN_AGAIN, _RUNNING, (10, 40)), (_NOT_OPEN, _EXPECTED, (60, 10))):
        raw = _busy(rabbit)
        raw.send(error)
        _expect(raw, _closes(504, text, method))
        raw.send(_CLOSE_OK + _CLOSE + _CLOSE)
        _expect(raw, _ANSWER, _ANSWER)
        raw.expect_gone()


@case("CONN-CLOSE-04")
def close_behind_an_error_of_the_reader(rabbit: Rabbit) -> None:
    """Connection.close behind an error that the reader has found is answered, and close-ok ends the stream."""
    raw = _busy(rabbit)
    raw.send(_OPEN_AGAIN + _CLOSE)
    _expect(raw, _closes(504, _RUNNING, (10, 40)), _ANSWER)
    _expect_closed(raw)
    raw = _busy(rabbit)
    raw.send(_OPEN_AGAIN + _CLOSE + _CLOSE_OK + _CLOSE)
    _expect(raw, _closes(504, _RUNNING, (10, 40)), _ANSWER, _ANSWER)
    raw.expect_gone()


@case("CONN-CLOSE-04", "CONN-CHAN-04")
def close_behind_an_error_of_a_channel(rabbit: Rabbit) -> None:
    """Connection.close behind an error that a channel has found is not answered. A close-ok behind it does not end the
    stream. Only the broker's own connection.close counts.
    """
    errors: dict[bytes, Item] = {
        _NOT_OPEN: _closes(504, _EXPECTED, (60, 10)),
        method_frame(1, amqp.ChannelOpen().encode()): _closes(504, "second 'channel.open' seen", (20, 10)),
        method_frame(1, amqp.BasicQos(1).encode()): _closes(540, "prefetch_size!=0 (1)", (60, 10)),
        method_frame(1, amqp.ChannelFlowOk().encode()): _closes(503, "unimplemented method", (20, 21)),
    }
    for error, answer in errors.items():
        for along in (_CLOSE, _CLOSE + _CLOSE_OK):
            raw = _busy(rabbit)
            raw.send(error + along)
            _expect(raw, answer)
            _expect_closed(raw)
    # An unasked channel.close-ok ends the channel. The broker then waits for no channel when the connection closes.
    raw = _busy(rabbit)
    raw.send(method_frame(1, amqp.ChannelCloseOk().encode()) + _CLOSE)
    _expect(raw, _ANSWER)
    _expect_closed(raw)


@case("CONN-CLOSE-04", "CONSUME-07")
def close_behind_a_consumer_tag_used_twice(rabbit: Rabbit) -> None:
    """The consume-ok of the first consumer may be lost. Connection.close that came along is not answered."""
    raw = _busy(rabbit)
    queue = rabbit.queue(rabbit.channel())
    consume = method_frame(1, amqp.BasicConsume(queue=queue, consumer_tag="c").encode())
    raw.send(consume + consume + _CLOSE)
    _expect(raw, _closes(530, "attempt to reuse consumer tag 'c'", (60, 20)))
    _expect_closed(raw)


@case("CONN-CLOSE-04")
def more_closes_behind_an_error_of_a_channel(rabbit: Rabbit) -> None:
    """Each connection.close but the first is answered at once, before the error is told."""
    raw = _busy(rabbit)
    raw.send(_NOT_OPEN + _CLOSE + _CLOSE + _CLOSE_OK + _CLOSE)
    _expect(raw, _ANSWER, _ANSWER, _closes(504, _EXPECTED, (60, 10)))
    _expect_closed(raw)


@case("CONN-CLOSE-04", "CONN-METHOD-02")
def an_error_of_the_reader_behind_one_of_a_channel(rabbit: Rabbit) -> None:
    """If a channel finds an error and, behind that, the reader finds one, only the reader's error is told."""
    unexpected = {
        _CLOSE_OK: _closes(504, _RUNNING, (10, 51)),
        method_frame(0, amqp.ConnectionTuneOk().encode()): _closes(504, _RUNNING, (10, 31)),
        frame(HEARTBEAT, 1, b""): _closes(505, "type 8, all octets = <<>>", (0, 0)),
        _UNDECODABLE: _closes(541, "", (0, 0)),
    }
    for error, answer in unexpected.items():
        raw = _busy(rabbit)
        raw.send(_NOT_OPEN + error)
        _expect(raw, answer)
        _expect_closed(raw)
    raw = _busy(rabbit)
    raw.send(_NOT_OPEN + _UNKNOWN_METHOD)
    raw.expect_gone()


@case("CONN-CLOSE-03", "CONN-CLOSE-04")
def other_channels_behind_an_error_of_a_channel(rabbit: Rabbit) -> None:
    """Behind an error that a channel has found, commands on other channels are carried out, and those on that channel
    are not.
    """
    raw = _busy(rabbit, 1, 2)
    carried_out, ignored = rabbit.name(), rabbit.name()
    raw.send(
        method_frame(1, amqp.ChannelOpen().encode())
        + method_frame(1, amqp.QueueDeclare(queue=ignored).encode())
        + method_frame(2, amqp.QueueDeclare(queue=carried_out).encode())
    )
    _expect(raw, _closes(504, "second 'channel.open' seen", (20, 10)))
    with contextlib.closing(rabbit.raw()) as other:
        channel = other.channel()
        channel.expect_ready(carried_out, 0)
        channel.send(amqp.QueueDeclare(queue=ignored, passive=True))
        channel.expect_close(404, f"no queue '{ignored}' in vhost '{rabbit.vhost}'", (50, 10))
    _expect_closed(raw)


@case("CONN-CLOSE-01")
def close_again(rabbit: Rabbit) -> None:
    """Connection.close is answered as often as it comes, at once or later; the client's close-ok ends the stream."""
    for channels in ((1,), (1, 2)):
        raw = _busy(rabbit, *channels)
        raw.send(_CLOSE + _CLOSE)
        _expect(raw, _ANSWER, _ANSWER)
        _expect_closed(raw)


@case("CONN-CLOSE-01")
def close_ok_behind_close(rabbit: Rabbit) -> None:
    """A close-ok that comes along with connection.close ends the stream if there is no channel. With a channel it is
    ignored, even if the broker has closed that channel and the client has not yet.
    """
    raw = rabbit.raw()
    raw.send(_CLOSE + _CLOSE_OK + _CLOSE)
    _expect(raw, _ANSWER, _ANSWER)
    raw.expect_gone()
    raw = _busy(rabbit)
    raw.send(_CLOSE + _CLOSE_OK)
    _expect(raw, _ANSWER)
    _expect_closed(raw)
    raw = rabbit.raw()
    raw.channel().close()
    raw.send(_CLOSE + _CLOSE_OK)
    _expect(raw, _ANSWER)
    raw.expect_gone()
    raw = rabbit.raw()
    raw.channel().send(amqp.QueueDeclare(queue=rabbit.name(), passive=True))
    equal(fields(raw.read_on(1)).reply_code, 404)
    raw.send(_CLOSE + _CLOSE_OK)
    _expect(raw, _ANSWER)
    _expect_closed(raw)


@case("CONN-CLOSE-02", "CONN-METHOD-08")
def errors_behind_close(rabbit: Rabbit) -> None:
    """Behind connection.close, while channels end, the reader reports malformed frames and methods on channel 0 that
    cannot be decoded, instead of close-ok. Later it does not. A method that does not exist ends the stream.
    """
    for error, answer in ((_WRONG_END, _closes(501, _END_TEXT, (0, 0))), (_UNDECODABLE, _closes(541, "", (0, 0)))):
        raw = _busy(rabbit)
        raw.send(_CLOSE + error)
        _expect(raw, answer)
    for raw in (_busy(rabbit), rabbit.raw()):
        raw.send(_CLOSE)
        _expect(raw, _ANSWER)
        raw.send(_UNDECODABLE + frame(HEARTBEAT, 1, b"") + frame(9, 0, b"") + frame(METHOD, 0, b"\0"))
        raw.send(frame(METHOD, 1, b"\0\x63\0\1"))
        _expect_closed(raw)
    raw = _busy(rabbit)
    raw.send(_CLOSE)
    _expect(raw, _ANSWER)
    raw.send(_UNKNOWN_METHOD + _CLOSE)
    raw.expect_gone()


@case("CONN-CLOSE-05", "CONN-TUNE-09")
def a_closed_connection_ends_after_a_heartbeat_interval(rabbit: Rabbit) -> None:
    """A connection that was closed by either side ends by itself, after as many seconds as a heartbeat takes if that
    is less than 30. Until then the broker sends heartbeats.
    """
    for sent, answer in ((_CLOSE, _ANSWER), (_OPEN_AGAIN, _closes(504, _RUNNING, (10, 40)))):
        raw = rabbit.raw(heartbeat=4)
        raw.send(sent)
        _expect(raw, answer)
        rabbit.allow(3.0)
        equal(raw.read_frame(3.0), (HEARTBEAT, 0, b""))
        rabbit.expect_dropped(raw, within=3.0)


@case("CONN-FRAME-01", "CONN-FRAME-21")
def the_end_after_frames_that_are_none(rabbit: Rabbit) -> None:
    """Three seconds after a frame that ends wrongly or is too large the stream ends. Until then the broker reads
    nothing that the client sends, not even close-ok.
    """
    too_large = b"\1\0\0" + (200000).to_bytes(4)
    too_large_text = "type 1, all octets = <<>>: {frame_too_large,200000,131064}"
    raws = []
    for sent, text in ((_WRONG_END, _END_TEXT), (too_large, too_large_text)):
        raw = _busy(rabbit)
        raw.send(sent)
        raw.expect_close(501, text, (0, 0))
        raws.append(raw)
    closed = rabbit.raw()
    closed.send(_CLOSE)
    _expect(closed, _ANSWER)
    closed.send(_WRONG_END + _CLOSE_OK)
    raws.append(closed)
    rabbit.allow(1.5)
    with contextlib.suppress(TimeoutError):
        raise AssertionError(f"expected nothing, got {raws[0].receive(1.5)!r}")
    rabbit.expect_dropped(*raws, within=4.0)


@case("CONN-FRAME-16", "CONN-FRAME-19")
def methods_on_channel_zero_that_cannot_be_read(rabbit: Rabbit) -> None:
    """On channel 0, arguments that cannot be decoded are an internal error, before open without a word; a short string
    that is not UTF-8 is blamed on its method.
    """
    malformed = frame(METHOD, 0, b"\0\x0a\0\x28\1\xff\0\0")
    answer = _closes(501, "Malformed UTF-8 in shortstr", (10, 40))
    for sent, wanted in ((_UNDECODABLE, _closes(541, "", (0, 0))), (malformed, answer)):
        raw = _busy(rabbit)
        raw.send(sent)
        _expect(raw, wanted)
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in()
    raw.tune()
    raw.send(malformed)
    _expect(raw, answer)
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in()
    raw.tune()
    raw.send(_UNDECODABLE)
    rabbit.expect_dropped(raw)
