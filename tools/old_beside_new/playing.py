"""Plays a script on both emulators, and compares what they say after each write and each other operation."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Final

from hutch.conformance.differential.observation import Names
from hutch.conformance.differential.operations import (
    USER,
    USERS_OWN,
    Administer,
    Advance,
    Call,
    End,
    Publish,
    Restart,
    Settle,
)
from hutch.conformance.differential.vocabulary import QUEUES
from hutch.conformance.raw import CAPABILITIES
from hutch.wire import methods as wire
from hutch.wire.frames import OVERHEAD, content_frames, content_header, method_frame
from hutch.wire.properties import encode_properties
from old_beside_new.adapters import AdapterError, Emulator, Plain, Side, Stream
from old_beside_new.clients import Client
from old_beside_new.comparing import Difference, Said
from old_beside_new.oddities import PASSWORD, SECOND, Bytes, Due
from old_beside_new.scripts import Script, Step

#: The user who is :data:`USER`.
_USER: Final = "somebody"
#: Seconds that pass at the end of a script: longer than any timeout in it.
_LONG: Final = 7200.0
#: The errors that an emulator raises on purpose, beside those of a connection.
_ON_PURPOSE: Final = frozenset({"LookupError", "ValueError", "InvalidPolicy", "NotImplementedError", "RuntimeError"})
#: Operator's verbs that RabbitMQ refuses with a reason: its text is compared. Other refusals have hutch's own texts.
_TOLD_WHY: Final = frozenset({"set_policy", "set_operator_policy"})

_Written = Call | Publish | Settle | End | Bytes


class Pair:
    """A fresh pair of emulators for one script. ``counts`` counts operations by their kind."""

    def __init__(self, old: Side, new: Side, script: Script, counts: "Counter[str]") -> None:
        #: Errors that an emulator should not raise, with the functions that raised them.
        self.broken: Final[set[str]] = set()
        #: What was played.
        self.script: Final[list[object]] = [f"profile {script.profile}, {script.world}"]
        self._world: Final = script.world
        self._counts: Final = counts
        settings = script.world.settings(script.profile)
        self._emulators: Final = old.emulator(settings), new.emulator(settings)
        self._said: Final = Said(), Said()
        self._clients: Final[dict[int, Client]] = {}
        self._names: Final = Names()
        self._published = 0
        #: A connection's number, and bytes that go out with its next write.
        self._joined: tuple[int, bytes] = 0, b""

    # playing

    def play(self, step: Step) -> None:
        """Play a step. A step that makes no sense in the present state is left out.

        Raises:
            Difference: the emulators say different things.
        """
        operation = step.operation
        if isinstance(operation, _Written):
            number = operation.connection if isinstance(operation, End | Bytes) else operation.place.connection
            if self._joined[0] != number:
                self._flush()
            self._begin(step)
            played = self._played_bytes(number, step, operation)
        else:
            self._flush()
            self._begin(step)
            played = self._act(operation)
        if played:
            self._counts[operation.kind] += 1
        else:
            self.script.pop()

    def finish(self) -> None:
        """Compare the queues now and after a long time, and how the brokers close.

        Raises:
            Difference: see :meth:`play`.
        """
        self._flush()
        self._begin("the queues are looked at")
        self._look()
        self._begin(f"{_LONG:.0f} s pass")
        self._on_both(lambda emulator: emulator.advance(_LONG))
        self._look()
        self._begin("the brokers close")
        self._on_both(Emulator.close)

    def close(self) -> None:
        """Close the brokers."""
        for emulator in self._emulators:
            emulator.close()

    def _begin(self, step: object) -> None:
        self.script.append(step)
        for said in self._said:
            said.clear()

    def _act(self, operation: "Administer | Advance | Due | Restart") -> bool:
        """Play an operation that sends no bytes. Returns whether there was something to do."""
        if isinstance(operation, Administer):
            arguments = {name: _USER if value == USER else value for name, value in operation.arguments.items()}
            self._on_both(
                lambda emulator: emulator.operate(operation.what, arguments), told_why=operation.what in _TOLD_WHY
            )
        elif isinstance(operation, Restart):
            self._on_both(lambda emulator: emulator.operate("restart", {}))
        elif isinstance(operation, Advance):
            self._on_both(lambda emulator: emulator.advance(operation.milliseconds / 1000))
        else:
            upcoming = self._emulators[0].upcoming()
            if upcoming is None:
                return False
            seconds = max(upcoming + operation.milliseconds / 1000, 0.0)
            self._on_both(lambda emulator: emulator.advance(seconds))
        return True

    def _look(self) -> None:
        latest = int(self._names.latest[0].removeprefix("~"))
        names = [*QUEUES, "told", "traced", *(self._names.real(f"~{number}") for number in range(1, latest + 1))]
        for vhost in ("/", SECOND) if self._world.apart else ("/",):
            for name in names:
                self._on_both(partial(_view, name=name, vhost=vhost))

    def _on_both(self, act: Callable[[Emulator], Plain], *, told_why: bool = False) -> None:
        for emulator, said in zip(self._emulators, self._said, strict=True):
            said.tell(self._outcome(partial(act, emulator), told_why=told_why))
        self._compare()

    def _outcome(self, act: Callable[[], Plain], *, told_why: bool = False) -> Plain:
        """What a call returns, or the error that it raises."""
        try:
            return act()
        except AdapterError:
            raise
        except Exception as error:
            if _breaks(error):
                self.broken.add(_place_of(error))
            return f"{type(error).__name__}{f': {error}' if told_why else ''}"

    # bytes

    def _played_bytes(self, number: int, step: Step, operation: _Written) -> bool:
        """Write the bytes of an operation, or keep them for the next write. Returns whether there were any."""
        fresh = isinstance(operation, Bytes) and operation.fresh
        if isinstance(operation, End) and number not in self._clients:
            return False
        if fresh and number in self._clients:
            self._gone(number)
        client = self._clients.get(number) or self._connected(number, b"" if fresh else self._greeting(number))
        if client is None:
            return True
        if isinstance(operation, End) and operation.abrupt:
            self._flush()
            if number in self._clients:
                self._gone(number)
            self._compare()
            return True
        data = self._bytes(client, operation, step.piece)
        if data is None:
            return False
        if step.damaged is not None:
            at = len(data) * step.damaged // 1000
            data = data[:at] + bytes((data[at] ^ 0x55,)) + data[at + 1 :]
        data = self._joined[1] + client.unsent + data
        client.unsent = b""
        if step.joined:
            self._joined = number, data
        else:
            self._joined = 0, b""
            self._write(number, data, step.cuts)
        return True

    def _bytes(self, client: Client, operation: _Written, piece: int) -> bytes | None:
        """The bytes of an operation; ``None`` if it makes no sense in the present state."""
        if isinstance(operation, Bytes):
            return operation.data
        if isinstance(operation, End):
            client.closing = True
            return method_frame(0, wire.ConnectionClose(200, "bye").encode())
        if isinstance(operation, Settle):
            settling = client.settling(operation)
            return None if settling is None else client.opened(settling[0]) + client.sent(*settling)
        channel = operation.place.channel
        frames = client.opened(channel) + client.sent(channel, self._named(operation.method))
        if isinstance(operation, Publish):
            self._published += 1
            body = b"%d:" % self._published
            body += b"." * (operation.size - len(body))
            header = content_header(len(body), encode_properties(dict(operation.properties)))
            frames += content_frames(channel, header, body, piece + OVERHEAD if piece else self._world.frame_max)
        return frames

    def _named(self, method: wire.Method) -> wire.Method:
        """The method with generated names in place of their aliases."""
        fields = {name: getattr(method, name) for name in method.FIELDS}
        if not any(isinstance(value, str) and value.startswith("~") for value in fields.values()):
            return method
        return type(method)(**{n: self._names.real(v) if isinstance(v, str) else v for n, v in fields.items()})

    def _greeting(self, number: int) -> bytes:
        """The whole handshake of a client."""
        user = _USER if number == USERS_OWN else "guest"
        methods = (
            wire.ConnectionStartOk({"capabilities": CAPABILITIES}, "PLAIN", f"\0{user}\0{PASSWORD}".encode()),
            wire.ConnectionTuneOk(2047, self._world.frame_max, self._world.heartbeat),
            wire.ConnectionOpen(SECOND if number == 2 and self._world.apart else "/"),
        )
        return wire.PROTOCOL_HEADER + b"".join(method_frame(0, method.encode()) for method in methods)

    def _connected(self, number: int, greeting: bytes) -> Client | None:
        """A new connection; ``None`` if it is refused."""
        old, new = (emulator.transport() for emulator in self._emulators)
        for stream, said in zip((old, new), self._said, strict=True):
            said.tell(self._outcome(partial(stream.connect, None)))
        if self._said[0].told:
            self._compare()
            return None
        client = self._clients[number] = Client((old, new), greeting)
        return client

    def _flush(self) -> None:
        """Write the bytes that are kept for the next write."""
        number, data = self._joined
        if number:
            self._joined = 0, b""
            self._write(number, data, ())

    def _write(self, number: int, data: bytes, cuts: tuple[int, ...]) -> None:
        """Write to both emulators. Then prompt clients answer what they were told."""
        for piece in _pieces(data, cuts):
            client = self._clients.get(number)
            if client is None:
                return
            for stream, said in zip(client.streams, self._said, strict=True):
                said.tell(self._outcome(partial(stream.send, piece)))
            self._compare()
        if self._world.prompt:
            for other, client in list(self._clients.items()):
                if client.unsent:
                    answer, client.unsent = client.unsent, b""
                    self._write(other, answer, ())

    def _gone(self, number: int) -> None:
        """Cut a connection."""
        client = self._clients.pop(number)
        for stream in client.streams:
            stream.close()

    # comparing

    def _compare(self) -> None:
        """Read what both emulators have said, and compare it.

        Raises:
            Difference: it is not the same.
        """
        old, new = self._said
        known = len(old.heard)
        for number, client in self._clients.items():
            by_old, by_new = client.streams
            if by_old.readable() or by_new.readable():
                old.heard.append((number, *_read(by_old)))
                new.heard.append((number, *_read(by_new)))
        for emulator, said in zip(self._emulators, self._said, strict=True):
            said.told += emulator.events()
        if old.heard != new.heard or old.told != new.told:
            raise Difference(self.script, old, new)
        for number, data, end in old.heard[known:]:
            if b"amq." in data:
                self._names.seen(data.decode("latin-1"))
            if self._clients[number].take(data) or end:
                self._gone(number)


def _read(stream: Stream) -> tuple[bytes, str]:
    """The bytes that have come on a connection, and the error if it ended."""
    data = b""
    try:
        while stream.readable():
            data += stream.receive()
    except Exception as error:
        return data, type(error).__name__
    return data, ""


def _view(emulator: Emulator, name: str, vhost: str) -> Plain:
    return name, emulator.queue(name, vhost)


def _breaks(error: Exception) -> bool:
    """Whether an emulator does not raise such an error on purpose."""
    return not isinstance(error, OSError) and type(error).__name__ not in _ON_PURPOSE


def _place_of(error: Exception) -> str:
    """The error and the function that raised it, in words."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} in {frame.f_code.co_qualname}"


def _pieces(data: bytes, cuts: tuple[int, ...]) -> Iterator[bytes]:
    places = sorted({0, *(len(data) * cut // 1000 for cut in cuts)})
    for start, end in pairwise([*places, len(data)]):
        yield data[start:end]
