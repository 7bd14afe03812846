"""Transactions: what is sent, and what the broker's refusals become."""

from collections.abc import Callable

import pytest

from hutch.client import Channel, PreconditionFailed, ResourceError
from hutch.wire.declaration import Method
from hutch.wire.frames import method_frame
from hutch.wire.methods import (
    ChannelClose,
    ConnectionClose,
    TxCommit,
    TxCommitOk,
    TxRollback,
    TxRollbackOk,
    TxSelect,
    TxSelectOk,
)
from tests.client.scripted import Server

CALLS: list[tuple[Callable[[Channel], None], Method, Method]] = [
    (Channel.tx_select, TxSelect(), TxSelectOk()),
    (Channel.tx_commit, TxCommit(), TxCommitOk()),
    (Channel.tx_rollback, TxRollback(), TxRollbackOk()),
]


@pytest.mark.parametrize(("call", "request_", "answer"), CALLS, ids=["select", "commit", "rollback"])
def test_each_waits_for_its_answer(
    server: Server, channel: Channel, call: Callable[[Channel], None], request_: Method, answer: Method
) -> None:
    server.say_at(server.now + 5, answer, channel=1)
    started = server.now
    call(channel)
    assert server.log == [(1, request_)]
    assert server.now == started + 5


def test_a_channel_that_is_not_transactional(server: Server, channel: Channel) -> None:
    server.answers[TxCommit] = lambda _: ChannelClose(406, "PRECONDITION_FAILED - channel is not transactional", 90, 20)
    with pytest.raises(PreconditionFailed, match=r"^Tx.commit: \(406\) .*not transactional"):
        channel.tx_commit()
    assert channel.is_open


def test_a_commit_that_ends_the_connection(server: Server, channel: Channel) -> None:
    close = ConnectionClose(506, "RESOURCE_ERROR - failed to deliver message: {not_found,\n  ...}", 90, 20)
    server.answers[TxCommit] = lambda _: method_frame(0, close.encode())
    with pytest.raises(ResourceError, match=r"^Tx.commit: \(506\) RESOURCE_ERROR - failed to deliver"):
        channel.tx_commit()
    assert not channel.is_open
