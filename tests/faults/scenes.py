"""What goes wrong, and what a library makes of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from hutch import client
from hutch.fakebroker import Broker
from hutch.fakebroker.faults import Fault
from tests import certificates
from tests.faults.drivers import DRIVERS
from tests.faults.drivers.driver import QUEUE, Driver, Place, Redelivered, ToldError

#: Time limit of one step, in real seconds. A step that takes longer counts as waiting.
LIMIT = 3.0
#: Time limit for recovery, in seconds.
RECOVERY = 1.0
#: Seconds within which a library must notice silence, with heartbeats every second.
HEARTBEATS_LIMIT = 15.0
#: Number of messages in the queue for steps that get or consume.
STOCK = 50
SUCCEEDS, TWICE, WAITS = "succeeds", "succeeds twice", "waits"
ONE_ADDRESS = "takes one address"
REDELIVERED = str(Redelivered())
#: Outcomes that the page explains. All other outcomes are a library's own words.
WORDS = {SUCCEEDS, TWICE, WAITS, ONE_ADDRESS, REDELIVERED, "cancelled", "returned"}


@dataclass(frozen=True)
class Scene:
    """A fault, and the step of a library that meets it. ``undo`` is what ends it, beside ``Fault.end``."""

    call: str
    step: str = "publish"
    undo: str = ""
    #: The step after the fault; by default the step itself.
    then: str = ""
    #: Whether the library needs a list of addresses.
    needs_list: bool = False
    heartbeat: int = 0
    limit: float = LIMIT

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.step}: {self.call}"


def _scenes(step: str, *calls: str | tuple[str, str]) -> list[Scene]:
    return [Scene(call, step) if isinstance(call, str) else Scene(call[0], step, call[1]) for call in calls]


SCENES = (
    *_scenes(
        "connect",
        "faults.connecting().refuse()",
        "faults.connecting(times=1).stay_silent()",
        "faults.connecting(times=1).end()",
        'faults.next("connection.start-ok").refuse_login()',
        'faults.next("connection.open").close_connection(530)',
        'faults.next("connection.open").never_answer()',
        ('admin.set_permissions("guest", configure="")', 'admin.set_permissions("guest")'),
    ),
    Scene("nodes[0].stop()", "connect", "nodes[0].start()", needs_list=True),
    *_scenes(
        "publish",
        "faults.connections(times=1).cut(after=10)",
        "faults.connections(times=1).cut_inside_frame()",
        "faults.connections(times=1).black_hole()",
        'faults.connections(times=1).black_hole("to_client")',
        'faults.connections(times=1).black_hole("from_client")',
        "faults.connections().delay(0.1)",
        "faults.connections().throttle(bytes_per_second=1000)",
        'faults.next("basic.publish").reset_connection()',
        'faults.next("basic.publish").reset_connection(carry_out=True)',
        'faults.next("basic.publish").end_connection()',
        'faults.next("basic.publish").close_connection(320)',
        'faults.next("basic.publish").close_channel(406, "no")',
        'faults.next("basic.publish").hold_back(0.2)',
        'faults.next("basic.publish").lose()',
        'faults.next("basic.publish").nack()',
        'faults.next("basic.publish").never_confirm()',
        'faults.next("basic.publish").confirm_late(0.2)',
        'faults.on("basic.publish").confirm_singly()',
        'faults.on("basic.publish").confirm_in_batches(2, 0.2)',
        'faults.next("basic.publish").return_unroutable()',
        ('admin.raise_alarm("memory")', 'admin.clear_alarm("memory")'),
        (
            'admin.set_policy("full", "^orders$", {"max-length": 0, "overflow": "reject-publish"})',
            'admin.delete_policy("full")',
        ),
        'faults.next("basic.publish").call(admin.restart)',
        ('faults.next("basic.publish").call(admin.stop)', "admin.start()"),
    ),
    Scene('faults.next("basic.publish").call(nodes[0].stop)', "publish", "nodes[0].start()", needs_list=True),
    *_scenes(
        "declare",
        'faults.next("queue.declare").never_answer()',
        'faults.next("queue.declare").answer_late(0.2)',
    ),
    *_scenes(
        "get",
        'faults.next("basic.get").never_answer()',
        'faults.next("basic.get").close_channel(404, "no")',
        'faults.next("basic.get").close_connection(320)',
    ),
    *_scenes(
        "consume",
        'faults.next("basic.deliver").hold_back(0.2)',
        'faults.next("basic.deliver").cancel_consumer()',
        'faults.next("basic.ack").lose()',
        'faults.next("basic.ack").reset_connection()',
        'faults.next("basic.ack").close_channel(406, "no")',
        'faults.next("basic.ack").close_connection(320)',
        ('admin.delete_queue("orders")', "fill()"),
    ),
    *(Scene(f"faults.connections().{end}()", "idle", then="publish") for end in ("reset", "end", "close")),
    Scene("faults.connections().stop_heartbeats()", "idle", then="publish", heartbeat=1, limit=HEARTBEATS_LIMIT),
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


@dataclass
class _Stage:
    """A broker, a library, and what goes wrong between them."""

    scene: Scene
    broker: Broker
    driver: Driver
    names: dict[str, Any]
    steps: list[_Step] = field(default_factory=list)

    def meet(self) -> Outcome:
        """Have the library meet the fault."""
        scene = self.scene
        step, fault = self._first()
        first = step.outcome(scene.limit)
        if first == SUCCEEDS and self._ready() > 1:
            first = TWICE
        if isinstance(fault, Fault):
            fault.end()
            if not fault.hits and fault.is_seen:
                raise AssertionError(f"{scene.name}: the fault did not happen")
        if scene.undo:
            eval(scene.undo, self.names)
        if first == WAITS and step.outcome(RECOVERY) == WAITS:
            return Outcome(first, WAITS)
        return Outcome(first, self._again(getattr(self.driver, scene.then or scene.step)))

    def _first(self) -> tuple[_Step, object]:
        """The step that meets the fault, and that."""
        kind, driver = self.scene.step, self.driver
        if kind != "connect":
            self._prepare(driver.connect)
        if kind == "get":
            self.fill()
        if kind == "consume":
            self._prepare(driver.subscribe)
        step = self._begin(driver.idle) if kind == "idle" else None
        fault = eval(self.scene.call, self.names)
        if kind == "consume" and isinstance(fault, Fault):
            self.fill()
        return step or self._begin(getattr(driver, kind)), fault

    def _ready(self) -> int:
        """How many messages wait in the queue."""
        return self.broker.queue(QUEUE).ready if self.scene.step == "publish" else 0

    def _begin(self, action: Callable[[], None]) -> _Step:
        self.steps.append(_Step(action))
        return self.steps[-1]

    def _prepare(self, action: Callable[[], None]) -> None:
        outcome = self._begin(action).outcome()
        if outcome != SUCCEEDS:
            raise AssertionError(f"{self.scene.name}: {outcome} before there is a fault")

    def _again(self, action: Callable[[], None]) -> str:
        deadline, pause = monotonic() + RECOVERY, threading.Event()
        while True:
            outcome = self._begin(action).outcome()
            if outcome in {SUCCEEDS, WAITS, REDELIVERED} or monotonic() > deadline:
                return outcome
            pause.wait(0.05)

    def fill(self) -> None:
        """Put messages into the queue."""
        with client.Connection(transport=self.broker.transport) as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)
            for _ in range(STOCK):
                channel.basic_publish(client.Message("one"), routing_key=QUEUE)

    def end(self) -> None:
        """End what waits, and let go of everything."""
        self.broker.faults.clear()
        if any(step.outcome(0) == WAITS for step in self.steps):
            self.broker.admin.close_connections()
            for step in self.steps:
                step.outcome(RECOVERY)
        _Step(self.driver.close).outcome()


def play(library: str, way: str, scene: Scene, ca: str) -> Outcome:
    """Have a library meet a fault."""
    kind = DRIVERS[library]
    if scene.needs_list and not kind.takes_list:
        return Outcome(ONE_ADDRESS, ONE_ADDRESS)
    with Broker() as broker:
        nodes = [broker.add_node(context=certificates.server_context() if way == "TLS" else None) for _ in range(2)]
        urls = [node.url.rstrip("/") for node in nodes]
        place = Place(broker, way, ca, urls if scene.needs_list else urls[:1], scene.heartbeat)
        stage = _Stage(scene, broker, kind(place), {"faults": broker.faults, "admin": broker.admin, "nodes": nodes})
        stage.names["fill"] = stage.fill
        try:
            return stage.meet()
        finally:
            stage.end()


def write_authority(folder: Path) -> str:
    """The file with the certificate of the tests' authority."""
    return certificates.write(folder).ca
