"""Single operations that the differential machine does not play on a live broker: bad input, what disturbs every client
of the broker, and what RabbitMQ itself does not determine.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hutch.conformance.differential import strategies as st
from hutch.conformance.differential.operations import USER, Administer, Call, Operation, Place, Publish
from hutch.conformance.differential.strategies import Strategy
from hutch.conformance.differential.vocabulary import EXCHANGES, QUEUES, TAGS
from hutch.conformance.raw import CAPABILITIES
from hutch.wire import methods as wire
from hutch.wire.fields import FieldTable, FieldValue, Int64
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, content_header, frame, method_frame

#: The second virtual host.
SECOND: Final = "second"
#: Connections on which the handshake goes wrong.
STRANGERS: Final = (8, 9)
#: The password of every user.
PASSWORD: Final = "guest"

_CONNECTIONS: Final = (1, 2, 3)
_CHANNELS: Final = (1, 2)


@dataclass(frozen=True)
class Bytes:
    """Bytes for an open connection; with ``fresh``, for a new connection, before any handshake."""

    connection: int
    what: str
    data: bytes
    fresh: bool = False

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return "handshake" if self.fresh else "bad input"

    def __str__(self) -> str:
        return f"{self.connection} {self.what}: {self.data[:80]!r}{f' of {len(self.data)}' * (len(self.data) > 80)}"


@dataclass(frozen=True)
class Due:
    """Time passes until ``milliseconds`` after the next timer is due, or before it if negative."""

    milliseconds: int

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return "advance to what is due"

    def __str__(self) -> str:
        return f"time passes until {self.milliseconds:+} ms from the next timer"


Oddity = Operation | Bytes | Due


def oddities() -> Strategy[Oddity]:
    """One such operation."""
    one: list[Strategy[Any]] = [
        *[st.sampled_from(_BAD)] * 6,
        *[st.sampled_from(_HANDSHAKES)] * 2,
        *[st.builds(Due, st.sampled_from((0, 0, 0, -1, 1)))] * 6,
        *[st.sampled_from(_OPERATOR)] * 3,
        *[_call()] * 6,
        *[_publish()] * 4,
    ]
    return st.one_of(*one)


def _bad_frames(channel: int) -> dict[str, bytes]:
    """Broken frames, and frames out of place."""
    method = wire.QueueDeclare(queue="q1", passive=True).encode()
    publish = method_frame(channel, wire.BasicPublish(routing_key="q1").encode())
    header = content_header(4, b"\0\0")
    return {
        "a heartbeat": frame(HEARTBEAT, 0, b""),
        "a heartbeat on a channel": frame(HEARTBEAT, channel, b""),
        "a heartbeat with a payload": frame(HEARTBEAT, 0, b"x"),
        "an unknown frame": frame(4, channel, b"x"),
        "an unknown frame on channel 0": frame(99, 0, b""),
        "a frame with a wrong end": method_frame(channel, method)[:-1] + b"\0",
        "a frame that is too large": b"\x01\0\x01\x7f\xff\xff\xff" + bytes(20),
        "half a frame": method_frame(channel, method)[:9],
        "rubbish": b"\xff" * 30,
        "a header without a method": frame(HEADER, channel, header),
        "a body without a method": frame(BODY, channel, b"x"),
        "a header on channel 0": frame(HEADER, 0, header),
        "a method in place of a header": publish + method_frame(channel, method),
        "a body in place of a header": publish + frame(BODY, channel, b"x"),
        "two headers": publish + frame(HEADER, channel, header) * 2,
        "a header of another class": publish + frame(HEADER, channel, content_header(4, b"\0\0", 50)),
        "a header with a weight": publish + frame(HEADER, channel, b"\0\x3c\0\x01" + header[4:]),
        "half a header": publish + frame(HEADER, channel, header[:9]),
        "properties cut short": publish + frame(HEADER, channel, content_header(0, b"\x80\0\x05a")),
        "properties with unknown flags": publish + frame(HEADER, channel, content_header(0, b"\0\3")),
        "a body that is too long": publish + frame(HEADER, channel, header) + frame(BODY, channel, b"12345"),
        "an empty body frame": publish + frame(HEADER, channel, header) + frame(BODY, channel, b""),
        "a body that is too large": publish + frame(HEADER, channel, content_header(1 << 40, b"\0\0")),
        "half a message": publish + frame(HEADER, channel, header) + frame(BODY, channel, b"12"),
        "a message in the middle of a message": publish + frame(HEADER, channel, header) + publish,
    }


def _bad_methods(channel: int) -> dict[str, bytes]:
    """Broken methods, and methods out of place."""
    declare = wire.QueueDeclare(queue="q1", passive=True)
    payloads: dict[str, bytes] = {
        "an unknown class": b"\0\x63\0\x0a",
        "an unknown method": b"\0\x32\0\x63",
        "half an id": b"\0\x32",
        "arguments cut short": declare.encode()[:-3],
        "arguments that are too long": declare.encode() + b"x",
        "a name that is not UTF-8": wire.QueueDeclare(queue="@@").encode().replace(b"@@", b"\xff\xfe"),
        "a table with an unknown type": wire.QueueDeclare(queue="q1", arguments={"a": True})
        .encode()
        .replace(b"\x01at", b"\x01a?"),
    }
    methods: list[wire.Method] = [
        *(wire.ChannelOpen(), wire.ChannelOpenOk(), wire.ChannelFlow(active=False), wire.ChannelFlow(active=True)),
        *(wire.ChannelFlowOk(active=True), wire.ChannelCloseOk(), wire.ConnectionStart(), wire.ConnectionStartOk()),
        *(wire.ConnectionTuneOk(1, 4096, 1), wire.ConnectionOpen("/"), wire.ConnectionCloseOk()),
        *(wire.ConnectionBlocked("x"), wire.ConnectionUpdateSecret(b"x", "why"), wire.QueueDeclareOk("q1", 0, 0)),
        *(wire.BasicDeliver("t1", 1, False, "", ""), wire.BasicCancelOk("t1"), wire.BasicGetEmpty()),
        *(wire.ConfirmSelectOk(), wire.TxSelectOk(), wire.BasicReturn(312, "x", "", "")),
        *(wire.BasicQos(1), wire.TxCommit(), wire.BasicAck(1), wire.BasicCredit("t1", 1)),
    ]
    return {what: method_frame(channel, payload) for what, payload in payloads.items()} | {
        f"{method.NAME} on channel {channel}": method_frame(channel, method.encode()) for method in methods
    }


_BAD: Final = [
    Bytes(connection, what, data)
    for connection in _CONNECTIONS
    for channel in (*_CHANNELS, 0, 7)
    for what, data in {**_bad_frames(channel), **_bad_methods(channel)}.items()
]


def _greetings() -> dict[str, bytes]:
    """Handshakes that go wrong, or that end in an unusual connection."""

    def said(*methods: wire.Method) -> bytes:
        return wire.PROTOCOL_HEADER + b"".join(method_frame(0, method.encode()) for method in methods)

    able: FieldTable = {"capabilities": CAPABILITIES}
    guest, wrong = b"\0guest\0guest", b"\0guest\0wrong"
    login, tune = wire.ConnectionStartOk(able, "PLAIN", guest), wire.ConnectionTuneOk(2047, 131072, 0)
    return {
        "HTTP": b"GET / HTTP/1.1\r\n\r\n",
        "another revision": b"AMQP\0\0\x09\x02",
        "AMQP 1.0": b"AMQP\0\x01\0\0",
        "AMQP 1.0 with SASL": b"AMQP\x03\x01\0\0",
        "AMQP 0-8": b"AMQP\x01\x01\x08\0",
        "AMQP 0-9": b"AMQP\x01\x01\0\x09" + said(login, tune, wire.ConnectionOpen("/"))[8:],
        "half a header": b"AMQP\0",
        "a header alone": said(),
        "a wrong password": said(wire.ConnectionStartOk(able, "PLAIN", wrong)),
        "a wrong password, told of by silence": said(wire.ConnectionStartOk({}, "PLAIN", wrong)),
        "an unknown user": said(wire.ConnectionStartOk(able, "PLAIN", b"\0nobody\0x")),
        "a malformed response": said(wire.ConnectionStartOk(able, "PLAIN", b"guest")),
        "AMQPLAIN": said(
            wire.ConnectionStartOk(able, "AMQPLAIN", b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"), tune
        ),
        "an unknown mechanism": said(wire.ConnectionStartOk(able, "OTHER", guest)),
        "no channels": said(login, wire.ConnectionTuneOk(0, 131072, 0), wire.ConnectionOpen("/")),
        "frames that are too small": said(login, wire.ConnectionTuneOk(2047, 100, 0), wire.ConnectionOpen("/")),
        "frames that are too large": said(login, wire.ConnectionTuneOk(2047, 1 << 20, 0), wire.ConnectionOpen("/")),
        "a missing virtual host": said(login, tune, wire.ConnectionOpen("missing")),
        "open before the login": said(wire.ConnectionOpen("/")),
        "open before tuning": said(login, wire.ConnectionOpen("/")),
        "a channel too early": said(login, tune) + method_frame(1, wire.ChannelOpen().encode()),
        "the end before the beginning": said(login, tune, wire.ConnectionClose(200, "bye")),
        "one channel, and then another": said(login, wire.ConnectionTuneOk(1, 8192, 1), wire.ConnectionOpen("/"))
        + method_frame(1, wire.ChannelOpen().encode())
        + method_frame(2, wire.ChannelOpen().encode()),
        "an open connection with heartbeats": said(login, wire.ConnectionTuneOk(9, 8192, 1), wire.ConnectionOpen("/")),
        "everything, and the end": said(login, tune, wire.ConnectionOpen("/"), wire.ConnectionClose(200, "bye")),
        "a frame that is too large": said(login) + b"\x01\0\0\0\x10\0\0" + bytes(30),
        "a broken frame": said() + frame(METHOD, 0, login.encode())[:-1] + b"\0",
    }


_HANDSHAKES: Final = [
    Bytes(connection, what, data, fresh=True) for connection in STRANGERS for what, data in _greetings().items()
]


def _operator(verb: str, **arguments: object) -> Administer:
    return Administer(verb, arguments)


#: What PCRE and Python read in different ways, or refuse in different words.
_PATTERNS: Final = (
    *(r"[[:alpha:]]", r"[[:foo:]]", r"[z-a]", r"\h\d*$", r"(?i)Q", r"\bq\B", r"q{2,1}", r"(?<=a)q", r"[\w-]"),
    *("[]a]", "[a", "(?P<n>q)(?P=n)", r"\Qq\E", r"\Aq\z", "q++", "(?#x)q", "é", r"\x{71}", "^q(?!1)", "a|*"),
)
_MIRRORS: Final[tuple[dict[str, object], ...]] = (
    {"ha-mode": "exactly", "ha-params": 2},
    {"ha-mode": "exactly"},
    {"ha-mode": "nodes", "ha-params": []},
    {"ha-mode": "nodes", "ha-params": ["a", 1]},
    {"ha-mode": "all", "ha-sync-mode": "x"},
    {"ha-mode": "all", "ha-sync-batch-size": 0},
    {"ha-params": 1},
)
_OPERATOR: Final = [
    _operator("close_connections", user="guest"),
    _operator("close_connections", user=USER, reason="enough"),
    _operator("close_connections"),
    _operator("add_user", name=USER, password=PASSWORD, tags=["monitoring"]),
    _operator("add_user", name="other", password=None),
    _operator("delete_user", name=USER),
    _operator("set_permissions", user=USER),
    _operator("set_permissions", user=USER, vhost=SECOND, read="^q"),
    _operator("clear_permissions", user="nobody"),
    _operator("add_vhost", name="/", default_queue_type="quorum"),
    _operator("add_vhost", name="/", default_queue_type=None),
    _operator("add_vhost", name=SECOND),
    _operator("delete_vhost", name=SECOND),
    _operator("delete_vhost", name="missing"),
    _operator("set_vhost_limit", limit="max-queues", value=2, vhost=SECOND),
    _operator("clear_vhost_limit", limit="max-queues", vhost=SECOND),
    _operator("trace_on"),
    _operator("trace_on", vhost=SECOND),
    _operator("trace_off"),
    _operator("raise_alarm", resource="memory"),
    _operator("raise_alarm", resource="disk"),
    *[_operator("clear_alarm", resource="memory"), _operator("clear_alarm", resource="disk")] * 4,
    _operator("set_policy", name="p1", pattern="^q", definition={"max-length": 1, "expires": 50}),
    _operator(
        "set_policy",
        name="p2",
        pattern="",
        definition={"delayed-retry-type": "all", "delayed-retry-min": 100, "delivery-limit": 2},
    ),
    _operator("set_policy", name="p3", pattern="^x", definition={"alternate-exchange": "x2"}, apply_to="exchanges"),
    _operator("set_policy", name="p3", pattern="", definition={"max-age": "5s", "max-length-bytes": 300}),
    *(_operator("set_policy", name="p2", pattern=pattern, definition={"max-length": 2}) for pattern in _PATTERNS),
    *(_operator("set_policy", name="p2", pattern="q", definition=definition) for definition in _MIRRORS),
    _operator("restart"),
    _operator("restart", downtime=0.5),
    _operator("restart", downtime=4000.0),
    *[_operator("start")] * 2,
]


def _place() -> Strategy[Place]:
    return st.builds(Place, st.sampled_from(_CONNECTIONS), st.sampled_from(_CHANNELS))


def _call() -> Strategy[Call]:
    """Methods whose results RabbitMQ does not determine, or that one version alone supports."""
    queue, tag = st.sampled_from(QUEUES), st.sampled_from(TAGS)
    credit = st.builds(_credit, st.sampled_from((0, 1, 2, Int64(3))), st.booleans())
    methods: Strategy[wire.Method] = st.one_of(
        st.builds(wire.BasicConsume, queue=queue, consumer_tag=tag, arguments=credit),
        st.builds(wire.BasicCredit, tag, st.sampled_from((0, 1, 2)), st.booleans()),
        st.builds(
            wire.BasicConsume, queue=queue, arguments=st.sampled_from(({"x-stream-offset": "last"}, {"x-priority": 9}))
        ),
        st.builds(wire.QueueDeclare, queue=queue, durable=st.just(True), arguments=st.sampled_from(_TIMED)),
        st.builds(
            wire.QueueBind, queue=queue, exchange=st.sampled_from(("amq.rabbitmq.trace", "amq.rabbitmq.log", "x3"))
        ),
        st.builds(wire.BasicQos, st.sampled_from((0, 10)), st.sampled_from((0, 1, 5)), st.booleans()),
        st.just(wire.ChannelFlow(active=True)),
    )
    return st.builds(Call, _place(), methods)


def _credit(credit: int, drain: bool) -> FieldTable:
    return {"x-credit": {"credit": credit, "drain": drain}}


_TIMED: Final[list[FieldTable]] = [
    {"x-queue-type": "quorum", "x-consumer-timeout": 1000},
    {"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "", "x-message-ttl": 50},
    {"x-queue-type": "stream", "x-max-length-bytes": 500, "x-stream-max-segment-size-bytes": 200},
    {"x-queue-type": "stream", "x-max-age": "5s", "x-stream-max-segment-size-bytes": 100},
    {"x-expires": 50},
    {"x-message-ttl": 50, "x-dead-letter-exchange": "x1"},
    {"x-max-priority": 5, "x-max-length": 3, "x-overflow": "reject-publish-dlx", "x-dead-letter-exchange": ""},
]


_EXPIRED: Final[FieldTable] = {"queue": "q1", "reason": "expired"}
#: What publishers may claim in the header x-death.
DEATHS: Final[list[FieldValue]] = [
    [{"count": 1}],
    [_EXPIRED, {"count": Int64(3), **_EXPIRED}],
    [{"count": 2, "queue": "q2", "reason": "rejected"}, _EXPIRED, {"queue": 5, "reason": True}, _EXPIRED],
    [_EXPIRED, "a"],
    "a",
]


def _publish() -> Strategy[Publish]:
    """Messages with large bodies, delays, and decimals in their headers."""
    methods = st.builds(
        wire.BasicPublish,
        exchange=st.sampled_from(("", "", *EXCHANGES)),
        routing_key=st.sampled_from((*QUEUES, "a", "a.b")),
        mandatory=st.booleans(),
    )
    headers: tuple[FieldTable, ...] = (
        {"x-delay": 100},
        {"x-delay": Int64(100)},
        {"x-delay": "1"},
        {"x-delay": True},
        {"a": Decimal("1.5")},
        *({"x-death": deaths} for deaths in DEATHS),
        {"CC": ["q1", "q2"]},
        {"BCC": ["q3"]},
        {"b": {"c": [1, "d", None]}},
    )
    properties: Strategy[dict[str, Any]] = st.fixed_dictionaries(
        {}, optional={"headers": st.sampled_from(headers), "delivery_mode": st.just(2)}
    )
    sizes = st.sampled_from((0, 100, 4087, 4088, 4089, 8184, 10000, 40000, 131064, 131065, 300000))
    return st.builds(Publish, _place(), methods, properties, sizes)
