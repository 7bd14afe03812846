"""Faults for commands: what a client sends on its channels, and deliveries."""

from collections.abc import Callable, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.engine.consumers import Consumer
from hutch.fakebroker.engine.operator.alarms import Alarms
from hutch.fakebroker.faults import publishes
from hutch.fakebroker.faults.cancelling import cancel, consumers_of
from hutch.fakebroker.faults.criteria import is_of_command, is_of_connection
from hutch.fakebroker.faults.fault import Fault, When
from hutch.fakebroker.faults.gate import Command, SessionGate, answers
from hutch.wire.codes import ReplyCode
from hutch.wire.methods import (
    BasicAck,
    BasicConsume,
    BasicDeliver,
    BasicNack,
    BasicPublish,
    BasicReject,
    ConnectionStartOk,
    Method,
)

if TYPE_CHECKING:
    from hutch.fakebroker.faults.faults import Faults
    from hutch.fakebroker.hub import Hub

Action = Callable[[SessionGate, Command, Fault], None]
#: Whether a fault is for commands of a channel. ``None`` means the connection's.
Condition = Callable[[Channel | None], bool]

_HAS_CONSUMER: Final = (BasicAck, BasicNack, BasicReject, BasicDeliver, BasicConsume)


class CommandFault(Fault):
    """A fault that happens to commands."""

    def __init__(
        self,
        hub: "Hub",
        text: str,
        when: When,
        method: type[Method],
        asked: Mapping[str, str],
        action: Action,
        condition: Condition | None,
    ) -> None:
        super().__init__(hub, text, when)
        self._method: Final = method
        self._asked: Final = asked
        self._action: Final = action
        self._condition: Final = condition

    def is_for(self, gate: SessionGate, command: Command) -> bool:
        """Whether a command is one of those that it is for."""
        method = command.method
        if type(method) is not self._method or self.is_over_for(gate.session.timers):
            return False
        channel = gate.channel(command.number)
        return (
            is_of_connection(gate.session, self._asked, method)
            and is_of_command(channel, self._asked, method)
            and (self._condition is None or self._condition(channel))
        )

    def act(self, gate: SessionGate, command: Command) -> None:
        """Happen."""
        self._action(gate, command, self)


class CommandMatch:
    """The commands that a fault is for. Each method makes the fault, which is there from then on.

    Methods that do not fit the command raise ``TypeError``.
    """

    def __init__(
        self, faults: "Faults", hub: "Hub", text: str, when: When, method: type[Method], asked: Mapping[str, str]
    ) -> None:
        self._faults: Final = faults
        self._hub: Final = hub
        self._text: Final = text
        self._when: Final = when
        self._method: Final = method
        self._asked: Final = asked

    def __repr__(self) -> str:
        return f"<{self._text}>"

    # the end of a channel or a connection

    def close_channel(self, code: int, text: str = "", *, carry_out: bool = False) -> Fault:
        """Close the channel, with a reply code and what follows its name in the reply text.

        The command is not carried out, unless ``carry_out`` says so.

        Raises:
            ValueError: it is no code that closes a channel.
        """
        self._check(self._method.CLASS_ID != ConnectionStartOk.CLASS_ID, "close_channel", "commands of channels")
        error = AMQPError(_code(code, closes_connection=False), text)
        return self._refuse(f"close_channel({code}, {text!r}{_also(carry_out)})", error, carry_out)

    def close_connection(self, code: int = 320, text: str | None = None, *, carry_out: bool = False) -> Fault:
        """Close the connection, with a reply code and what follows its name in the reply text.

        By default it is what an operator who closes a connection has RabbitMQ send. The command is not carried out,
        unless ``carry_out`` says so.

        Raises:
            ValueError: it is no code that closes a connection.
        """
        is_forced = code == ReplyCode.CONNECTION_FORCED
        if text is None:
            text = "Closed via management plugin" if is_forced else ""
        error = AMQPError(_code(code, closes_connection=True), text, blame=not is_forced)
        return self._refuse(f"close_connection({code}, {text!r}{_also(carry_out)})", error, carry_out)

    def _refuse(self, text: str, error: AMQPError, carry_out: bool) -> Fault:
        if self._method is BasicDeliver:
            error.blame = False

        def act(gate: SessionGate, command: Command, _: Fault) -> None:
            if carry_out or command.frames is not None:
                gate.pass_on(command)
            gate.refuse(command, error)

        return self._make(text, act)

    def reset_connection(self, *, carry_out: bool = False) -> Fault:
        """End the connection by RST. What was not sent to the client is lost.

        The command is not carried out, unless ``carry_out`` says so; its answer is lost then.
        """
        return self._end(f"reset_connection({_also(carry_out)[2:]})", "RST", carry_out)

    def end_connection(self, *, carry_out: bool = False) -> Fault:
        """End the connection by FIN, without connection.close.

        The command is not carried out, unless ``carry_out`` says so.
        """
        return self._end(f"end_connection({_also(carry_out)[2:]})", "FIN", carry_out)

    def _end(self, text: str, ends_by: str, carry_out: bool) -> Fault:
        def act(gate: SessionGate, command: Command, fault: Fault) -> None:
            if carry_out:
                gate.pass_on(command)
            if command.frames is None:
                gate.end(ends_by, f"a fault was asked for: {fault.text}")
            else:  # channels and connections do not end while a queue delivers
                gate.session.node.pending.append(lambda: gate.end(ends_by, f"a fault was asked for: {fault.text}"))

        return self._make(text, act)

    def refuse_login(self) -> Fault:
        """Refuse the login, as for a wrong password: 403."""
        self._check(self._method is ConnectionStartOk, "refuse_login", "connection.start-ok")

        def act(gate: SessionGate, command: Command, fault: Fault) -> None:
            gate.session.handshake.refusal = f"a fault was asked for: {fault.text}"
            gate.pass_on(command)

        return self._make("refuse_login()", act)

    # answers, and what comes late or never

    def lose(self) -> Fault:
        """Lose the command. It is not carried out and not answered. A publish is never confirmed."""
        self._check(self._method.CLASS_ID != ConnectionStartOk.CLASS_ID, "lose", "commands of channels")
        return self._make("lose()", publishes.lose if self._method is BasicPublish else _lose)

    def never_answer(self) -> Fault:
        """Carry the command out, and never answer it."""
        return self._keep_answer("never_answer()", None)

    def answer_late(self, seconds: float) -> Fault:
        """Carry the command out, and answer it that much later, on the clock that the client lives in.

        What the broker says on the channel meanwhile comes behind the answer.
        """
        return self._keep_answer(f"answer_late({seconds:g})", _positive(seconds))

    def _keep_answer(self, text: str, seconds: float | None) -> Fault:
        what = "methods with an answer (basic.publish: never_confirm, confirm_late)"
        self._check(bool(answers(self._method)), text.partition("(")[0], what)

        def act(gate: SessionGate, command: Command, fault: Fault) -> None:
            if not getattr(command.method, "nowait", False):
                gate.expect(command, seconds, fault)
            gate.pass_on(command)

        return self._make(text, act)

    def hold_back(self, seconds: float | None = None) -> Fault:
        """Hold the command back, with all that comes behind it on its channel.

        It goes on ``seconds`` later, on the clock that the client lives in. ``None`` holds it until the fault ends.
        """
        self._check(self._method.CLASS_ID != ConnectionStartOk.CLASS_ID, "hold_back", "commands of channels")
        if seconds is not None:
            _positive(seconds)

        def act(gate: SessionGate, command: Command, fault: Fault) -> None:
            fault.holds(gate.session.timers, gate.hold_back(command), seconds)

        return self._make(f"hold_back({'' if seconds is None else f'{seconds:g}'})", act)

    # publishes

    def nack(self) -> Fault:
        """Refuse the message, as a full queue does. It is for channels in confirm mode."""
        return self._publish("nack()", publishes.nack, publishes.is_confirmed)

    def never_confirm(self) -> Fault:
        """Publish the message, and never confirm it. It is for channels in confirm mode."""
        return self._publish("never_confirm()", publishes.never_confirm, publishes.is_confirmed)

    def confirm_late(self, seconds: float | None = None) -> Fault:
        """Publish the message, and confirm it ``seconds`` later, on the clock that the client lives in.

        ``None`` confirms it once the fault ends. It is for channels in confirm mode.
        """
        text = "" if seconds is None else f"{_positive(seconds):g}"
        return self._publish(f"confirm_late({text})", publishes.confirm_late(seconds), publishes.is_confirmed)

    def confirm_singly(self) -> Fault:
        """Confirm each message by itself. It is for channels in confirm mode."""
        return self._publish("confirm_singly()", publishes.confirm_singly, publishes.is_confirmed)

    def confirm_in_batches(self, size: int, seconds: float = 1.0) -> Fault:
        """Confirm so many messages at once; ``seconds`` after the first of them what there is by then.

        The seconds are those of the clock that the client lives in. It is for channels in confirm mode.
        """
        if size < 2:
            raise ValueError(f"a batch has 2 messages at least, not {size!r}")
        batches = publishes.Batches(size, _positive(seconds))
        return self._publish(f"confirm_in_batches({size}, {seconds:g})", batches, publishes.is_confirmed)

    def return_unroutable(self) -> Fault:
        """Have no queue get the message: it is returned with 312 if it is mandatory, and confirmed.

        It is not for transactional channels.
        """
        return self._publish("return_unroutable()", publishes.return_it, publishes.is_not_transactional)

    def _publish(self, text: str, action: Action, condition: Condition) -> Fault:
        self._check(self._method is BasicPublish, text.partition("(")[0], "basic.publish")
        return self._make(text, action, condition)

    # others

    def cancel_consumer(self) -> Fault:
        """Carry the command out, and cancel its consumer with basic.cancel.

        With an acknowledgement it is the consumer that had the delivery.
        """
        names = ", ".join(method.NAME for method in _HAS_CONSUMER)
        self._check(self._method in _HAS_CONSUMER, "cancel_consumer", names)

        def act(gate: SessionGate, command: Command, _: Fault) -> None:
            channel = gate.channel(command.number)
            found = [] if channel is None else consumers_of(channel, command.method)
            gate.pass_on(command)
            if channel is not None and isinstance(command.method, BasicConsume):
                found = [*channel.consumers.values()][-1:]
            gate.session.node.pending.append(lambda: _cancel(found))

        return self._make("cancel_consumer()", act)

    def raise_alarm(self, resource: str = "memory", seconds: float | None = None) -> Fault:
        """Carry the command out, and raise an alarm: who publishes from then on is blocked.

        ``seconds`` later, on the broker's clock, the alarm is cleared. With ``None`` it stays until the fault ends, or
        until ``admin.clear_alarm``.

        Raises:
            ValueError: there is no such resource.
        """
        Alarms.check(resource)
        if seconds is not None:
            _positive(seconds)

        def act(gate: SessionGate, command: Command, fault: Fault) -> None:
            gate.pass_on(command)
            node = gate.session.node
            node.raise_alarm(resource)
            fault.holds(node.timers, lambda: self._faults.clear_alarm(resource), seconds)

        return self._make(f"raise_alarm({resource!r}{'' if seconds is None else f', {seconds:g}'})", act)

    def call(self, function: Callable[[], object]) -> Fault:
        """Hold the command back, call a function in a thread of its own, and carry the command out when it returns.

        The function may do with the broker what it likes. If it raises, ``threading.excepthook`` reports that.
        """
        self._check(self._method.CLASS_ID != ConnectionStartOk.CLASS_ID, "call", "commands of channels")

        def act(gate: SessionGate, command: Command, _: Fault) -> None:
            let_go = gate.hold_back(command)

            def run() -> None:
                try:
                    function()
                finally:
                    with self._hub.turn:
                        let_go()

            Thread(target=run, name="hutch fault", daemon=True).start()

        return self._make(f"call({getattr(function, '__name__', repr(function))})", act)

    # inside

    def _check(self, fits: bool, name: str, what: str) -> None:
        if not fits:
            raise TypeError(f"{name} does not fit {self._method.NAME}; it is for {what}")

    def _make(self, text: str, action: Action, condition: Condition | None = None) -> Fault:
        whole = f"{self._text}.{text}"
        fault = CommandFault(self._hub, whole, self._when, self._method, self._asked, action, condition)
        self._faults.add(fault)
        return fault


def _code(code: int, *, closes_connection: bool) -> ReplyCode:
    fitting = [each for each in ReplyCode if each >= 311 and each.closes_connection is closes_connection]
    if code not in fitting:
        what = "connection" if closes_connection else "channel"
        codes = ", ".join(f"{each:d} {each}" for each in fitting)
        raise ValueError(f"{code!r} does not close a {what}; these do: {codes}")
    return ReplyCode(code)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise ValueError(f"seconds is a time above 0, not {seconds!r}")
    return seconds


def _also(carry_out: bool) -> str:
    return ", carry_out=True" if carry_out else ""


def _lose(gate: SessionGate, command: Command, fault: Fault) -> None:
    """Nothing happens."""


def _cancel(consumers: list[Consumer]) -> None:
    for consumer in consumers:
        cancel(consumer)
