"""What a message can be routed to, and who publishes it there."""

from abc import abstractmethod
from typing import ClassVar

from hutch.fakebroker.engine.message import Message
from hutch.fakebroker.engine.origin import Origin
from hutch.wire.interfaces import mypyc_attr


class Standing:
    """What a publisher knows of a quorum queue (QUORUM-13).

    ``is_full`` is what it has heard, ``told`` what the queue has told it last, which may be on its way. ``arriving`` is
    how many of its messages the queue has not received, because it registers the publisher first; ``None`` before the
    first message.
    """

    __slots__ = ("arriving", "is_full", "told")

    def __init__(self, is_full: bool) -> None:
        self.is_full = self.told = is_full
        self.arriving: int | None = None

    def hear(self, is_full: bool) -> None:
        """The queue's word arrives."""
        self.is_full = is_full


@mypyc_attr(allow_interpreted_subclasses=True)
class Publisher:
    """Who publishes to a queue and is told when it is full: a channel, or what forwards a queue's dead letters."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it has ended."""

    @property
    @abstractmethod
    def reference(self) -> Origin | str:
        """What it is in the state of a node: the origin of a channel, or the name of a queue."""

    @abstractmethod
    def tell(self, standing: Standing, is_full: bool) -> None:
        """Have ``standing`` hear a queue's word, when the publisher comes to that."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Target:
    """What a message can be routed to: a queue, or a name that replies are sent to."""

    #: Whether the target refuses a message before it sees it.
    refuses_at_once: ClassVar[bool] = False

    name: str
    #: Whether the target has ended and takes no messages.
    deleted: bool

    @abstractmethod
    def publish(self, message: Message, publisher: Publisher | None = None) -> bool:
        """Take in a message, and hand it on at once where a consumer waits; ``False`` if it is refused. ``publisher``
        is who is told, by a confirm for example, ``None`` if nobody is.
        """

    def publish_dead(self, message: Message, publisher: Publisher | None = None) -> bool:
        """The same for a dead letter."""
        return self.publish(message, publisher)
