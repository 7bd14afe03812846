"""The topic exchange: words between dots; ``*`` is one word, ``#`` any number of them, none included (EXCH-TOPIC)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.bindings import Binding, Destination, Router
from hutch.fakebroker.engine.errors import precondition_failed
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.message import Message
from hutch.wire.fields import FieldTable

if TYPE_CHECKING:
    from hutch.fakebroker.engine.exchanges.exchange import Exchange
    from hutch.fakebroker.engine.node import Node


class _Node:
    __slots__ = ("children", "destinations")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.destinations: dict[tuple[object, ...], Destination] = {}


def _words(key: str) -> list[str]:
    # The empty key has no words at all, while "." has two empty ones (EXCH-TOPIC-03, EXCH-TOPIC-04).
    return key.split(".") if key else []


class TopicRouter(Router):
    """A trie over the words of the binding keys, so that bindings that cannot match cost nothing."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, binding: Binding) -> None:
        """Take in a binding."""
        node = self._root
        for word in _words(binding.routing_key):
            node = node.children.setdefault(word, _Node())
        node.destinations[binding.identity] = binding.destination

    def remove(self, binding: Binding) -> None:
        """Take out a binding, and the branch that only it needed."""
        words = _words(binding.routing_key)
        path = [self._root]
        for word in words:
            path.append(path[-1].children[word])
        del path[-1].destinations[binding.identity]
        for parent, word, node in zip(reversed(path[:-1]), reversed(words), reversed(path[1:]), strict=True):
            if node.children or node.destinations:
                break
            del parent.children[word]

    def route(self, routing_key: str, _message: Message) -> Iterable[Destination]:
        """The destinations whose pattern matches."""
        words = _words(routing_key)
        end = len(words)
        found: dict[tuple[object, ...], Destination] = {}
        # A node may be reached with the same words left over by several ways through "#"; it is looked at once.
        seen: set[tuple[_Node, int]] = set()
        todo = [(self._root, 0)]
        while todo:
            node, at = place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            children = node.children
            if at == end:
                found.update(node.destinations)
            elif children:
                # Wildcards in the published key are plain words (EXCH-TOPIC-06), those of the trie are not.
                child = children.get(words[at])
                if child is not None and words[at] not in {"*", "#"}:
                    todo.append((child, at + 1))
                if child := children.get("*"):
                    todo.append((child, at + 1))
            if hash_child := children.get("#"):
                todo.extend((hash_child, rest) for rest in range(at, end + 1))
        return found.values()


def _check_key(
    _exchange: "Exchange", node: "Node", _destination: Destination, key: str, _arguments: FieldTable
) -> None:
    """Refuse a key with more ``#`` words than the profile takes.

    Raises:
        BrokerError: 406.
    """
    most, count = node.profile.exchanges.max_hash_words, _words(key).count("#")
    if most is not None and count > most:
        raise precondition_failed(f"Topic binding key '{key}' uses {count} '#' wildcards, at most {most} are allowed")


TOPIC: Final = ExchangeType(lambda _exchange, _vhost: TopicRouter(), check_binding=_check_key)
