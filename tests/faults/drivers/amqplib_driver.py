"""amqplib on Node. One process has all connections, and is told line by line what to do."""

import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.drivers.driver import QUEUE, SEVERAL, TIMEOUT, Driver, Place, ToldError


class _Node:
    def __init__(self, ca: str) -> None:
        script = Path(__file__).with_suffix(".js")
        self._process = subprocess.Popen(
            [shutil.which("node") or "node", str(script), QUEUE, str(SEVERAL), str(int(TIMEOUT * 1000))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CA": ca},
        )
        self._numbers = count(1)
        self._waiting: dict[int, Future[str | None]] = {}
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self._waiting.pop(told["number"]).set_result(told["answer"])
        for waiting in self._waiting.values():
            waiting.set_result("the process ended")

    def ask(self, **what: Any) -> str | None:
        answer: Future[str | None] = Future()
        assert self._process.stdin is not None
        with self._sending:
            number = next(self._numbers)
            self._waiting[number] = answer
            self._process.stdin.write(json.dumps({"number": number, **what}) + "\n")
            self._process.stdin.flush()
        return answer.result()


_starting = threading.Lock()
_nodes: dict[str, _Node] = {}


def _node(ca: str) -> _Node:
    """The process, which can take steps. It ends with this one, which closes its standard input."""
    with _starting:
        if ca not in _nodes:
            _nodes[ca] = _Node(ca)
            _nodes[ca].ask(client=0, step="start", url="")
        return _nodes[ca]


class Amqplib(Driver):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._node = _node(place.ca)

    def _ask(self, step: str) -> None:
        url = f"{self.place.url}?heartbeat={self.place.heartbeat}"
        answer = self._node.ask(client=id(self), step=step, url=url)
        if answer is not None:
            raise ToldError(answer)

    def connect(self) -> None:
        self._ask("connect")

    def publish(self) -> None:
        self._ask("publish")

    def declare(self) -> None:
        self._ask("declare")

    def get(self) -> None:
        self._ask("get")

    def subscribe(self) -> None:
        self._ask("subscribe")

    def consume(self) -> None:
        self._ask("consume")

    def idle(self) -> None:
        self._ask("idle")

    def close(self) -> None:
        self._ask("close")
