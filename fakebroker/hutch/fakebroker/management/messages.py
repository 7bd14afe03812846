"""A request of HTTP and its answer, as the API sees them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request. ``target`` is the path with its query, as it came. ``headers`` have lower-case names; of a repeated
    one the first counts. ``body`` is ``None`` where it was larger than the API takes. ``local`` tells a client on
    this machine.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = b""
    local: bool = True

    @property
    def media_type(self) -> str:
        """What the body is, in its own words; empty where it has none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Response:
    """One answer. ``stream`` gives the pieces of a body that has no end of its own."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncIterator[bytes] | None = None


CREATED = Response(201)
