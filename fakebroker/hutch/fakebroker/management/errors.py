"""What the API answers when it does not do what it is asked for: status, ``error`` and ``reason``."""

import json
from typing import Any, Final

from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.management.messages import Response

JSON: Final = (("content-type", "application/json"),)


class Refusal(Exception):
    """An answer that ends a request. Without an ``error`` its body is empty."""

    def __init__(self, status: int, error: str | None = None, reason: object = "", *headers: tuple[str, str]) -> None:
        super().__init__(status, error, reason)
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = headers

    def response(self) -> Response:
        """It as an answer."""
        if self.error is None:
            return Response(self.status, headers=self.headers)
        return Response(self.status, compact({"error": self.error, "reason": self.reason}), (*JSON, *self.headers))


def compact(value: Any) -> bytes:
    """JSON as RabbitMQ writes it: no spaces (HTTP-PROTO-03)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode(
        "utf-8", "surrogateescape"
    )


def bad_request(reason: object) -> Refusal:
    """400 with a reason, text or a list."""
    return Refusal(400, "bad_request", reason)


def object_not_found() -> Refusal:
    """404 for a path, or for what the path names."""
    return Refusal(404, "Object Not Found", "Not Found")


def not_found(reason: str) -> Refusal:
    """404 with a reason."""
    return Refusal(404, "not_found", reason)


def not_authorised(reason: str) -> Refusal:
    """401 for who may not."""
    return Refusal(401, "not_authorised", reason)


def crash() -> Refusal:
    """500 where RabbitMQ's handler crashes (HTTP-PROTO-32)."""
    return Refusal(500)


def lacking(what: str) -> Refusal:
    """501: RabbitMQ has it and the emulator lacks it."""
    return Refusal(501, "not_implemented", f"the emulator lacks {what}")


def refusal_of(error: BrokerError) -> Refusal:
    """A broker's error, with the broker's text."""
    match error.name:
        case "ACCESS_REFUSED":
            return not_authorised("Access refused.")
        case "NOT_FOUND":
            return not_found(error.text)
        case "INTERNAL_ERROR":
            return crash()
        case _:
            return bad_request(error.text)
