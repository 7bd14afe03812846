"""Bodies of requests: JSON, read as RabbitMQ reads it (HTTP-PROTO-15 to HTTP-PROTO-25)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hutch.fakebroker.management.errors import bad_request, crash
from hutch.fakebroker.management.profile import ManagementProfile

Body = Mapping[str, Any]

#: From how many characters on Erlang breaks a list over lines.
_LINE: Final = 80


def read_body(raw: bytes | None, profile: ManagementProfile) -> Body:
    """The object that a body is; an empty one where there is none.

    Raises:
        Refusal: 400, it is no JSON object, or is too large.
    """
    if raw is None:
        raise bad_request("Exceeded HTTP request body size limit")
    if not raw:
        return {}
    value = parse(raw, profile)
    if value is None:
        return {}
    if isinstance(value, str):
        raise bad_request(
            "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?"
        )
    if not isinstance(value, dict):
        raise bad_request("not_json")
    return value


def parse(raw: bytes, profile: ManagementProfile) -> Any:
    """JSON.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        text = raw.decode("utf-8" if profile.is_strict_json else "utf-8-sig")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise bad_request("not_json") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def require(body: Body, *keys: str) -> list[Any]:
    """The values of keys that have to be there.

    Raises:
        Refusal: 400 with those that are missing, in this order (HTTP-PROTO-21).
    """
    missing = [f"{{key_missing,{key}}}" for key in keys if key not in body]
    if missing:
        line = f"[{','.join(missing)}]"
        raise bad_request(line if len(line) < _LINE else line.replace("},{", "},\n {"))
    return [body[key] for key in keys]


def boolean(body: Body, key: str, default: bool = False) -> bool:
    """A boolean, or the text of one (HTTP-PROTO-23).

    Raises:
        Refusal: 400, it is neither.
    """
    value = body.get(key, default)
    if isinstance(value, bool):
        return value
    if value in {"true", "false"} if isinstance(value, str) else False:
        return bool(value == "true")
    raise bad_request(["not_boolean", value])


def integer(value: Any) -> int:
    """An integer, or the text of one (HTTP-PROTO-24).

    Raises:
        Refusal: 400, it is neither.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    try:
        return int(value) if isinstance(value, str) else int(_NOTHING)
    except ValueError:
        raise bad_request(["not_integer", value]) from None


_NOTHING: Final = ""


def text(value: Any) -> str:
    """A text.

    Raises:
        Refusal: 500, it is none.
    """
    if not isinstance(value, str):
        raise crash()
    return value


def words(value: Any) -> tuple[str, ...]:
    """Tags: a list, or texts with commas between them (HTTP-USER-03).

    Raises:
        Refusal: 500, it is neither.
    """
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return tuple(str(word) for word in value)
    raise crash()
