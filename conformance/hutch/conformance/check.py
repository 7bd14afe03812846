"""How cases compare: failures that say what was seen and what RabbitMQ does."""

from collections.abc import Mapping
from typing import Any, Final

from hutch.wire.codes import ReplyCode
from hutch.wire.fields import FieldValue, type_name

#: Length limit of a short string, in bytes.
_LONGEST: Final = 255


def equal(got: object, wanted: object, what: str = "") -> None:
    """Fail unless ``got == wanted``; ``what`` names the thing compared."""
    if got != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}expected {wanted!r}, got {got!r}")


def true(holds: object, what: str) -> None:
    """Fail with ``what``, a sentence that says what is wrong, unless ``holds``."""
    if not holds:
        raise AssertionError(what)


def reply_text(code: int, text: str) -> str:
    """The reply text as RabbitMQ writes it: the code's name, then the explanation if any, cut to 255 bytes."""
    name = str(ReplyCode(code))
    whole = f"{name} - {text}" if text else name
    raw = whole.encode()
    return whole if len(raw) <= _LONGEST else raw[: _LONGEST - 3].decode(errors="ignore") + "..."


def typed(value: FieldValue) -> Any:
    """A field value with its wire type beside it, in tables and arrays too; order in tables does not count."""
    if isinstance(value, Mapping):
        return {key: typed(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [typed(member) for member in value]
    return type_name(value), value


def same_table(got: FieldValue, wanted: FieldValue, what: str = "headers") -> None:
    """Fail unless two field tables hold the same keys, values and wire types."""
    equal(typed(got), typed(wanted), what)
