"""Which method is legal when: one table for connections and one for channels, shared by both roles.

A server reads the client's half of a table and a client the server's, so neither can hold the other to different rules.
Codes and texts of what is illegal are RabbitMQ's (CONN-METHOD, CONN-OPEN, CONN-CHAN; CHAN-01 and following).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from hutch.wire.codes import ReplyCode
from hutch.wire.declaration import Method
from hutch.wire.methods import (
    BasicCancelOk,
    ChannelClose,
    ChannelCloseOk,
    ChannelFlowOk,
    ChannelOpen,
    ConnectionBlocked,
    ConnectionClose,
    ConnectionCloseOk,
    ConnectionOpen,
    ConnectionOpenOk,
    ConnectionSecure,
    ConnectionSecureOk,
    ConnectionStart,
    ConnectionStartOk,
    ConnectionTune,
    ConnectionTuneOk,
    ConnectionUnblocked,
    ConnectionUpdateSecret,
    ConnectionUpdateSecretOk,
)


class IllegalMethod(ValueError):
    """A method that its connection's or channel's state does not allow.

    ``code`` and ``text`` are the connection.close that RabbitMQ answers with, ``method`` is the type at fault.
    """

    def __init__(self, code: ReplyCode, text: str, method: type[Method]) -> None:
        super().__init__(f"{code} - {text}")
        self.code = code
        self.text = text
        self.method = method


class ConnectionState(StrEnum):
    """Where a connection is; the values are RabbitMQ's names, which its reply texts print."""

    GREETING = "greeting"
    STARTING = "starting"
    AUTHENTICATING = "authenticating"
    SECURING = "securing"
    TUNING = "tuning"
    OPENING = "opening"
    ACCEPTING = "accepting"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"


_State = ConnectionState
_Table = Mapping[ConnectionState, Mapping[type[Method], ConnectionState]]

FROM_CLIENT: Final[_Table] = {
    _State.GREETING: {},
    _State.STARTING: {ConnectionStartOk: _State.AUTHENTICATING},
    _State.AUTHENTICATING: {},
    _State.SECURING: {ConnectionSecureOk: _State.AUTHENTICATING},
    _State.TUNING: {ConnectionTuneOk: _State.OPENING},
    _State.OPENING: {ConnectionOpen: _State.ACCEPTING},
    _State.ACCEPTING: {},
    _State.RUNNING: {ConnectionUpdateSecret: _State.RUNNING, ConnectionClose: _State.CLOSING},
    _State.CLOSING: {ConnectionClose: _State.CLOSING, ConnectionCloseOk: _State.CLOSED},
    _State.CLOSED: {},
}

FROM_SERVER: Final[_Table] = {
    _State.GREETING: {ConnectionStart: _State.STARTING},
    _State.STARTING: {ConnectionClose: _State.CLOSING},
    _State.AUTHENTICATING: {
        ConnectionSecure: _State.SECURING,
        ConnectionTune: _State.TUNING,
        ConnectionClose: _State.CLOSING,
    },
    _State.SECURING: {ConnectionClose: _State.CLOSING},
    _State.TUNING: {ConnectionClose: _State.CLOSING},
    _State.OPENING: {ConnectionClose: _State.CLOSING},
    _State.ACCEPTING: {ConnectionOpenOk: _State.RUNNING, ConnectionClose: _State.CLOSING},
    _State.RUNNING: {
        ConnectionBlocked: _State.RUNNING,
        ConnectionUnblocked: _State.RUNNING,
        ConnectionUpdateSecretOk: _State.RUNNING,
        ConnectionClose: _State.CLOSING,
    },
    _State.CLOSING: {ConnectionClose: _State.CLOSING, ConnectionCloseOk: _State.CLOSED},
    _State.CLOSED: {},
}


def next_connection_state(table: _Table, state: ConnectionState, method: type[Method]) -> ConnectionState:
    """The state after ``method``, which the side that ``table`` belongs to has sent on channel 0.

    In CLOSING, ignore a method that the table does not name; the state stays as it is (CONN-CLOSE-02, CONN-CLOSE-04).

    Raises:
        IllegalMethod: the method is not legal in ``state`` (CONN-METHOD-01 to 03, CONN-OPEN-10). Up to TUNING, RabbitMQ
            sends no connection.close and ends the stream (CONN-OPEN-08).
    """
    try:
        return table[state][method]
    except KeyError:
        if state is ConnectionState.CLOSING:
            return state
        text = f"unexpected method in connection state {state.value}"
        raise IllegalMethod(ReplyCode.CHANNEL_ERROR, text, method) from None


class ChannelState(StrEnum):
    """Where a channel is.

    CLOSING: this side has sent channel.close and awaits close-ok. COMMITTING: tx.commit is not answered yet.
    """

    CLOSED = "closed"
    OPEN = "open"
    COMMITTING = "committing"
    CLOSING = "closing"


#: Channel states after each method of the client. In an open channel, a method not listed leaves the state unchanged.
CHANNEL_FROM_CLIENT: Final[Mapping[ChannelState, Mapping[type[Method], ChannelState]]] = {
    ChannelState.CLOSED: {ChannelOpen: ChannelState.OPEN},
    ChannelState.OPEN: {ChannelClose: ChannelState.CLOSED},
    ChannelState.COMMITTING: {ChannelClose: ChannelState.CLOSED},
    ChannelState.CLOSING: {ChannelClose: ChannelState.CLOSING, ChannelCloseOk: ChannelState.CLOSED},
}


#: Answers that the spec allows. RabbitMQ never sends the question, or does not want the answer.
_UNASKED: Final = frozenset({ChannelCloseOk, ChannelFlowOk, BasicCancelOk})


def next_channel_state(state: ChannelState, method: type[Method]) -> ChannelState:
    """The state of a channel after its client sent ``method``.

    In CLOSING, ignore a method that the table does not name; the state stays as it is (CHAN-07).

    Raises:
        IllegalMethod: not legal in ``state`` (CONN-CHAN-04, CONN-CHAN-06, CHAN-08, CONN-METHOD-04 to 06, TX-16). For
            basic.cancel-ok alone, RabbitMQ 4.3 has another code and text: 541 and ``INTERNAL_ERROR``, naming no method.
    """
    following = CHANNEL_FROM_CLIENT[state].get(method)
    if following is not None:
        return following
    if method is ChannelOpen:
        raise IllegalMethod(ReplyCode.CHANNEL_ERROR, "second 'channel.open' seen", method)
    if state is ChannelState.CLOSED:
        raise IllegalMethod(ReplyCode.CHANNEL_ERROR, "expected 'channel.open'", method)
    if state is ChannelState.COMMITTING:
        raise IllegalMethod(ReplyCode.CHANNEL_ERROR, "unexpected command while processing 'tx.commit'", method)
    if state is ChannelState.OPEN and (method in _UNASKED or method.CLASS_ID == 10 or not method.CLIENT):
        raise IllegalMethod(ReplyCode.COMMAND_INVALID, "unimplemented method", method)
    return state
