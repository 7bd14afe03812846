"""Bodies of 1 MiB through hutch's client, next to a bare copy of the same bytes over loopback.

    python benchmarks/large_bodies.py

The other end is a process that speaks just enough AMQP, from ready-made bytes: it discards what is published, and
sends one delivery over and over. The bare copy moves the very same frames between the same two processes, with
``sendall`` from one buffer and ``recv_into`` another. Every program has to make these copies. The ratio shows what the
client adds; no broker makes that look smaller or larger.
"""

import argparse
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from hutch.client import Connection, Message
from hutch.wire.frames import Frame, FrameParser, content_frames, content_header, method_frame
from hutch.wire.methods import (
    BasicAck,
    BasicConsume,
    BasicConsumeOk,
    BasicDeliver,
    BasicPublish,
    ChannelOpenOk,
    ConnectionOpenOk,
    ConnectionStart,
    ConnectionTune,
)
from hutch.wire.properties import NO_PROPERTIES
from table import print_table

_BODY: Final = b"x" * (1 << 20)
_FRAME_MAX: Final = 131072
_BUFFER_SIZE: Final = 1 << 18
_TAG: Final = "large"
_QUEUE: Final = "large"
_CONTENT: Final = content_frames(1, content_header(len(_BODY), NO_PROPERTIES), _BODY, _FRAME_MAX)
_PUBLISH: Final = method_frame(1, BasicPublish(0, "", _QUEUE, False, False).encode()) + _CONTENT
_DELIVERY: Final = method_frame(1, BasicDeliver(_TAG, 1, False, "", _QUEUE).encode()) + _CONTENT
#: What tells a publisher that everything has arrived.
_ARRIVED: Final = method_frame(1, BasicAck(1, False).encode())

#: Real and CPU microseconds for each message.
Taken = tuple[float, float]

_BARE_SEND: Final = b"raw send"
_BARE_RECEIVE: Final = b"raw recv"


def _receive_exactly(sock: socket.socket, size: int) -> None:
    buffer = bytearray(_BUFFER_SIZE)
    while size:
        received = sock.recv_into(buffer, min(size, len(buffer)))
        if not received:
            raise EOFError("the other end is gone")
        size -= received


def _serve(listener: socket.socket, count: int) -> None:
    """The other end: one connection after the other, each for one round of one measurement."""
    while True:
        sock, _ = listener.accept()
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            greeting = sock.recv(8)
            if greeting == _BARE_SEND or (greeting != _BARE_RECEIVE and _handshake(sock) == BasicPublish.ID):
                _receive_exactly(sock, count * len(_PUBLISH))
                sock.sendall(_ARRIVED)
            else:
                for _ in range(count):
                    sock.sendall(_DELIVERY)
            sock.recv(1)  # until the client is gone


def _handshake(sock: socket.socket) -> int:
    """Open connection and channel, then look at what comes: the id of a publish, or of a consume that is answered."""

    def methods() -> Iterator[int]:
        parser = FrameParser()
        while True:
            for frame in parser.feed(sock.recv(4096)):
                yield _method_id(frame)

    sock.sendall(method_frame(0, ConnectionStart(0, 9, {}, b"PLAIN", b"en_US").encode()))
    received = methods()
    next(received)
    sock.sendall(method_frame(0, ConnectionTune(0, _FRAME_MAX, 0).encode()))
    next(received)
    next(received)
    sock.sendall(method_frame(0, ConnectionOpenOk("").encode()))
    next(received)
    sock.sendall(method_frame(1, ChannelOpenOk().encode()))
    peeked = sock.recv(11, socket.MSG_PEEK | socket.MSG_WAITALL)
    if int.from_bytes(peeked[7:11]) == BasicPublish.ID:
        return BasicPublish.ID
    next(received)
    sock.sendall(method_frame(1, BasicConsumeOk(_TAG).encode()))
    return BasicConsume.ID


def _method_id(frame: Frame) -> int:
    return int.from_bytes(frame[2][:4])


def _stopwatch() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(start: tuple[float, float], count: int) -> Taken:
    real, cpu = (now - then for now, then in zip(_stopwatch(), start, strict=True))
    return real / count * 1e6, cpu / count * 1e6


def _bare_send(port: int, count: int) -> Taken:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_BARE_SEND)
        start = _stopwatch()
        for _ in range(count):
            sock.sendall(_PUBLISH)
        _receive_exactly(sock, len(_ARRIVED))
        return _since(start, count)


def _bare_receive(port: int, count: int) -> Taken:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = _stopwatch()
        sock.sendall(_BARE_RECEIVE)
        _receive_exactly(sock, count * len(_DELIVERY))
        return _since(start, count)


def _publish(port: int, count: int) -> Taken:
    connection = Connection(f"127.0.0.1:{port}")
    connection.connect()
    channel = connection.channel()
    arrived = False

    def on_ack(_delivery_tag: int, _multiple: bool) -> None:
        nonlocal arrived
        arrived = True

    channel.events["basic_ack"].add(on_ack)
    message = Message(_BODY)
    start = _stopwatch()
    for _ in range(count):
        channel.basic_publish(message, routing_key=_QUEUE)
    while not arrived:
        connection.drain_events()
    taken = _since(start, count)
    connection.collect()
    return taken


def _consume(port: int, count: int) -> Taken:
    connection = Connection(f"127.0.0.1:{port}")
    connection.connect()
    channel = connection.channel()
    received = 0

    def on_message(message: Any) -> None:
        nonlocal received
        assert len(message.body) == len(_BODY)
        received += 1

    start = _stopwatch()
    channel.basic_consume(_QUEUE, consumer_tag=_TAG, no_ack=True, callback=on_message)
    while received < count:
        connection.drain_events()
    taken = _since(start, count)
    connection.collect()
    return taken


def main(arguments: list[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--rounds", type=int, default=15, help="how often each number is taken")
    parser.add_argument("--messages", type=int, default=200, help="bodies in each round")
    options = parser.parse_args(arguments)
    pairs = {"publish": (_publish, _bare_send), "consume, no acknowledgements": (_consume, _bare_receive)}
    taken: dict[Callable[[int, int], Taken], list[Taken]] = {run: [] for pair in pairs.values() for run in pair}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        peer = multiprocessing.Process(target=_serve, args=(listener, options.messages), daemon=True)
        peer.start()
        for _ in range(options.rounds):
            for run, times in taken.items():
                times.append(run(port, options.messages))
        peer.terminate()
        peer.join()
    table = [["1 MiB bodies", "hutch", "bare copy", "ratio", "aim"]]
    for what, (run, bare) in pairs.items():
        for number, kind in enumerate(("real time", "CPU time")):
            ours, theirs = (min(times[number] for times in taken[measured]) for measured in (run, bare))
            aim = "1.2" if number == 0 else ""
            table.append([f"{what}, {kind}", f"{ours:.0f} us", f"{theirs:.0f} us", f"{ours / theirs:.2f}", aim])
    print_table(table, options.markdown)


if __name__ == "__main__":
    main()
