"""Users as RabbitMQ's files and its HTTP API describe them (HTTP-USER-01 to HTTP-USER-10)."""

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hutch.fakebroker.definitions.refusals import InvalidDefinitions, Wording
from hutch.fakebroker.engine.access.accounts import put_user, set_user_limit
from hutch.fakebroker.engine.access.limits import USER_LIMITS
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD, SHA256, PasswordHash
from hutch.fakebroker.engine.origin import Origin
from hutch.fakebroker.erlang.terms import print_json, print_unicode

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node


def put_described_user(node: "Node", by: Origin, item: Mapping[str, Any], wording: Wording) -> None:
    """Create or change a user: tags, a password or its hash, limits.

    Raises:
        InvalidDefinitions: something is missing, or wrong.
    """
    if "name" not in item:
        raise InvalidDefinitions("{badkey,name}" if wording.profile.prints_terms else ["badkey", "name"])
    name, tags = item["name"], _tags(item)
    limits = item.get("limits") or {}
    _check_limits(limits, wording)
    password = _password(node, item, wording)
    put_user(node, by, name, NO_PASSWORD if password is None else password, tags)
    if password is not None:
        for limit, value in limits.items():
            set_user_limit(node, by, name, limit, value)


def _tags(item: Mapping[str, Any]) -> list[str]:
    if "tags" not in item:
        if item.get("administrator") is True:  # as in files of RabbitMQ 2
            return ["administrator"]
        raise InvalidDefinitions("tags_not_present")
    tags = item["tags"]
    if isinstance(tags, str):
        return [tag.strip() for tag in tags.split(",") if tag.strip()]
    if isinstance(tags, list):
        return list(map(str, tags))
    raise InvalidDefinitions("badarg")


def _password(node: "Node", item: Mapping[str, Any], wording: Wording) -> PasswordHash | None:
    """What to keep; ``None`` without password and hash, which leaves an existing user without any (HTTP-USER-08)."""
    if "password" in item:
        if "password_hash" in item:
            raise InvalidDefinitions("both_password_and_password_hash_are_provided")
        if not isinstance(item["password"], str):
            raise InvalidDefinitions("badarg")
        return node.hash_password(item["password"])
    if "password_hash" not in item:
        return None
    given = item["password_hash"]
    try:
        salted = base64.b64decode(given, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise wording.term("not_base64", given) from None
    return PasswordHash(salted, item.get("hashing_algorithm", SHA256))


def _check_limits(limits: Mapping[str, Any], wording: Wording) -> None:
    for limit, value in limits.items():
        problem = None
        if limit not in USER_LIMITS:
            term = f"{{{print_unicode(limit)},{_shown(value)}}}"
            problem = f'"Unrecognised terms ~tp in ~ts",\n          [[{term}],<<"user-limits">>]'
        elif not isinstance(value, int) or isinstance(value, bool):
            terms = f"{print_unicode(limit)},{_shown(value)}"
            problem = f'"~ts should be a number, actually was ~tp",\n          [{terms}]'
        if problem is not None:
            raise InvalidDefinitions(f"{{errors,[{{{problem}}}]}}", crashes=not wording.profile.prints_terms)


def _shown(value: Any) -> str:
    return print_json(value, text=print_unicode)
