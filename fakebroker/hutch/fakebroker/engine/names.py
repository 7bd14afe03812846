"""Names that the broker makes up, in RabbitMQ's form (QUEUE-DECLARE-03, CONSUME-01, RPC-05)."""

from base64 import b64encode, urlsafe_b64encode
from functools import cached_property
from hashlib import blake2b
from typing import Final

from hutch.fakebroker.engine.state.values import NamesState

#: What RabbitMQ calls the node.
NODE_NAME: Final = "hutch@localhost"


class Names:
    """Hashes the seed with a count, so that the same seed gives the same names. To make a ``random.Random`` takes ten
    times as long as a name.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0

    def _draw(self, size: int) -> bytes:
        self._drawn += 1
        return blake2b(f"{self._seed} {self._drawn}".encode(), digest_size=size).digest()

    def _token(self) -> str:
        return urlsafe_b64encode(self._draw(16)).decode().rstrip("=")

    def dump(self) -> NamesState:
        """What names are drawn from, as data."""
        known = self.__dict__
        return NamesState(self._seed, self._drawn, known.get("_node"), known.get("_creation"))

    def load(self, state: NamesState) -> None:
        """Go on as what was dumped would."""
        self._seed, self._drawn = state.seed, state.drawn
        for name, value in (("_node", state.node), ("_creation", state.creation)):
            if value is not None:
                self.__dict__[name] = value

    def queue(self) -> str:
        """``amq.gen-`` and 22 characters."""
        return f"amq.gen-{self._token()}"

    def consumer_tag(self) -> str:
        """``amq.ctag-`` and 22 characters."""
        return f"amq.ctag-{self._token()}"

    def reply_to(self) -> str:
        """``amq.rabbitmq.reply-to.``, a process as Erlang writes it to the wire, a dot and a key, both in base64."""
        process = self._node + self._draw(4) + bytes(4) + self._creation
        return f"amq.rabbitmq.reply-to.{b64encode(process).decode()}.{b64encode(self._draw(16)).decode()}"

    def is_process(self, term: bytes) -> bool:
        """Whether these bytes are a process of this node, as one stands in the names that replies go to."""
        return term.startswith(self._node) and len(term) == len(self._node) + 12

    @cached_property
    def _node(self) -> bytes:
        name = b"reply@%d" % (int.from_bytes(self._draw(4)) % (1 << 27))
        return b"\x83Xv" + len(name).to_bytes(2) + name

    @cached_property
    def _creation(self) -> bytes:
        return self._draw(4)
