"""Frames recorded from live RabbitMQ (by record.py): decoded, and encoded again to the very same bytes."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from hutch.wire.content import Content, ContentAssembler
from hutch.wire.fields import FieldValue, type_name
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, FrameParser, frame, message_frames, method_frame
from hutch.wire.methods import METHODS, ConnectionClose, ConnectionStart, decode_method
from hutch.wire.properties import PROPERTIES, Properties, encode_properties
from hutch.wire.states import FROM_CLIENT, FROM_SERVER, ConnectionState, next_connection_state

FRAME_MAX = 8192
FILES = sorted(Path(__file__).with_name("recorded").glob("rabbitmq-*.json"))
VERSIONS = [path.stem.partition("-")[2] for path in FILES]


class Recorded(NamedTuple):
    sender: str
    name: str
    raw: bytes


def sessions(path: Path) -> dict[str, list[Recorded]]:
    loaded = json.loads(path.read_text())
    return {
        name: [Recorded(entry["from"], entry["frame"], bytes.fromhex(entry["hex"])) for entry in entries]
        for name, entries in loaded.items()
    }


def everything(path: Path) -> list[Recorded]:
    return [entry for entries in sessions(path).values() for entry in entries]


def contents(path: Path, sender: str) -> list[Content]:
    """The messages that one side sent."""
    found: list[Content] = []
    for entries in sessions(path).values():
        assemblers: dict[int, ContentAssembler] = defaultdict(ContentAssembler)
        for entry in entries:
            ((frame_type, channel, payload),) = FrameParser(FRAME_MAX).feed(entry.raw)
            assembler = assemblers[channel]
            if entry.sender != sender or frame_type == HEARTBEAT:
                continue
            if frame_type == METHOD:
                method = decode_method(payload)
                if method.CONTENT:
                    assembler.begin(method)
            elif content := assembler.add(frame_type, payload):
                found.append(content)
        assert not any(assembler.method for assembler in assemblers.values())
    return found


each_version = pytest.mark.parametrize("path", FILES, ids=VERSIONS)


def test_both_profiles_are_recorded() -> None:
    assert [version.rpartition(".")[0] for version in VERSIONS] == ["3.10", "4.3"]


@each_version
def test_every_frame_is_written_as_the_same_bytes(path: Path) -> None:
    for entry in everything(path):
        ((frame_type, channel, payload),) = FrameParser(FRAME_MAX).feed(entry.raw)
        assert frame(frame_type, channel, payload) == entry.raw
        if frame_type == METHOD:
            method = decode_method(payload)
            assert method.NAME.replace("-", "") == entry.name.lower()
            assert method.SERVER if entry.sender == "server" else method.CLIENT
            assert method_frame(channel, method.encode()) == entry.raw
        elif frame_type == HEADER:
            assert encode_properties(Properties(payload[12:]).values) == payload[12:]
        else:
            assert frame_type in {BODY, HEARTBEAT}


@each_version
def test_a_stream_is_parsed_in_any_cut(path: Path) -> None:
    for entries in sessions(path).values():
        sent = [entry.raw for entry in entries if entry.sender == "server"]
        stream = b"".join(sent)
        for size in (1, 7, 8, 1460, len(stream)):
            parser = FrameParser(FRAME_MAX)
            pieces = (stream[start : start + size] for start in range(0, len(stream), size))
            assert [frame(*found) for piece in pieces for found in parser.feed(piece)] == sent


@each_version
def test_all_that_a_server_sends_is_recorded(path: Path) -> None:
    recorded = {entry.name.lower() for entry in everything(path) if entry.sender == "server"}
    methods = {method.NAME.replace("-", "") for method in METHODS.values() if method.SERVER}
    unrecorded = {
        "connection.secure",  # only the mechanism RABBIT-CR-DEMO uses it, a plugin of RabbitMQ's own tests
        "connection.blocked",  # needs an alarm
        "connection.unblocked",
        "channel.flow",  # RabbitMQ never asks for it
        "basic.creditok",  # part of an extension that no client supports
        "basic.creditdrained",
    }
    assert methods - recorded == unrecorded
    assert recorded - methods == {"contentheader", "contentbody", "heartbeat"}


@each_version
def test_content_is_cut_the_way_rabbitmq_cuts_it(path: Path) -> None:
    stream = b"".join(entry.raw for entry in everything(path) if entry.sender == "server")
    large = [content for content in contents(path, "server") if len(content.body) > FRAME_MAX - 8]
    assert [content.method.NAME for content in large] == ["basic.deliver"]
    for content in contents(path, "server"):
        assert message_frames(1, content.properties, content.body, FRAME_MAX) in stream


def headers(content: Content) -> dict[str, FieldValue]:
    return dict(Properties(content.properties).headers)


def types(table: Mapping[str, FieldValue]) -> dict[str, str]:
    return {name: type_name(value) for name, value in table.items()}


@each_version
def test_messages_come_back_as_they_were_published(path: Path) -> None:
    published = {content.body: content for content in contents(path, "client")}
    received = contents(path, "server")
    assert {content.method.NAME for content in received} == {"basic.return", "basic.get-ok", "basic.deliver"}
    for content in received:
        sent = published[content.body]
        if "-3.10." in path.name:
            assert content.properties == sent.properties
            continue
        # 4.3 sorts headers by name (PUB-15) and changes an unsignedlong to a long (PUB-14).
        assert Properties(content.properties).values == Properties(sent.properties).values
        assert list(headers(content)) == sorted(headers(sent))
        assert types(headers(content)) == types(headers(sent)) | (
            {"unsignedlong": "long"} if "unsignedlong" in headers(sent) else {}
        )


@each_version
def test_all_properties_and_field_types_are_recorded(path: Path) -> None:
    full = next(content for content in contents(path, "client") if content.body == b"with everything")
    properties = Properties(full.properties)
    assert list(properties.values) == [name for name, _, _ in PROPERTIES]
    wanted = "bool byte unsignedbyte short unsignedshort signedint unsignedint long unsignedlong float double decimal"
    wanted += " longstr longstr binary timestamp void table array table array longstr"
    assert list(types(headers(full)).values()) == wanted.split()
    assert properties.headers["longstr"] == "naïve"
    assert properties.headers["longstr_raw"] == b"\xff\xfe"
    assert properties.values["timestamp"] == 1234567890


@each_version
def test_connections_go_through_their_states(path: Path) -> None:
    for name, entries in sessions(path).items():
        state = ConnectionState.GREETING
        for entry in entries:
            ((frame_type, channel, payload),) = FrameParser(FRAME_MAX).feed(entry.raw)
            if frame_type != METHOD or channel or (name == "channel 0" and entry.name == "Channel.Open"):
                continue
            table = FROM_CLIENT if entry.sender == "client" else FROM_SERVER
            state = next_connection_state(table, state, type(decode_method(payload)))
        assert state is ConnectionState.CLOSED


@each_version
def test_what_the_broker_said(path: Path) -> None:
    def first(session: str, wanted: type) -> object:
        decoded = (
            decode_method(entry.raw[7:-1])
            for entry in sessions(path)[session]
            if entry.sender == "server" and entry.raw[0] == METHOD
        )
        return next(method for method in decoded if isinstance(method, wanted))

    start = first("everything", ConnectionStart)
    assert isinstance(start, ConnectionStart)
    assert start.server_properties["version"] == path.stem.partition("-")[2]
    assert set(str(start.server_properties["cluster_name"]).partition("@")[2]) == {"h"}
    assert first("channel 0", ConnectionClose) == ConnectionClose(
        504, "CHANNEL_ERROR - unexpected method in connection state running", 20, 10
    )
    refused = first("wrong password", ConnectionClose)
    assert isinstance(refused, ConnectionClose)
    assert (refused.reply_code, refused.class_id, refused.method_id) == (403, 0, 0)
