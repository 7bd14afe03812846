"""What is wrong with definitions, in RabbitMQ's words: the reason that its HTTP API gives (HTTP-DEFS-10 to 21)."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.erlang.terms import print_latin, print_unicode

if TYPE_CHECKING:
    from hutch.fakebroker.definitions.profile import DefinitionsProfile


class InvalidDefinitions(ValueError):
    """RabbitMQ refuses the definitions. ``reason`` is what its HTTP API answers with 400: a text, or JSON. Where it
    crashes on them, and answers 500 without a word, ``crashes`` is set, and the reason is the emulator's.
    """

    def __init__(self, reason: Any, *, crashes: bool = False) -> None:
        super().__init__(reason if isinstance(reason, str) else readable(reason))
        self.reason = reason
        self.crashes = crashes


def readable(reason: Any) -> str:
    """A reason that is JSON, in a line. Texts in it may stand as numbers of characters."""
    if isinstance(reason, list):
        if reason and all(isinstance(each, int) for each in reason) and len(reason) > 1:
            return "".join(map(chr, reason))
        return " ".join(map(readable, reason))
    return str(reason)


@dataclass(frozen=True)
class Wording:
    """How a version words its reasons, for definitions of the whole broker or of one virtual host."""

    profile: "DefinitionsProfile"
    one_vhost: bool

    def term(self, name: str, *values: str | int | Sequence[Any]) -> InvalidDefinitions:
        """A tuple of Erlang: ``{no_such_user,<<"ann">>}``."""
        if self.profile.prints_terms:
            return InvalidDefinitions(f"{{{','.join([name, *map(_printed, values)])}}}")
        return InvalidDefinitions([name, *values])

    def no_vhost(self, name: object) -> InvalidDefinitions:
        """There is no virtual host of the name, or an item has no name of one."""
        if self.profile.prints_terms:
            if not isinstance(name, str):
                return InvalidDefinitions("an item has no vhost", crashes=True)
            return InvalidDefinitions(f'Please create virtual host "{name}" prior to importing definitions.')
        return InvalidDefinitions(["no_such_vhost", name if isinstance(name, str) else "undefined"])

    def pattern(self, pattern: str, problem: str, place: int, *, as_text: bool) -> InvalidDefinitions:
        """A permission is no regular expression; ``as_text`` is how those of queues and exchanges are kept."""
        if self.profile.prints_terms:
            shown = print_unicode(pattern)
            shown = shown.removeprefix("<<").removesuffix(">>") if as_text else shown
            return InvalidDefinitions(f'{{invalid_regexp,{shown},{{"{problem}",{place}}}}}')
        return InvalidDefinitions(
            ["invalid_regexp", list(map(ord, pattern)) if as_text else pattern, [list(map(ord, problem)), place]]
        )

    def broker(self, error: BrokerError) -> InvalidDefinitions:
        """A queue, exchange or binding is refused."""
        name = error.name.lower()
        if self.profile.prints_terms or self.one_vhost:
            return InvalidDefinitions(f"{name}: {error.text}")
        return InvalidDefinitions(["amqp_error", name, list(map(ord, error.text)), "none"])

    def validation(self, text: str, vhost: str, name: str, component: str | None = None) -> InvalidDefinitions:
        """A policy or parameter is refused."""
        if self.profile.prints_terms:
            inside = "" if component is None else f' / component: "{component}" /'
            return InvalidDefinitions(f'{text} (vhost: "{vhost}"{inside} key: "{name}")')
        where = "/".join(part for part in (vhost, component, name) if part is not None)
        told = html.escape(f"{text} ({where})", quote=False)
        return InvalidDefinitions(print_latin(told) if self.one_vhost else told)

    def unnamed_policy(self, vhost: str) -> InvalidDefinitions:
        """A policy has no name."""
        text = f"policy in virtual host '{vhost}' has undefined name"
        return InvalidDefinitions(f'"{text}"' if self.profile.prints_terms or self.one_vhost else text)

    def too_many_queues(self, vhost: str, more: int, limit: int, there: int) -> InvalidDefinitions:
        """The queues are more than the virtual host may have."""
        text = (
            f'Adding {more} queue(s) to virtual host "{vhost}" would exceed the limit of {limit} queue(s).\n\n'
            f"This virtual host currently has {there} queue(s) defined.\n\nImport aborted!"
        )
        return InvalidDefinitions(text if self.profile.prints_terms else ["vhost_limit_exceeded", list(map(ord, text))])

    def missing(self, vhost: str, ends: Sequence[tuple[str, str]]) -> InvalidDefinitions:
        """A binding's ends are not there: kinds and names."""
        told = [
            f"{{not_found,{{resource,{print_unicode(vhost)},{kind},{print_unicode(name)}}}}}" for kind, name in ends
        ]
        line = f"{{resources_missing,[{','.join(told)}]}}"
        if len(line) < _LINE:
            return InvalidDefinitions(line)
        if max(map(len, told)) > _LINE - 8:
            where = f"{{not_found,\n         {{resource,{print_unicode(vhost)}"
            told = [f"{where},{kind},\n             {print_unicode(name)}}}}}" for kind, name in ends]
        return InvalidDefinitions(f"{{resources_missing,\n    [{f',{chr(10)}     '.join(told)}]}}")


#: The width at which Erlang breaks a line, in characters.
_LINE = 80


def _printed(value: str | int | Sequence[Any]) -> str:
    return print_unicode(value) if isinstance(value, str) else str(value)
