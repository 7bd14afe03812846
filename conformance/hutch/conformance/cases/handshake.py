"""Protocol header and authentication (CONN-HDR, CONN-AUTH)."""

from typing import Any

from hutch.conformance.case import case
from hutch.conformance.check import equal, reply_text, true
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.raw import CAPABILITIES, EndOfStream, RawConnection
from hutch.conformance.site import Inapplicable
from hutch.wire import methods as amqp
from hutch.wire.fields import FieldTable, type_name, write_table
from hutch.wire.frames import BODY, HEARTBEAT_FRAME, frame, method_frame

_091 = b"AMQP\x00\x00\x09\x01"
_SASL_10 = b"AMQP\x03\x01\x00\x00"
_REFUSED = "Login was refused using authentication mechanism {}. For details see the broker logfile."


def _expect_header(rabbit: Rabbit, sent: bytes, wanted: bytes) -> None:
    """The broker answers ``sent`` with its own protocol header and ends the stream."""
    raw = rabbit.raw_unopened()
    raw.send(sent)
    answer = raw.receive()
    try:
        while True:
            answer += raw.receive()
    except EndOfStream:
        equal(answer, wanted, f"answer to {sent!r}")


def _needs_no_amqp_1_0(rabbit: Rabbit) -> None:
    """Have the case apply to brokers of 3.x alone that do not speak AMQP 1.0; 4.x always does."""
    if rabbit.profile == "3.10":
        raw = rabbit.raw_unopened()
        raw.send(_SASL_10)
        if raw.receive().startswith(_SASL_10):
            raise Inapplicable("needs the plugin rabbitmq_amqp1_0 to be disabled")


@case("CONN-HDR-01")
def protocol_0_9_1_is_greeted(rabbit: Rabbit) -> None:
    """The 0-9-1 header is answered by connection.start, version 0-9."""
    start = rabbit.raw_unopened().start(_091)
    equal((start.version_major, start.version_minor), (0, 9))


@case("CONN-HDR-02")
def protocol_0_9_is_greeted(rabbit: Rabbit) -> None:
    """The 0-9 header counts as 0-9-1."""
    start = rabbit.raw_unopened().start(b"AMQP\x01\x01\x00\x09")
    equal((start.version_major, start.version_minor), (0, 9))


@case("CONN-HDR-03", profiles=["3.10"])
def protocol_0_8_is_greeted(rabbit: Rabbit) -> None:
    """The 0-8 header is accepted by 3.x, whose connection.start then says version 8-0."""
    start = rabbit.raw_unopened().start(b"AMQP\x01\x01\x08\x00")
    equal((start.version_major, start.version_minor), (8, 0))


@case("CONN-HDR-03", profiles=["4.3"])
def protocol_0_8_is_refused(rabbit: Rabbit) -> None:
    """The 0-8 header is answered by 4.x with the header of AMQP 1.0 and the end of the stream."""
    _expect_header(rabbit, b"AMQP\x01\x01\x08\x00", _SASL_10)


@case("CONN-HDR-04")
def wrong_revision_is_answered_with_0_9_1(rabbit: Rabbit) -> None:
    """Another revision of 0-9 is answered with the 0-9-1 header and the end of the stream."""
    for revision in (0, 2):
        _expect_header(rabbit, b"AMQP\x00\x00\x09" + bytes((revision,)), _091)


@case("CONN-HDR-05")
def unknown_versions_are_answered_with_a_header(rabbit: Rabbit) -> None:
    """Unknown protocol versions are answered with the header that the broker prefers, and the end of the stream."""
    _needs_no_amqp_1_0(rabbit)
    wanted = rabbit.by_profile({"3.10": _091, "4.3": _SASL_10})
    for version in (b"\x01\x01\x00\x0a", b"\x01\x01\x00\x00", b"\x02\x01\x00\x00"):
        _expect_header(rabbit, b"AMQP" + version, wanted)


@case("CONN-HDR-06")
def amqp_1_0_without_sasl_is_refused(rabbit: Rabbit) -> None:
    """AMQP 1.0 without SASL is answered with a header and the end of the stream."""
    _needs_no_amqp_1_0(rabbit)
    _expect_header(rabbit, b"AMQP\x00\x01\x00\x00", rabbit.by_profile({"3.10": _091, "4.3": _SASL_10}))


@case("CONN-HDR-07", profiles=["3.10"])
def amqp_1_0_with_sasl_is_refused(rabbit: Rabbit) -> None:
    """3.x without its plugin answers AMQP 1.0 with the 0-9-1 header and the end of the stream."""
    _needs_no_amqp_1_0(rabbit)
    _expect_header(rabbit, _SASL_10, _091)


@case("CONN-HDR-08")
def junk_is_answered_with_a_header(rabbit: Rabbit) -> None:
    """HTTP and junk are answered with a protocol header and the end of the stream."""
    wanted = rabbit.by_profile({"3.10": _091, "4.3": _SASL_10})
    for junk in (b"GET / HTTP/1.1\r\n", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"):
        _expect_header(rabbit, junk, wanted)


@case("CONN-HDR-11")
def mechanisms_and_locales(rabbit: Rabbit) -> None:
    """Connection.start offers the SASL mechanisms and the one locale."""
    start = rabbit.raw_unopened().start()
    wanted = rabbit.by_profile({"3.10": b"AMQPLAIN PLAIN", "4.3": b"ANONYMOUS AMQPLAIN PLAIN"})
    offered = {*start.mechanisms.split()} - ({b"EXTERNAL"} if rabbit.secure else set())
    equal((sorted(offered), start.locales), (sorted(wanted.split()), b"en_US"))


@case("CONN-HDR-12")
def server_properties(rabbit: Rabbit) -> None:
    """Connection.start tells the server's properties, all of them strings but the capabilities."""
    properties = dict(rabbit.raw_unopened().start().server_properties)
    properties.pop("capabilities")
    equal(properties["product"], "RabbitMQ")
    equal(sorted(properties), ["cluster_name", "copyright", "information", "platform", "product", "version"])
    equal({type_name(value) for value in properties.values()}, {"longstr"})


@case("CONN-HDR-13")
def server_capabilities(rabbit: Rabbit) -> None:
    """Nine capabilities are announced, in this order, all true."""
    capabilities: Any = rabbit.raw_unopened().start().server_properties["capabilities"]
    wanted = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ]
    equal(list(capabilities.items()), [(name, True) for name in wanted])


def _logging_in(
    rabbit: Rabbit,
    response: bytes | None = None,
    mechanism: str = "PLAIN",
    client_properties: FieldTable | None = None,
) -> RawConnection:
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in(response=response, mechanism=mechanism, client_properties=client_properties)
    return raw


def _expect_refusal(rabbit: Rabbit, raw: RawConnection, mechanism: str) -> None:
    wanted = amqp.ConnectionClose(403, reply_text(403, _REFUSED.format(mechanism)), 0, 0)
    equal(raw.read_on(0), wanted)
    rabbit.expect_dropped(raw)


@case("CONN-AUTH-01")
def plain_login(rabbit: Rabbit) -> None:
    """PLAIN with the right user and password is answered by tune."""
    _logging_in(rabbit).expect(amqp.ConnectionTune)


@case("CONN-AUTH-02")
def malformed_plain_is_dropped(rabbit: Rabbit) -> None:
    """A malformed PLAIN response gets no close frame; the stream ends seconds later."""
    responses = [b"x\0guest\0guest", b"guest\0guest", b"\0guest", b"\0guest\0guest\0guest", b""]
    rabbit.expect_dropped(*[_logging_in(rabbit, response) for response in responses])


@case("CONN-AUTH-03")
def wrong_password(rabbit: Rabbit) -> None:
    """A wrong password is answered by close 403 where the client can handle that."""
    _expect_refusal(rabbit, _logging_in(rabbit, b"\0" + rabbit.userid.encode() + b"\0not-the-password"), "PLAIN")


@case("CONN-AUTH-04")
def wrong_password_without_the_capability(rabbit: Rabbit) -> None:
    """Without authentication_failure_close a refused login gets no close frame; the stream ends seconds later."""
    response = b"\0" + rabbit.userid.encode() + b"\0not-the-password"
    absent = _logging_in(rabbit, response, client_properties={})
    false = _logging_in(rabbit, response, client_properties={"capabilities": {"authentication_failure_close": False}})
    rabbit.expect_dropped(absent, false)


@case("CONN-AUTH-05")
def unknown_user_and_empty_password(rabbit: Rabbit) -> None:
    """An unknown user and an empty password are refused with the words for a wrong password."""
    for response in (b"\0nobody-of-this-name\0guest", b"\0" + rabbit.userid.encode() + b"\0"):
        _expect_refusal(rabbit, _logging_in(rabbit, response), "PLAIN")


@case("CONN-AUTH-06")
def capabilities_that_are_no_table(rabbit: Rabbit) -> None:
    """Client capabilities of another type than a table count as none.

    (The catalogue has the connection dropped.)
    """
    for capabilities in ("all", 5, [1], None):
        raw = _logging_in(rabbit, client_properties={"capabilities": capabilities})
        raw.tune()
        raw.open()


def _amqplain(login: str, password: str) -> bytes:
    """A table's bytes without the length that usually stands before them."""
    return write_table({"LOGIN": login, "PASSWORD": password})[4:]


@case("CONN-AUTH-07")
def amqplain_login(rabbit: Rabbit) -> None:
    """AMQPLAIN takes a table without its length, LOGIN and PASSWORD in it."""
    response = _amqplain(rabbit.userid, rabbit.password)
    _logging_in(rabbit, response, "AMQPLAIN").expect(amqp.ConnectionTune)


@case("CONN-AUTH-08")
def amqplain_with_a_wrong_password(rabbit: Rabbit) -> None:
    """The refusal names the mechanism."""
    _expect_refusal(rabbit, _logging_in(rabbit, _amqplain(rabbit.userid, "not-the-password"), "AMQPLAIN"), "AMQPLAIN")


@case("CONN-AUTH-09")
def malformed_amqplain_is_dropped(rabbit: Rabbit) -> None:
    """An AMQPLAIN response that does not hold both strings gets no close frame; the stream ends seconds later."""
    responses = [
        write_table({"login": rabbit.userid, "password": rabbit.password})[4:],
        write_table({"LOGIN": rabbit.userid})[4:],
        write_table({"LOGIN": 5, "PASSWORD": rabbit.password})[4:],
        write_table({"LOGIN": rabbit.userid, "PASSWORD": rabbit.password}),
        b"\x05junk",
    ]
    rabbit.expect_dropped(*[_logging_in(rabbit, response, "AMQPLAIN") for response in responses])


@case("CONN-AUTH-10")
def unknown_mechanisms_are_dropped(rabbit: Rabbit) -> None:
    """A mechanism that was not offered gets no close frame; the stream ends seconds later."""
    names = ["BOGUS", "", "plain", "RABBIT-CR-DEMO"] + ([] if rabbit.secure else ["EXTERNAL"])
    rabbit.expect_dropped(*[_logging_in(rabbit, mechanism=name) for name in names])


@case("CONN-AUTH-11", profiles=["3.10"])
def anonymous_is_unknown(rabbit: Rabbit) -> None:
    """3.x does not know ANONYMOUS: the stream ends without a frame."""
    rabbit.expect_dropped(_logging_in(rabbit, b"anybody", "ANONYMOUS"))


@case("CONN-AUTH-11", profiles=["4.3"])
def anonymous_login(rabbit: Rabbit) -> None:
    """4.x logs an ANONYMOUS client in, whatever it responds."""
    for response in (b"anybody", b""):
        answer = _logging_in(rabbit, response, "ANONYMOUS").read_on(0)
        if isinstance(answer, amqp.ConnectionClose) and rabbit.userid != "guest":
            raise Inapplicable("needs the user guest, as whom anonymous clients log in")
        true(isinstance(answer, amqp.ConnectionTune), f"unexpected {answer!r}")


@case("CONN-AUTH-12")
def the_locale_is_ignored(rabbit: Rabbit) -> None:
    """Any locale is accepted, also an empty one."""
    for locale in ("de_DE", "", "bogus"):
        raw = rabbit.raw_unopened()
        raw.start()
        raw.log_in(locale=locale)
        raw.expect(amqp.ConnectionTune)


@case("CONN-AUTH-13")
def update_secret(rabbit: Rabbit) -> None:
    """Connection.update-secret is answered with ok whatever the secret, and the connection goes on."""
    raw = rabbit.raw()
    for secret in (rabbit.password.encode(), b"another", b""):
        raw.send_method(amqp.ConnectionUpdateSecret(secret, "renewed"))
        raw.expect(amqp.ConnectionUpdateSecretOk)
    raw.expect_alive()


@case("CONN-OPEN-08")
def methods_before_start_ok_are_dropped(rabbit: Rabbit) -> None:
    """Open, tune-ok, close or a channel's method before start-ok gets no frame; the stream ends seconds later."""
    early: list[tuple[amqp.Method, int]] = [
        (amqp.ConnectionOpen("/"), 0),
        (amqp.ConnectionTuneOk(0, 131072, 0), 0),
        (amqp.ConnectionClose(200), 0),
        (amqp.ChannelOpen(), 1),
    ]
    raws = []
    for method, channel in early:
        raw = rabbit.raw_unopened()
        raw.start()
        raw.send_method(method, channel)
        raws.append(raw)
    rabbit.expect_dropped(*raws)


@case("CONN-AUTH-03", "CONN-HDR-13")
def client_properties_of_every_type(rabbit: Rabbit) -> None:
    """Client properties may have any field type."""
    properties: FieldTable = {
        "capabilities": CAPABILITIES,
        "product": "a test",
        "number": 5,
        "list": [1, "two"],
        "nothing": None,
    }
    raw = rabbit.raw_unopened()
    raw.start()
    raw.log_in(client_properties=properties)
    raw.tune()
    raw.open()


def _start_ok(rabbit: Rabbit, payload: int) -> amqp.ConnectionStartOk:
    """A right start-ok whose frame has a payload of so many bytes."""
    response = f"\0{rabbit.userid}\0{rabbit.password}".encode()
    rest = len(amqp.ConnectionStartOk({"padding": ""}, "PLAIN", response).encode())
    return amqp.ConnectionStartOk({"padding": "x" * (payload - rest)}, "PLAIN", response)


@case("CONN-FRAME-21", "CONN-FRAME-22", "CONN-OPEN-08")
def frames_before_tune_ok(rabbit: Rabbit) -> None:
    """Until tune-ok a frame may have a payload of 4096 bytes in 3.x, 8192 in 4.x. A frame header that announces more
    ends the connection three seconds later, without a frame.
    """
    limit = rabbit.by_profile({"3.10": 4096, "4.3": 8192})
    raw = rabbit.raw_unopened()
    raw.start()
    raw.send_method(_start_ok(rabbit, limit))
    raw.tune()
    raw.open()
    starting, announcing, tuning = (rabbit.raw_unopened() for _ in range(3))
    for raw in (starting, announcing, tuning):
        raw.start()
    tuning.send_method(_start_ok(rabbit, limit))
    tuning.expect(amqp.ConnectionTune)
    starting.send_method(_start_ok(rabbit, limit + 1))
    announcing.send(b"\1\0\0" + (limit + 1).to_bytes(4))
    tuning.send(b"\3\0\1" + (limit + 1).to_bytes(4))
    rabbit.expect_dropped(starting, announcing, tuning)


@case("CONN-FRAME-21")
def frames_after_tune_ok(rabbit: Rabbit) -> None:
    """From tune-ok on the agreed limit counts, also for frames in the same write."""
    refusals = {
        16384: (505, 'type 3, first 16 octets = <<"xxxxxxxxxxxxxxxx">>'),
        16385: (501, "type 3, all octets = <<>>: {frame_too_large,16385,16376}"),
    }
    for size, (code, text) in refusals.items():
        raw = rabbit.raw_unopened()
        raw.start()
        raw.log_in()
        raw.expect(amqp.ConnectionTune)
        tune_ok = method_frame(0, amqp.ConnectionTuneOk(2047, 16384).encode())
        raw.send(tune_ok + frame(BODY, 0, b"x" * size))
        raw.expect_close(code, text, (0, 0))


@case("CONN-HDR-10", "CONN-HDR-09")
def a_handshake_has_ten_seconds(rabbit: Rabbit) -> None:
    """A client that sends nothing, too little, or only heartbeats is cut off ten seconds after it connected."""
    silent, short, beating = (rabbit.raw_unopened() for _ in range(3))
    short.send(b"AMQ")
    beating.start()
    for _ in range(2):
        rabbit.advance(4.0)
        beating.send(HEARTBEAT_FRAME)
    rabbit.expect_dropped(silent, short, beating, within=4.0)
