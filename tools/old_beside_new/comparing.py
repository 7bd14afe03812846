"""What an emulator said in a step, and the report of a difference between two."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Final

from hutch.conformance.differential.operations import show
from hutch.wire.fields import FieldError
from hutch.wire.frames import BODY, HEADER, HEARTBEAT, METHOD, FrameError, FrameParser
from hutch.wire.methods import decode_method
from hutch.wire.properties import decode_properties
from old_beside_new.adapters import Plain

#: How much of a body or of other bytes is shown.
_SHOWN: Final = 60


@dataclass
class Said:
    """What an emulator said in one step.

    ``heard`` has connection number, bytes, and the error if the connection ended. ``told`` has what calls returned or
    raised, and the events of the history.
    """

    heard: list[tuple[int, bytes, str]] = field(default_factory=list)
    told: list[Plain] = field(default_factory=list)

    def tell(self, told: Plain) -> None:
        """Add what a call returned, unless it is ``None``."""
        if told is not None:
            self.told.append(told)

    def clear(self) -> None:
        """Begin another step."""
        self.heard.clear()
        self.told.clear()

    def lines(self, *, raw: bool = False) -> list[str]:
        """Everything in words; with ``raw``, the bytes too."""
        lines = []
        for connection, data, end in self.heard:
            lines += [f"connection {connection}, {line}" for line in _frames(data)]
            lines += [f"connection {connection}, bytes {data.hex(' ', -4)}"] if raw else []
            lines += [f"connection {connection} ends: {end}"] if end else []
        return lines + [_shown(each) for each in self.told]


class Difference(AssertionError):
    """The two emulators said different things in the last operation of ``script``."""

    def __init__(self, script: Sequence[object], old: Said, new: Said) -> None:
        self.script: Final = [str(each) for each in script]
        alike = old.lines() == new.lines()
        self.old: Final = old.lines(raw=alike)
        self.new: Final = new.lines(raw=alike)
        super().__init__(self.report())

    def report(self) -> str:
        """The script, and a diff of what both said in its last step."""
        said = list(unified_diff(self.old, self.new, lineterm=""))[3:]
        return "\n".join(
            [
                "These operations differ in the last step:",
                *(f"  {line}" for line in self.script),
                "There the old emulator (-) and the new one (+) say:",
                *("  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}" for line in said),
            ]
        )


def _shown(value: Plain) -> str:
    """A value with its long bytes cut short."""
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_shown, value))})"
    if isinstance(value, bytes) and len(value) > _SHOWN:
        return f"{value[:_SHOWN]!r} of {len(value)} bytes"
    return repr(value)


def _frames(data: bytes) -> Iterator[str]:
    """Each frame in words."""
    if data.startswith(b"AMQP"):
        yield f"protocol header {data!r}"
        return
    parser = FrameParser()
    try:
        for kind, channel, payload in parser.feed(data):
            yield f"channel {channel}: {_frame(kind, payload)}"
    except FrameError as error:
        yield f"no frame: {error}"
    if not parser.idle:
        yield f"not only frames: {data[-_SHOWN:]!r}"


def _frame(kind: int, payload: bytes) -> str:
    try:
        if kind == METHOD:
            return show(decode_method(payload))
        if kind == HEADER:
            return f"header of {int.from_bytes(payload[4:12])} bytes, {decode_properties(payload[12:])}"
    except (FieldError, ValueError) as error:
        return f"frame {kind} that cannot be read, {error}: {payload!r}"
    if kind == BODY:
        return f"body {_shown(payload)}"
    return "heartbeat" if kind == HEARTBEAT and not payload else f"frame {kind}: {payload!r}"
