import pytest

from hutch.wire.codes import ReplyCode
from hutch.wire.methods import METHODS, Method
from hutch.wire.states import (
    FROM_CLIENT,
    FROM_SERVER,
    ChannelState,
    ConnectionState,
    IllegalMethod,
    next_channel_state,
    next_connection_state,
)

NAMES = {method.NAME: method for method in METHODS.values()}

# Legal methods on channel 0: sender, state before, method, state after.
LEGAL_ON_CONNECTIONS = """
    server greeting       connection.start            starting
    client starting       connection.start-ok         authenticating
    server authenticating connection.secure           securing
    client securing       connection.secure-ok        authenticating
    server authenticating connection.tune             tuning
    client tuning         connection.tune-ok          opening
    client opening        connection.open             accepting
    server accepting      connection.open-ok          running
    server running        connection.blocked          running
    server running        connection.unblocked        running
    client running        connection.update-secret    running
    server running        connection.update-secret-ok running
    client running        connection.close            closing
    server starting       connection.close            closing
    server authenticating connection.close            closing
    server securing       connection.close            closing
    server tuning         connection.close            closing
    server opening        connection.close            closing
    server accepting      connection.close            closing
    server running        connection.close            closing
    client closing        connection.close            closing
    server closing        connection.close            closing
    client closing        connection.close-ok         closed
    server closing        connection.close-ok         closed
"""
LEGAL = {
    (sender, ConnectionState(before), NAMES[method]): ConnectionState(after)
    for sender, before, method, after in map(str.split, LEGAL_ON_CONNECTIONS.strip().splitlines())
}


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("state", ConnectionState)
def test_connections(sender: str, state: ConnectionState) -> None:
    table = FROM_CLIENT if sender == "client" else FROM_SERVER
    for method in METHODS.values():
        if after := LEGAL.get((sender, state, method)):
            assert next_connection_state(table, state, method) is after
        elif state is ConnectionState.CLOSING:  # CONN-CLOSE-02, CONN-CLOSE-04
            assert next_connection_state(table, state, method) is state
        else:
            with pytest.raises(IllegalMethod) as raised:
                next_connection_state(table, state, method)
            assert raised.value.code is ReplyCode.CHANNEL_ERROR
            assert str(raised.value) == f"CHANNEL_ERROR - unexpected method in connection state {state.value}"
            assert raised.value.method is method


@pytest.mark.parametrize(
    ("state", "name", "text"),
    [
        ("running", "connection.open", "unexpected method in connection state running"),  # CONN-METHOD-01
        ("running", "connection.start-ok", "unexpected method in connection state running"),  # CONN-METHOD-02
        ("running", "connection.close-ok", "unexpected method in connection state running"),
        ("running", "channel.open", "unexpected method in connection state running"),  # CONN-METHOD-03
        ("running", "basic.qos", "unexpected method in connection state running"),
        ("opening", "connection.close", "unexpected method in connection state opening"),  # CONN-OPEN-10
    ],
)
def test_what_rabbitmq_answers_on_channel_0(state: str, name: str, text: str) -> None:
    with pytest.raises(IllegalMethod) as raised:
        next_connection_state(FROM_CLIENT, ConnectionState(state), NAMES[name])
    assert (raised.value.code, raised.value.text) == (504, text)


def test_legal_methods_are_sent_by_the_side_they_belong_to() -> None:
    for sender, _, method in LEGAL:
        assert method.CLIENT if sender == "client" else method.SERVER


# Methods that a client may send on an open channel.
REQUEST_NAMES = """
    channel.flow channel.close access.request
    exchange.declare exchange.delete exchange.bind exchange.unbind
    queue.declare queue.bind queue.purge queue.delete queue.unbind
    basic.qos basic.consume basic.credit basic.cancel basic.publish basic.get basic.ack basic.reject basic.nack
    basic.recover-async basic.recover confirm.select tx.select tx.commit tx.rollback
"""
REQUESTS = {NAMES[name] for name in REQUEST_NAMES.split()}


def illegal(state: ChannelState, method: type[Method]) -> tuple[int, str]:
    with pytest.raises(IllegalMethod) as raised:
        next_channel_state(state, method)
    assert raised.value.method is method
    return raised.value.code, raised.value.text


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.NAME)
def test_channels(method: type[Method]) -> None:
    if method is NAMES["channel.open"]:
        assert next_channel_state(ChannelState.CLOSED, method) is ChannelState.OPEN
        for state in (ChannelState.OPEN, ChannelState.COMMITTING, ChannelState.CLOSING):  # CONN-CHAN-06, CHAN-08
            assert illegal(state, method) == (504, "second 'channel.open' seen")
        return
    assert illegal(ChannelState.CLOSED, method) == (504, "expected 'channel.open'")  # CONN-CHAN-04
    if method in REQUESTS:
        closes = method is NAMES["channel.close"]
        assert next_channel_state(ChannelState.OPEN, method) is (ChannelState.CLOSED if closes else ChannelState.OPEN)
    else:  # CONN-METHOD-04 to CONN-METHOD-06
        assert illegal(ChannelState.OPEN, method) == (503, "unimplemented method")
    if method is NAMES["channel.close"]:
        assert next_channel_state(ChannelState.COMMITTING, method) is ChannelState.CLOSED
    else:  # TX-16
        text = "unexpected command while processing 'tx.commit'"
        assert illegal(ChannelState.COMMITTING, method) == (504, text)
    ends = method.NAME == "channel.close-ok"  # CHAN-07, CHAN-09
    assert next_channel_state(ChannelState.CLOSING, method) is (ChannelState.CLOSED if ends else ChannelState.CLOSING)


def test_reply_codes() -> None:
    closing_channels = {200, 311, 312, 313, 403, 404, 405, 406}
    assert {code for code in ReplyCode if not code.closes_connection} == closing_channels
    assert {code for code in ReplyCode if code.closes_connection} == {320, 402, *range(501, 507), 530, 540, 541}
    assert f"{ReplyCode.NOT_FOUND} - no queue" == "NOT_FOUND - no queue"
    assert ReplyCode(406) is ReplyCode.PRECONDITION_FAILED
