"""What a client's commands on its channels do: they go to the engine, or open and close the channel."""

from typing import TYPE_CHECKING, Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands import COMMANDS
from hutch.fakebroker.amqp091.commands.publish import publish
from hutch.fakebroker.amqp091.errors import AMQPError
from hutch.fakebroker.engine.errors import BrokerError, internal_error, not_implemented
from hutch.wire.content import Content
from hutch.wire.cutter import Commands
from hutch.wire.methods import (
    BasicAck,
    BasicCancelOk,
    BasicPublish,
    ChannelClose,
    ChannelCloseOk,
    ChannelOpen,
    ChannelOpenOk,
    Method,
)
from hutch.wire.states import ChannelState, IllegalMethod, next_channel_state

if TYPE_CHECKING:
    from hutch.fakebroker.amqp091.session import Session

_OPEN: Final = ChannelState.OPEN  # a constant, because each command reads it and enum attributes are slow


class Slot:
    """A channel number in use: its state and, while it is open, the engine's channel.

    ``has_failed`` is set once an error of the channel is to close the connection; it takes nothing more then.
    """

    __slots__ = ("channel", "has_failed", "state")

    def __init__(self) -> None:
        self.state = ChannelState.CLOSED
        self.channel: Channel | None = None
        self.has_failed = False


class ChannelCommands(Commands):
    """The way of every command from the cutter to the engine, if the state of its channel allows it."""

    def __init__(self, session: "Session") -> None:
        self._session: Final = session
        self._slots: Final = session.slots

    def publish(self, channel: int, method: BasicPublish, properties: bytes, body: bytes) -> None:
        """Publish a message."""
        slot = self._slots[channel]
        try:
            if slot.channel is None or slot.state is not _OPEN:
                self._step(channel, slot, method)
            else:
                publish(slot.channel, method, properties, body)
        except (AMQPError, BrokerError) as error:
            self._session.answer(slot, channel, error, BasicPublish)

    def ack(self, channel: int, delivery_tag: int, multiple: bool) -> None:
        """Acknowledge (ACK-01 to ACK-05)."""
        slot = self._slots[channel]
        try:
            if slot.channel is None or slot.state is not _OPEN:
                self._step(channel, slot, BasicAck(delivery_tag, multiple))
            else:
                slot.channel.ack(delivery_tag, multiple)
        except (AMQPError, BrokerError) as error:
            self._session.answer(slot, channel, error, BasicAck)

    def command(self, channel: int, method: Method, content: Content | None) -> None:  # noqa: ARG002  (of no use here)
        """Do what any other method asks for."""
        slot = self._slots[channel]
        try:
            if slot.channel is None or slot.state is not _OPEN or type(method) not in COMMANDS:
                self._step(channel, slot, method)
            else:
                COMMANDS[type(method)](slot.channel, method)
        except (AMQPError, BrokerError) as error:
            self._session.answer(slot, channel, error, type(method))

    def _step(self, number: int, slot: Slot, method: Method) -> None:
        """Open or close a channel, or refuse or pass over what does not fit its state.

        Raises:
            AMQPError: it is not legal in the channel's state, or not implemented.
        """
        if slot.has_failed:
            return
        session = self._session
        kind = type(method)
        if kind is ChannelCloseOk:
            del self._slots[number]  # RabbitMQ's reader frees the number, whatever the channel does with the method
        try:
            following = next_channel_state(slot.state, kind)
        except IllegalMethod as error:
            if error.method is BasicCancelOk and slot.channel and session.profile.crashes_on_cancel_ok:
                raise internal_error() from None
            raise AMQPError(error.code, error.text, method=error.method) from None
        if kind is ChannelOpen:
            if session.connection is None:
                raise internal_error()
            slot.channel = Channel(session.connection, number)
            slot.state = following
            session.method(number, ChannelOpenOk())
        elif kind is ChannelClose and slot.state is ChannelState.CLOSING:
            session.method(number, ChannelCloseOk())
        elif kind is ChannelClose:
            session.close_channel(slot)
            slot.state = ChannelState.CLOSING
            session.after_input.end(lambda: self._free(number, slot), number)
        elif slot.state is ChannelState.OPEN:
            raise not_implemented(method.NAME)

    def _free(self, number: int, slot: Slot) -> None:
        """Answer a client's channel.close; the number may be opened again."""
        if self._slots.get(number) is slot:
            del self._slots[number]
            self._session.reader.cutter.contents.pop(number, None)
            self._session.method(number, ChannelCloseOk())
