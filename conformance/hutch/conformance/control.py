"""What a case may have the broker itself go through, which everybody who is connected to it notices."""

import base64
import re
import shlex
import subprocess
import time
from typing import Final, Protocol

#: Timeout of one rabbitmqctl call, in seconds.
_PATIENCE: Final = 25


class ControlError(Exception):
    """rabbitmqctl cannot be run, or fails; one line that says why."""


class Control(Protocol):
    """One broker under a case's control: the emulator's operator, :attr:`Broker.admin
    <hutch.fakebroker.Broker.admin>`, or a live one's. What is done to a live one is undone when the case ends.
    """

    def restart(self, downtime: float = 0.0) -> None:
        """Stop the broker, let so many seconds pass, and start it again; see :meth:`Rabbit.restart
        <hutch.conformance.rabbit.Rabbit.restart>`.
        """

    def stop(self) -> None:
        """Stop the broker, until :meth:`start`."""

    def start(self) -> None:
        """Start it again."""

    def raise_alarm(self, resource: str) -> None:
        """Have the broker be low on a resource, ``"memory"`` or ``"disk"``."""

    def clear_alarm(self, resource: str) -> None:
        """End that alarm."""

    def trace_on(self, vhost: str) -> None:
        """Switch the firehose on in a virtual host."""

    def trace_off(self, vhost: str) -> None:
        """Switch it off."""


class RabbitmqCtl:
    """A live broker, by rabbitmqctl (https://www.rabbitmq.com/docs/man/rabbitmqctl.8).

    ``command`` is the command line, as a shell would split it, that is rabbitmqctl for that very node.
    """

    def __init__(self, command: str) -> None:
        try:
            self._command: Final = shlex.split(command)
        except ValueError as error:
            raise ControlError(f"{command!r} is no command line: {error}") from None
        self._alarms: Final[dict[str, None]] = {}
        self._traced: Final[dict[str, None]] = {}

    def cluster_name(self) -> str:
        """The name that the broker's clients are told, too."""
        # Erlang prints a binary that is not ASCII as a list of numbers.
        printed = self._eval("base64:encode(rabbit_nodes:cluster_name())")
        if not (name := re.fullmatch('<<"(.*)">>', printed)):
            raise ControlError(f"rabbitmqctl eval printed {printed!r}, not the cluster's name")
        return base64.b64decode(name[1]).decode()

    def restart(self, downtime: float = 0.0) -> None:
        """Stop the broker within the node, and start it again (stop_app, start_app), also after an error."""
        try:
            self.stop()
            time.sleep(downtime)
        finally:
            self.start()

    def stop(self) -> None:
        """Stop the broker within the node."""
        self._run("stop_app")

    def start(self) -> None:
        """Start it again."""
        self._run("start_app")

    def raise_alarm(self, resource: str) -> None:
        """Have the broker be low on a resource."""
        self._alarms[resource] = None
        self._eval(f"rabbit_alarm:set_alarm({{{{resource_limit, {resource}, node()}}, []}})")

    def clear_alarm(self, resource: str) -> None:
        """End that alarm."""
        self._alarms.pop(resource, None)
        self._eval(f"rabbit_alarm:clear_alarm({{resource_limit, {resource}, node()}})")

    def trace_on(self, vhost: str) -> None:
        """Switch the firehose on in a virtual host."""
        self._traced[vhost] = None
        self._run("trace_on", "--vhost", vhost)

    def trace_off(self, vhost: str) -> None:
        """Switch it off."""
        self._traced.pop(vhost, None)
        self._run("trace_off", "--vhost", vhost)

    def undo(self) -> None:
        """Leave the broker as a case found it."""
        for vhost in list(self._traced):
            self.trace_off(vhost)
        for resource in list(self._alarms):
            self.clear_alarm(resource)

    def _eval(self, expression: str) -> str:
        return self._run("eval", f"{expression}.")

    def _run(self, *arguments: str) -> str:
        """What rabbitmqctl prints, without the blanks around."""
        command = [*self._command, *arguments]
        try:
            # The process group of its own keeps Ctrl-C from stopping rabbitmqctl halfway.
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_PATIENCE, check=False, process_group=0
            )
        except OSError as error:
            raise ControlError(f"{shlex.join(self._command)} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise ControlError(f"rabbitmqctl {arguments[0]} has not ended after {_PATIENCE} s") from None
        if done.returncode:
            told = (done.stderr + done.stdout).split("\n")[0] or "it says nothing"
            raise ControlError(f"rabbitmqctl {arguments[0]} gave exit status {done.returncode}: {told}")
        return done.stdout.strip()
