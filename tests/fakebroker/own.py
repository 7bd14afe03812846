"""What an event tells that events of most other kinds do not."""

from hutch.fakebroker import Event
from hutch.fakebroker.history.event import OWN


def own(event: Event) -> object:
    """The value of the only field that its kind has, or the values of several; ``None`` for none."""
    values = tuple(getattr(event, name) for name in OWN.get(event.kind, ()))
    return values[0] if len(values) == 1 else values or None
