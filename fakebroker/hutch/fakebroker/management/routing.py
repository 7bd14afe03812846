"""Paths: which there are, and what a request's path names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from hutch.fakebroker.management.access import Access
from hutch.fakebroker.management.errors import Refusal, object_not_found

if TYPE_CHECKING:
    from hutch.fakebroker.management.call import Call

#: Answers a call: what JSON can write, a :class:`Response`, or ``None`` for 204.
Handler = Callable[["Call"], Any]

_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_METHODS: Final = ("GET", "PUT", "POST", "DELETE")


@dataclass(frozen=True)
class Route:
    """One path, relative to ``/api/``. Of its segments, those in capitals stand for any name: ``queues/V/Q``.

    ``access`` is who may use it, and ``stricter`` who may use single methods of it. A ``V`` in the path is a virtual
    host that the user has to have access to, unless ``any_vhost``. ``pages`` is whether lists come in pages,
    ``columns`` whether columns can be chosen. ``reads_json`` is whether the body of a request is JSON, ``json_only``
    whether its content type has to say so. ``head`` is whether a path with GET has HEAD as well. ``in_turn`` is whether
    handlers are called in a turn of the hub. ``newer`` is whether newer versions alone have the path, or older ones
    alone; ``None`` for all.
    """

    path: str
    handlers: Mapping[str, Handler]
    access: Access = Access.MANAGEMENT
    stricter: Mapping[str, Access] = field(default_factory=dict)
    any_vhost: bool = False
    pages: bool = False
    columns: bool = True
    reads_json: bool = True
    json_only: bool = False
    head: bool = True
    in_turn: bool = True
    newer: bool | None = None

    @property
    def allow(self) -> str:
        """Its methods, as the header ``allow`` has them."""
        methods = [method for method in _METHODS if method in self.handlers]
        return ", ".join(["HEAD", *methods, "OPTIONS"] if self.has("HEAD") else [*methods, "OPTIONS"])

    def has(self, method: str) -> bool:
        """Whether it has a method."""
        if method == "HEAD":
            return self.head and "GET" in self.handlers
        return method in self.handlers or method == "OPTIONS"


class Routes:
    """All paths that there are."""

    def __init__(self, routes: Iterable[Route], *, newer: bool) -> None:
        self._by_length: Final[dict[int, list[tuple[list[str], Route]]]] = {}
        for route in routes:
            if route.newer not in {None, newer}:
                continue
            pattern = route.path.split("/")
            self._by_length.setdefault(len(pattern), []).append((pattern, route))

    def find(self, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
        """The route of a path, and the names in it; one with more words of its own goes first."""
        best: tuple[int, Route, dict[str, str]] | None = None
        for pattern, route in self._by_length.get(len(segments), ()):
            names: dict[str, str] = {}
            for word, segment in zip(pattern, segments, strict=True):
                if word.isupper():
                    names[word] = segment
                elif word != segment:
                    break
            else:
                if best is None or len(names) < best[0]:
                    best = (len(names), route, names)
        return None if best is None else best[1:]


def split(path: str) -> list[str]:
    """The segments of a path, decoded; without a slash at its end, and ``.`` and ``..`` carried out (HTTP-PROTO-28).

    Raises:
        Refusal: 400 or 404, it cannot be decoded.
    """
    if _ESCAPE.search(path):
        raise Refusal(400)
    segments: list[str] = []
    for part in path.removeprefix("/").split("/"):
        if part == "..":
            del segments[-1:]
        elif part != ".":
            segments.append(part)
    if len(segments) > 1 and not segments[-1]:
        del segments[-1]
    try:
        return [unquote_to_bytes(segment).decode() for segment in segments]
    except UnicodeDecodeError:
        raise object_not_found() from None
