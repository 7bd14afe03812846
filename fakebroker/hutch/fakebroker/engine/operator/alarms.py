"""Resource alarms (https://www.rabbitmq.com/docs/alarms): while one is raised, a connection that publishes is blocked
(CONN-BLOCK).
"""

from collections.abc import Callable
from typing import Final

#: The resources that a node may be low on.
RESOURCES: Final = ("memory", "disk")


class Alarms:
    """The alarms of one node; ``raised`` are the resources that it is low on."""

    def __init__(self) -> None:
        self.raised: Final[set[str]] = set()
        self._blocked: Final[dict[Callable[[], None], None]] = {}

    @staticmethod
    def check(resource: str) -> None:
        """Refuse what is no resource.

        Raises:
            ValueError: it is none.
        """
        if resource not in RESOURCES:
            raise ValueError(f"an alarm is for {' or '.join(map(repr, RESOURCES))}, not {resource!r}")

    @property
    def reason(self) -> str:
        """What connection.blocked says (CONN-BLOCK-02)."""
        return f"low on {' & '.join(sorted(self.raised))}"

    def wait(self, unblock: Callable[[], None]) -> None:
        """Have ``unblock`` called once no alarm is raised any more."""
        self._blocked[unblock] = None

    def forget(self, unblock: Callable[[], None]) -> None:
        """Undo :meth:`wait`; what does not wait is no error."""
        self._blocked.pop(unblock, None)

    def clear(self, resource: str) -> None:
        """End an alarm; with the last one, all who wait go on, in the order they came."""
        self.raised.discard(resource)
        while self._blocked and not self.raised:
            unblock = next(iter(self._blocked))
            del self._blocked[unblock]
            unblock()
