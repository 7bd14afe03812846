"""What goes wrong, and what a library makes of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from hutch.fakebroker import Broker
from hutch.fakebroker.faults import Fault, Faults
from tests import certificates
from tests.faults.drivers import DRIVERS, Driver, Place, ToldError

#: How long a library may take for one step, real seconds; what takes longer counts as waiting.
LIMIT = 3.0
#: How long it may take to recover.
RECOVERY = 1.0
SUCCEEDS, WAITS = "succeeds", "waits"


@dataclass(frozen=True)
class Scene:
    """A fault. It is made before the library opens its connection, or between that and a publish."""

    call: str
    make: Callable[[Faults], Fault]
    opening: bool = False


def _scene(call: str, *, opening: bool = False) -> Scene:
    """The call is what the page shows, and what is done."""
    return Scene(call, lambda faults: eval(call, {"faults": faults}), opening)


SCENES = (
    _scene("faults.connecting().refuse()", opening=True),
    _scene("faults.connecting(times=1).stay_silent()", opening=True),
    _scene("faults.connecting(times=1).end()", opening=True),
    _scene('faults.next("connection.start-ok").refuse_login()', opening=True),
    _scene('faults.next("connection.open").close_connection(530)', opening=True),
    _scene("faults.connections(times=1).cut_inside_frame()"),
    _scene("faults.connections(times=1).black_hole()"),
    _scene("faults.connections().delay(0.1)"),
    _scene('faults.next("basic.publish").reset_connection()'),
    _scene('faults.next("basic.publish").end_connection()'),
    _scene('faults.next("basic.publish").close_connection(320)'),
    _scene('faults.next("basic.publish").close_channel(406, "no")'),
    _scene('faults.next("basic.publish").nack()'),
    _scene('faults.next("basic.publish").never_confirm()'),
    _scene('faults.next("basic.publish").confirm_late(0.2)'),
    _scene('faults.next("basic.publish").return_unroutable()'),
)


class Outcome(NamedTuple):
    """What came of the step that meets the fault, and of that step when the fault has ended, for a second at most."""

    first: str
    again: str


class _Step:
    """One step of a library, in a thread: some never return."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._outcome = WAITS
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._action()
        except ToldError as error:
            self._outcome = str(error)
        except Exception as error:
            self._outcome = _name(error)
        else:
            self._outcome = SUCCEEDS

    def outcome(self, seconds: float = LIMIT) -> str:
        """What came of it."""
        self._thread.join(seconds)
        return self._outcome


def _name(error: Exception) -> str:
    """Its class. How a connection is lost differs with the moment, so all such errors of the system have one name."""
    is_loss = isinstance(error, OSError) and not isinstance(error, TimeoutError | ConnectionRefusedError)
    return "OSError" if is_loss and type(error).__module__ in {"builtins", "ssl"} else type(error).__name__


def play(library: str, way: str, scene: Scene, ca: str) -> Outcome:
    """Have a library meet a fault."""
    with Broker() as broker:
        if way != "in-process":
            broker.listen()
        if way == "TLS":
            broker.listen_tls(certificates.server_context())
        driver = DRIVERS[library](Place(broker, way, ca))
        steps: list[_Step] = []
        try:
            return _meet(driver, scene, broker, steps)
        finally:
            broker.faults.clear()
            if any(step.outcome(0) == WAITS for step in steps):
                broker.admin.close_connections()  # ends what waits
                for step in steps:
                    step.outcome()
            _Step(driver.close).outcome()


def _meet(driver: Driver, scene: Scene, broker: Broker, steps: list[_Step]) -> Outcome:
    def step(action: Callable[[], None]) -> str:
        steps.append(_Step(action))
        return steps[-1].outcome()

    if not scene.opening:
        opened = step(driver.open)
        if opened != SUCCEEDS:
            raise AssertionError(f"the connection does not open: {opened}")
    pause = threading.Event()
    fault = scene.make(broker.faults)
    action = driver.open if scene.opening else driver.publish
    first = step(action)
    fault.end()
    again, deadline = first, monotonic() + RECOVERY
    while first != WAITS:
        again = step(action)
        if again in {SUCCEEDS, WAITS} or monotonic() > deadline:
            break
        pause.wait(0.05)
    return Outcome(first, again)


def write_authority(folder: Path) -> str:
    """The file with the certificate of the tests' authority."""
    return certificates.write(folder).ca
