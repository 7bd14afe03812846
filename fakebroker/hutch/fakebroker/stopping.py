"""How a broker stops and starts again."""

from hutch.fakebroker.hub import Hub


def stop(hub: Hub) -> None:
    """:meth:`Administration.stop <hutch.fakebroker.Administration.stop>`."""
    hub.drain_clients()
    with hub.listeners.changing:
        if hub.closed:
            raise RuntimeError("the broker is closed")
        if hub.stopped:
            return
        hub.listeners.refuse()  # first, because a client that is closed may connect again at once
        with hub.turn as node:
            hub.stopped = True
            node.end_consumers()
            for session in list(hub.pipes.values()):
                session.cut()
            hub.listeners.cut_clients()
            node.stop()
        hub.listeners.flush()


def start(hub: Hub) -> None:
    """:meth:`Administration.start <hutch.fakebroker.Administration.start>`."""
    hub.home.check()
    with hub.listeners.changing:
        if hub.closed:
            raise RuntimeError("the broker is closed; it does not start again")
        if hub.stopped:
            with hub.turn as node:
                hub.stopped = False
                node.start()
            if not hub.refusing:
                hub.listeners.accept()


def start_soon(hub: Hub) -> None:
    """Start in a turn. The ports are open when the listeners have come to that."""
    if hub.stopped and not hub.closed:
        hub.stopped = False
        hub.node.start()
        if not hub.refusing:
            hub.listeners.accept_soon()


def restart(hub: Hub, downtime: float) -> None:
    """:meth:`Administration.restart <hutch.fakebroker.Administration.restart>`."""
    clock = hub.manual_clock
    if downtime and clock is None:
        raise TypeError(f"only a ManualClock can be moved on by a downtime of {downtime} s")
    stop(hub)
    try:
        if clock is not None:
            clock.advance(downtime)
    finally:
        start(hub)
