"""The ids of every method, by py-amqp's names: ``spec.Queue.DeclareOk`` is ``(50, 11)``.

One name for each class of AMQP, with ``CLASS_ID`` and a pair of class id and method id for each of its methods.
"""

from types import SimpleNamespace

from hutch.wire.methods import METHODS

__all__ = ["Basic", "Channel", "Confirm", "Connection", "Exchange", "Queue", "Tx"]


def _class(name: str) -> SimpleNamespace:
    kinds = [kind for kind in METHODS.values() if kind.__name__.startswith(name)]
    pairs = {kind.__name__.removeprefix(name): (kind.CLASS_ID, kind.METHOD_ID) for kind in kinds}
    return SimpleNamespace(CLASS_ID=kinds[0].CLASS_ID, **pairs)


Connection = _class("Connection")
Channel = _class("Channel")
Exchange = _class("Exchange")
Queue = _class("Queue")
Basic = _class("Basic")
Confirm = _class("Confirm")
Tx = _class("Tx")
