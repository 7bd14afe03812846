"""Names that the broker makes up, in RabbitMQ's form (QUEUE-DECLARE-03, CONSUME-01, RPC-05)."""

from base64 import b64encode, urlsafe_b64encode
from functools import cached_property
from random import Random
from typing import Final

from hutch.fakebroker.engine.state.values import NamesState

#: What RabbitMQ calls the node.
NODE_NAME: Final = "hutch@localhost"


class Names:
    """Draws from the generator it was given, so that the same seed gives the same names."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def _token(self) -> str:
        return urlsafe_b64encode(self._random.randbytes(16)).decode().rstrip("=")

    def dump(self) -> NamesState:
        """What names are drawn from, as data."""
        drawn = self.__dict__
        return NamesState(self._random.getstate(), drawn.get("_node"), drawn.get("_creation"))

    def load(self, state: NamesState) -> None:
        """Go on as what was dumped would."""
        self._random.setstate(state.random)
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
        process = self._node + self._random.randbytes(4) + bytes(4) + self._creation
        return f"amq.rabbitmq.reply-to.{b64encode(process).decode()}.{b64encode(self._random.randbytes(16)).decode()}"

    def is_process(self, term: bytes) -> bool:
        """Whether these bytes are a process of this node, as one stands in the names that replies go to."""
        return term.startswith(self._node) and len(term) == len(self._node) + 12

    @cached_property
    def _node(self) -> bytes:
        name = b"reply@%d" % self._random.randrange(1 << 27)
        return b"\x83Xv" + len(name).to_bytes(2) + name

    @cached_property
    def _creation(self) -> bytes:
        return self._random.randbytes(4)
