"""What each method of AMQP does, one function a method: it takes the channel and the method, and sends the reply
itself.

A function may raise :class:`~hutch.fakebroker.engine.errors.BrokerError` or
:class:`~hutch.fakebroker.amqp091.errors.AMQPError`; before it does, it has changed nothing, but
for a commit that fails half-way (TX-15).
"""

from collections.abc import Callable
from typing import Any, Final

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.commands import basic, channel_modes, credit, exchange, queue, tx
from hutch.wire import methods as wire

Command = Callable[[Channel, Any], None]

#: The function of each method. basic.publish has content; see
#: :func:`hutch.fakebroker.amqp091.commands.publish.publish`.
COMMANDS: Final[dict[type[wire.Method], Command]] = {
    wire.AccessRequest: channel_modes.access_request,
    wire.BasicCancel: basic.cancel,
    wire.BasicConsume: basic.consume,
    wire.BasicCredit: credit.credit,
    wire.BasicGet: basic.get,
    wire.BasicNack: basic.nack,
    wire.BasicQos: basic.qos,
    wire.BasicRecover: basic.recover,
    wire.BasicRecoverAsync: basic.recover_async,
    wire.BasicReject: basic.reject,
    wire.ChannelFlow: channel_modes.flow,
    wire.ConfirmSelect: channel_modes.confirm_select,
    wire.ExchangeBind: exchange.bind,
    wire.ExchangeDeclare: exchange.declare,
    wire.ExchangeDelete: exchange.delete,
    wire.ExchangeUnbind: exchange.unbind,
    wire.QueueBind: queue.bind,
    wire.QueueDeclare: queue.declare,
    wire.QueueDelete: queue.delete,
    wire.QueuePurge: queue.purge,
    wire.QueueUnbind: queue.unbind,
    wire.TxCommit: tx.commit,
    wire.TxRollback: tx.rollback,
    wire.TxSelect: tx.select,
}
