"""channel.flow, confirm.select and access.request."""

from hutch.fakebroker.amqp091.channel import Channel
from hutch.fakebroker.amqp091.confirms import Confirms
from hutch.fakebroker.engine.errors import not_implemented, precondition_failed
from hutch.wire.methods import (
    AccessRequest,
    AccessRequestOk,
    ChannelFlow,
    ChannelFlowOk,
    ConfirmSelect,
    ConfirmSelectOk,
)


def flow(channel: Channel, method: ChannelFlow) -> None:
    """Answer, or refuse to stop (CHAN-02, CHAN-03)."""
    if not method.active:
        raise not_implemented("active=false")
    channel.output.method(channel.number, ChannelFlowOk(active=True))


def confirm_select(channel: Channel, method: ConfirmSelect) -> None:
    """Number and confirm publishes from now on (CONFIRM-01)."""
    if channel.transaction is not None:
        raise precondition_failed("cannot switch from tx to confirm mode")
    if channel.confirms is None:
        channel.confirms = Confirms(channel)
    if not method.nowait:
        channel.output.method(channel.number, ConfirmSelectOk())


def access_request(channel: Channel, _method: AccessRequest) -> None:
    """Hand out the ticket nobody looks at (CHAN-04)."""
    channel.output.method(channel.number, AccessRequestOk(ticket=1))
