"""Record the frames of sessions with a live RabbitMQ, as data for test_recorded.py.

    python tests/wire/record.py amqp://guest:guest@localhost:5672/ tests/wire/recorded

Writes ``rabbitmq-VERSION.json`` into the folder given. Frames are built by pamqp, or by hand where pamqp cannot, so
that a recording depends on nothing it is there to test. The node's host name is masked, letter by letter.
"""

import argparse
import json
import socket
import struct
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pamqp import base, body, frame, header, heartbeat
from pamqp.commands import Basic, Channel, Confirm, Connection, Exchange, Queue, Tx
from pamqp.common import FieldTable

WAIT = 20  # seconds to wait for one answer
FRAME_MAX = 8192
ACCESS_REQUEST = b"\x00\x1e\x00\x0a" + b"\x05/data" + b"\x1e"
ACCESS_REQUEST_OK = "Access.RequestOk"  # pamqp does not know the class access


class Broker(NamedTuple):
    host: str
    port: int
    userid: str
    password: str
    virtual_host: str


class Session:
    """One connection and what passes over it, frame by frame."""

    def __init__(self, broker: Broker) -> None:
        self.recorded: list[dict[str, str]] = []
        self._broker = broker
        self._socket = socket.create_connection((broker.host, broker.port), WAIT)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, channel: int, *values: Any) -> None:
        for value in values:
            raw = frame.marshal(value, channel)
            self.send_raw(value.name, raw)

    def send_raw(self, name: str, raw: bytes) -> None:
        self._socket.sendall(raw)
        self.recorded.append({"from": "client", "frame": name, "hex": raw.hex()})

    def wait(self, name: str) -> Any:
        """Read until a frame of this name has come; it, as pamqp sees it."""
        value: Any
        while True:
            raw = self._read_frame()
            if raw[7:11] == b"\x00\x1e\x00\x0b":
                value, found = None, ACCESS_REQUEST_OK
            else:
                value = frame.unmarshal(raw)[2]
                found = value.name
            self.recorded.append({"from": "server", "frame": found, "hex": raw.hex()})
            if found == name:
                return value
            if found.endswith(".Close"):
                raise RuntimeError(f"while waiting for {name}: {dict(value)}")

    def _read_frame(self) -> bytes:
        while len(self._unread) < 7 or len(self._unread) < self._frame_size():
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the broker has ended the connection")
            self._unread += data
        size = self._frame_size()
        raw, self._unread = self._unread[:size], self._unread[size:]
        return raw

    def _frame_size(self) -> int:
        size: int = struct.unpack(">I", self._unread[3:7])[0]
        return size + 8

    def ask(self, channel: int, request: base.Frame) -> Any:
        """Send a request and wait for its first reply."""
        self.send(channel, request)
        return self.wait(request.valid_responses[0])

    def log_in(self, password: str | None = None) -> str:
        """Up to tune; the broker's version."""
        self._socket.sendall(header.ProtocolHeader().marshal())
        start = self.wait("Connection.Start")
        capabilities: FieldTable = {
            "authentication_failure_close": True,
            "basic.nack": True,
            "connection.blocked": True,
            "consumer_cancel_notify": True,
            "publisher_confirms": True,
        }
        password = self._broker.password if password is None else password
        response = f"\0{self._broker.userid}\0{password}"
        self.send(0, Connection.StartOk({"product": "recorder", "capabilities": capabilities}, "PLAIN", response))
        version: str = start.server_properties["version"]
        return version

    def open(self, heartbeat_seconds: int = 0) -> str:
        version = self.log_in()
        self.wait("Connection.Tune")
        self.send(0, Connection.TuneOk(2047, FRAME_MAX, heartbeat_seconds))
        self.ask(0, Connection.Open(self._broker.virtual_host))
        return version

    def close(self) -> None:
        self.ask(0, Connection.Close(200, "bye", 0, 0))

    def publish(
        self, channel: int, exchange: str, key: str, content: bytes = b"", properties: bytes = b"\0\0", **flags: bool
    ) -> None:
        self.send(channel, Basic.Publish(exchange=exchange, routing_key=key, **flags))
        payload = struct.pack(">HHQ", 60, 0, len(content)) + properties
        raw = struct.pack(">BHI", 2, channel, len(payload)) + payload + b"\xce"
        self.send_raw("ContentHeader", raw)
        for start in range(0, len(content), FRAME_MAX - 8):
            self.send(channel, body.ContentBody(content[start : start + FRAME_MAX - 8]))


def sized(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


def table(**values: bytes) -> bytes:
    """A field table of values whose tag comes first."""
    return sized(b"".join(bytes((len(key),)) + key.encode() + value for key, value in values.items()))


SCALARS = {
    "bool": b"t\x01",
    "byte": b"b\x80",
    "unsignedbyte": b"B\xff",
    "short": b"s\x80\x00",
    "unsignedshort": b"u\xff\xff",
    "signedint": b"I\x80\x00\x00\x00",
    "unsignedint": b"i\xff\xff\xff\xff",
    "long": b"l\x80" + bytes(7),
    "unsignedlong": b"L\x7f" + b"\xff" * 7,
    "float": b"f" + struct.pack(">f", 0.1),
    "double": b"d" + struct.pack(">d", 0.1),
    "decimal": b"D\x02" + struct.pack(">i", -12345),
    "longstr": b"S" + sized("naïve".encode()),
    "longstr_raw": b"S" + sized(b"\xff\xfe"),
    "binary": b"x" + sized(b"\x00\x01\x02"),
    "timestamp": b"T" + struct.pack(">Q", 1234567890),
    "void": b"V",
    "empty_table": b"F" + table(),
    "empty_array": b"A" + sized(b""),
}
NESTED = {
    "table": b"F" + table(**SCALARS, inner=b"F" + table(deep=b"A" + sized(b"t\x00" * 3))),
    "array": b"A" + sized(b"".join(SCALARS.values()) + b"A" + sized(b"F" + table(deep=b"V"))),
    "": b"S" + sized(b"an empty key"),
}


def shortstr(text: str) -> bytes:
    return bytes((len(text.encode()),)) + text.encode()


def every_property(userid: str) -> bytes:
    """All fourteen properties; the headers hold all field types."""
    return (
        b"\xff\xfc"
        + shortstr("text/plain")
        + shortstr("utf-8")
        + table(**SCALARS, **NESTED)
        + b"\x02"
        + b"\x05"
        + shortstr("correlation-é")
        + shortstr("reply.queue")
        + shortstr("600000")
        + shortstr("message-1")
        + struct.pack(">Q", 1234567890)
        + shortstr("type")
        + shortstr(userid)
        + shortstr("app")
        + shortstr("cluster")
    )


def entities(session: Session) -> None:
    session.ask(1, Channel.Open())
    session.ask(1, Channel.Flow(True))
    session.send_raw("Access.Request", struct.pack(">BHI", 1, 1, len(ACCESS_REQUEST)) + ACCESS_REQUEST + b"\xce")
    session.wait(ACCESS_REQUEST_OK)
    session.ask(1, Exchange.Declare(exchange="wire.x", durable=True))
    session.ask(1, Exchange.Declare(exchange="wire.x", passive=True))
    alternate: FieldTable = {"alternate-exchange": "amq.fanout"}
    session.ask(1, Exchange.Declare(exchange="wire.y", exchange_type="fanout", auto_delete=True, arguments=alternate))
    session.ask(1, Exchange.Bind(destination="wire.y", source="wire.x", routing_key="all", arguments={"n": 1}))
    session.ask(1, Exchange.Unbind(destination="wire.y", source="wire.x", routing_key="all", arguments={"n": 1}))
    session.ask(1, Queue.Declare(queue="", exclusive=True))
    full: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    session.ask(1, Queue.Declare(queue="wire.full", exclusive=True, arguments=full))
    session.ask(1, Queue.Declare(queue="wire.q", exclusive=True))
    session.ask(1, Queue.Declare(queue="wire.q", passive=True))
    session.ask(1, Queue.Bind(queue="wire.q", exchange="wire.x", routing_key="k", arguments={"a": "b"}))
    session.ask(1, Queue.Unbind(queue="wire.q", exchange="wire.x", routing_key="k", arguments={"a": "b"}))
    session.ask(1, Queue.Bind(queue="wire.q", exchange="wire.x", routing_key="k"))


def confirms_and_returns(session: Session, properties: bytes) -> None:
    session.ask(1, Confirm.Select())
    session.publish(1, "wire.x", "k", b"with everything", properties)
    session.wait("Basic.Ack")
    session.publish(1, "", "wire.full", b"fits")
    session.wait("Basic.Ack")
    session.publish(1, "", "wire.full", b"does not fit")
    session.wait("Basic.Nack")
    session.publish(1, "wire.x", "nowhere", b"comes back", properties, mandatory=True)
    session.wait("Basic.Return")
    session.wait("Basic.Ack")
    session.publish(1, "wire.x", "nowhere", mandatory=True)
    session.wait("Basic.Return")
    session.wait("Basic.Ack")


def gets(session: Session) -> None:
    for answer in (Basic.Nack, Basic.Reject, Basic.Ack):
        tag = session.ask(1, Basic.Get(queue="wire.q")).delivery_tag
        session.wait("ContentHeader")
        session.wait("ContentBody")
        session.send(1, answer(delivery_tag=tag))
    session.send(1, Basic.Get(queue="wire.q"))
    session.wait("Basic.GetEmpty")


def deliveries(session: Session, properties: bytes) -> None:
    session.ask(1, Basic.Qos(prefetch_count=10))
    session.ask(1, Basic.Consume(queue="wire.q", consumer_tag="", arguments={"x-priority": 5}))
    session.ask(1, Basic.Consume(queue="wire.full", consumer_tag="full"))
    session.wait("ContentBody")
    session.publish(1, "wire.x", "k", bytes(range(256)) * 33, properties)
    tag = session.wait("Basic.Deliver").delivery_tag
    for _ in range(2):  # the body does not fit into one frame of FRAME_MAX bytes
        session.wait("ContentBody")
    session.send(1, Basic.Ack(delivery_tag=tag))
    session.publish(1, "wire.x", "k", b"small")
    session.wait("ContentBody")
    session.ask(1, Basic.Recover(requeue=True))
    for _ in range(2):
        session.wait("ContentBody")
    session.send(1, Basic.RecoverAsync(requeue=True))
    for _ in range(2):
        session.wait("ContentBody")
    session.send(1, Basic.Ack(delivery_tag=0, multiple=True))
    session.ask(1, Basic.Cancel(consumer_tag="full"))
    session.ask(2, Channel.Open())
    session.send(2, Queue.Delete(queue="wire.q"))
    session.wait("Basic.Cancel")  # channel 1 was a consumer of that queue


def transactions(session: Session) -> None:
    session.ask(3, Channel.Open())
    session.ask(3, Tx.Select())
    session.publish(3, "", "wire.full", b"in a transaction")
    session.ask(3, Tx.Commit())
    session.publish(3, "", "wire.full", b"in a transaction")
    session.ask(3, Tx.Rollback())
    session.ask(3, Queue.Purge(queue="wire.full"))


def endings(session: Session, password: str) -> None:
    session.ask(0, Connection.UpdateSecret(new_secret=password, reason="recording"))
    session.ask(3, Queue.Delete(queue="wire.full"))
    session.ask(3, Exchange.Delete(exchange="wire.x"))
    session.send(3, Queue.Declare(queue="wire.missing", passive=True))
    session.wait("Channel.Close")
    session.send(3, Channel.CloseOk())
    session.ask(3, Channel.Open())
    session.ask(3, Channel.Close(200, "bye", 0, 0))
    session.close()


def record(broker: Broker) -> tuple[str, dict[str, list[dict[str, str]]]]:
    """The broker's version, and the frames of each session."""
    properties = every_property(broker.userid)
    with Session(broker) as main:
        version = main.open()
        entities(main)
        confirms_and_returns(main, properties)
        gets(main)
        deliveries(main, properties)
        transactions(main)
        endings(main, broker.password)
    with Session(broker) as idle:
        idle.open(heartbeat_seconds=1)
        idle.wait("Heartbeat")
        idle.send(0, heartbeat.Heartbeat())
        idle.close()
    with Session(broker) as refused:
        refused.log_in(password=broker.password + "-not")
        refused.wait("Connection.Close")
        refused.send(0, Connection.CloseOk())
    with Session(broker) as wrong:
        wrong.open()
        wrong.send(0, Channel.Open())
        wrong.wait("Connection.Close")
        wrong.send(0, Connection.CloseOk())
    return version, {
        "everything": main.recorded,
        "heartbeat": idle.recorded,
        "wrong password": refused.recorded,
        "channel 0": wrong.recorded,
    }


def mask_host_name(sessions: dict[str, list[dict[str, str]]]) -> None:
    """Replace the host name in every connection.start's cluster name by as many letters."""
    for start, *_ in sessions.values():
        raw = bytes.fromhex(start["hex"])
        value: Any = frame.unmarshal(raw)[2]
        name = value.server_properties["cluster_name"].encode()
        node, _, host = name.partition(b"@")
        start["hex"] = raw.replace(name, node + b"@" + b"h" * len(host)).hex()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    parts = urlsplit(arguments.url)
    broker = Broker(
        parts.hostname or "localhost",
        parts.port or 5672,
        unquote(parts.username or "guest"),
        unquote(parts.password or "guest"),
        unquote(parts.path[1:]) or "/",
    )
    version, sessions = record(broker)
    mask_host_name(sessions)
    blocks = (
        json.dumps(name) + ": [\n" + ",\n".join(map(json.dumps, recorded)) + "\n]"
        for name, recorded in sessions.items()
    )
    path = arguments.folder / f"rabbitmq-{version}.json"
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n")
    print(path)


if __name__ == "__main__":
    main()
