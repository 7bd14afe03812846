from pathlib import Path

import pytest

from hutch.wire.transport import RecordingTransport, Transport, opener


class Loopback(Transport):
    """Gives back what was sent; when that is used up, the stream has ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float | None]] = []
        self._waiting: list[bytes] = []

    def connect(self, deadline: float | None) -> None:
        self.calls.append(("connect", deadline))

    def send(self, data: bytes, deadline: float | None = None) -> None:
        self.calls.append(("send", deadline))
        if not data:
            raise ConnectionResetError
        self._waiting.append(data)

    def receive(self, deadline: float | None = None) -> bytes:
        self.calls.append(("receive", deadline))
        if deadline == 0:
            raise TimeoutError
        return self._waiting.pop(0) if self._waiting else b""

    def readable(self) -> bool:
        return bool(self._waiting)

    def close(self) -> None:
        self.calls.append(("close", None))

    def fileno(self) -> int | None:
        return 7

    def monotonic(self) -> float:
        return 12.5


def test_a_recording_holds_both_directions_in_order() -> None:
    inner: Transport = Loopback()
    recording = RecordingTransport(inner)
    transport: Transport = recording
    transport.connect(20)
    transport.send(b"one", 21)
    transport.send(b"two")
    assert transport.readable()
    assert transport.receive(22) == b"one"
    transport.send(b"three")
    assert transport.receive() == b"two"
    transport.close()
    assert recording.log == [
        ("sent", b"one"),
        ("sent", b"two"),
        ("received", b"one"),
        ("sent", b"three"),
        ("received", b"two"),
    ]
    assert (transport.fileno(), transport.monotonic()) == (7, 12.5)
    assert isinstance(inner, Loopback)
    assert inner.calls == [
        ("connect", 20),
        ("send", 21),
        ("send", None),
        ("receive", 22),
        ("send", None),
        ("receive", None),
        ("close", None),
    ]


def test_what_failed_is_not_recorded() -> None:
    recording = RecordingTransport(Loopback())
    with pytest.raises(TimeoutError):
        recording.receive(0)
    with pytest.raises(ConnectionResetError):
        recording.send(b"")
    assert recording.log == []


def open_nothing(address: object) -> Transport:
    raise ConnectionRefusedError(address)


def test_openers_are_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "loop-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: loop\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[hutch.transports]\nloop = {__name__}:open_nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert opener("loop") is open_nothing
    with pytest.raises(LookupError, match=r"^no transport for gopher:// URLs; registered: .*\bloop\b"):
        opener("gopher")


def test_without_any_opener_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(LookupError, match=r"^no transport for loop:// URLs; registered: none$"):
        opener("loop")
