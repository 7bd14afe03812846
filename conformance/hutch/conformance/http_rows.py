"""Cases of the management API as rows of a table: one request, and the answer that RabbitMQ gives to it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hutch.conformance.administration import PASSWORD
from hutch.conformance.case import PROFILES, case
from hutch.conformance.check import true
from hutch.conformance.rabbit import Rabbit

#: A request: method, path, and optionally a body to encode as JSON.
Request = tuple[Any, ...]
#: What a version answers: a status, and the body or a part of it.
Told = Mapping[str, Any]

#: Stands for a response body that is not compared.
ANY: Final = ...


def refusal(status: int, error: str, reason: object) -> tuple[int, object]:
    """The answer that refuses, in these words."""
    return status, {"error": error, "reason": reason}


def bad(reason: object) -> tuple[int, object]:
    """The answer to a bad request."""
    return refusal(400, "bad_request", reason)


def missing(reason: str) -> tuple[int, object]:
    """The answer that something is not there, in these words."""
    return refusal(404, "not_found", reason)


def unauthorised(reason: str) -> tuple[int, object]:
    """The answer to who may not."""
    return refusal(401, "not_authorised", reason)


#: The answer for a path that does not exist.
NOTHING: Final = refusal(404, "Object Not Found", "Not Found")
#: The answer if the user lacks a permission.
DENIED: Final = unauthorised("Access refused.")
CREATED: Final = (201, None)
DONE: Final = (204, None)
CRASHED: Final = (500, None)


def row(
    behaviour: str,
    name: str,
    summary: str,
    ask: Request,
    answer: tuple[int, object] | Mapping[str, tuple[int, object]],
    *,
    before: Sequence[Request] = (),
    user: Sequence[str] | None = None,
    permissions: tuple[str, str, str] | None = (".*", ".*", ".*"),
    profiles: Sequence[str] = PROFILES,
) -> None:
    """Add a case: the requests ``before`` succeed, then ``ask`` gets ``answer``, which may be one for each version.

    With ``user``, tags, a user with these asks, and has ``permissions`` in the case's virtual host, or none. In paths
    and texts of the answer, ``VHOST`` stands for the name of the virtual host and ``USER`` for the user's.
    """

    def play(rabbit: Rabbit) -> None:
        login = None
        names = {"VHOST": rabbit.vhost}
        http = rabbit.http
        if user is not None:
            made = rabbit.admin.add_user(*user)
            names["USER"] = made
            login = (made, PASSWORD)
            if permissions is not None:
                rabbit.admin.set_permissions(made, *permissions)
        for request in before:
            told = http(*_with_names(request, names))
            true(told.status < 300, f"{request[:2]} was answered by {told.status} {told.body!r}")
        status, body = answer[rabbit.profile] if isinstance(answer, Mapping) else answer
        http(*_with_names(ask, names), login=login).expect(status, _with_names(body, names))

    play.__name__ = play.__qualname__ = name
    play.__doc__ = summary
    frame = inspect.currentframe()
    caller = None if frame is None else frame.f_back
    play.__module__ = __name__ if caller is None else caller.f_globals["__name__"]
    case(behaviour, profiles=profiles)(play)


def _with_names(value: Any, names: Mapping[str, str]) -> Any:
    """The value, with names put in for the words that stand for them."""
    if isinstance(value, str):
        for word, name in names.items():
            value = value.replace(word, name)
        return value
    if isinstance(value, tuple | list):
        return type(value)(_with_names(inner, names) for inner in value)
    if isinstance(value, Mapping):
        return {key: _with_names(inner, names) for key, inner in value.items()}
    return value
