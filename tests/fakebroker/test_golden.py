"""What RabbitMQ answered five client libraries, recorded by golden_sessions.py, and what the broker answers to the
same: byte for byte, but for what RabbitMQ says of itself in connection.start.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from hutch.fakebroker import Broker, ManualClock
from hutch.fakebroker.amqp091.session import Session
from hutch.fakebroker.engine.names import Names
from hutch.fakebroker.engine.peer import Peer
from hutch.wire.fields import FieldTable
from hutch.wire.frames import METHOD, FrameParser
from hutch.wire.methods import (
    PROTOCOL_HEADER,
    BasicConsumeOk,
    ConnectionStart,
    Method,
    QueueDeclareOk,
    decode_method,
)

from .golden_sessions import FOLDER, SESSIONS, VHOST

RECORDINGS = sorted(FOLDER.glob("*.json"))


class Frame(NamedTuple):
    kind: int
    channel: int
    payload: bytes

    @property
    def method(self) -> Method | None:
        """The method, where it is one."""
        return decode_method(self.payload) if self.kind == METHOD else None


def said_by(who: str, path: Path) -> list[bytes]:
    return [bytes.fromhex(frame["hex"]) for frame in json.loads(path.read_text()) if frame["from"] == who]


def frames(data: bytes) -> list[Frame]:
    return [Frame(*frame) for frame in FrameParser().feed(data)]


class RecordedNames(Names):
    """Gives the names that RabbitMQ had made up, in their order."""

    def __init__(self, recorded: list[Frame]) -> None:
        methods = [frame.method for frame in recorded]
        self._queues = (each.queue for each in methods if isinstance(each, QueueDeclareOk) and is_made_up(each.queue))
        tags = (each.consumer_tag for each in methods if isinstance(each, BasicConsumeOk))
        self._tags = filter(is_made_up, tags)

    def queue(self) -> str:
        return next(self._queues)

    def consumer_tag(self) -> str:
        return next(self._tags)


def is_made_up(name: str) -> bool:
    return name.startswith("amq.")


def by_channel(recorded: list[Frame]) -> dict[int, list[tuple[int, str, bytes]]]:
    """The frames of each channel in their order, with the names of methods for whoever reads a failure."""
    channels: dict[int, list[tuple[int, str, bytes]]] = defaultdict(list)
    for frame in recorded:
        channels[frame.channel].append((frame.kind, frame.method.NAME if frame.method else "", frame.payload))
    return channels


def greeting_of(recorded: list[Frame]) -> ConnectionStart:
    greeting = recorded[0].method
    assert isinstance(greeting, ConnectionStart)
    return greeting


def of_itself(greeting: ConnectionStart) -> FieldTable:
    """What the broker says of itself, but for what any two nodes differ in."""
    return {
        name: value for name, value in greeting.server_properties.items() if name not in {"cluster_name", "platform"}
    }


@pytest.mark.parametrize("path", RECORDINGS, ids=[path.stem for path in RECORDINGS])
def test_the_broker_answers_as_rabbitmq_did(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = path.stem.rpartition("-")[2]
    wanted = frames(b"".join(said_by("server", path)))
    with Broker(version.rpartition(".")[0], ManualClock(), vhosts=(VHOST,)) as broker:
        monkeypatch.setattr(broker.hub.node, "names", RecordedNames(wanted))
        session = Session(broker.hub.node, broker.hub.profile, Peer("recorded"), lambda: None)
        got = b""
        for data in said_by("client", path):
            session.receive(data)
            got += session.take()
        assert not broker.hub.node.connections
    answered = frames(got)
    greeting, recorded_greeting = greeting_of(answered), greeting_of(wanted)
    assert set(greeting.mechanisms.split()) == set(recorded_greeting.mechanisms.split()) - {b"EXTERNAL"}
    assert of_itself(greeting) == of_itself(recorded_greeting)
    assert by_channel(answered[1:]) == by_channel(wanted[1:])


def test_every_library_was_recorded_with_both_versions() -> None:
    libraries = {path.stem.rpartition("-")[0] for path in RECORDINGS}
    assert libraries == set(SESSIONS)
    assert len(RECORDINGS) == 2 * len(SESSIONS)
    assert all(said_by("client", path)[0] == PROTOCOL_HEADER for path in RECORDINGS)
