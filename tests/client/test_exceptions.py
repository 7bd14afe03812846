"""The exceptions, compared with py-amqp's."""

import amqp
import amqp.exceptions
import pytest

import hutch.client
import hutch.client.exceptions as ours
from hutch.client.exceptions import method_name
from hutch.wire.codes import ReplyCode

#: py-amqp's names that this client lacks, with the reason.
ABSENT = {
    "AMQPDeprecationWarning": "warns of an automatic connect, which there is none of",
}
NAMES = sorted(set(amqp.exceptions.__all__) - ABSENT.keys())


def lineage(kind: type[BaseException]) -> list[str]:
    return [base.__name__ for base in kind.__mro__]


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_the_same(name: str) -> None:
    mine, theirs = getattr(ours, name), getattr(amqp.exceptions, name)
    assert lineage(mine) == lineage(theirs)
    assert getattr(mine, "code", None) == getattr(theirs, "code", None)
    assert name in ours.__all__
    assert getattr(hutch.client, name) is mine


@pytest.mark.parametrize("code", [0, 200, 311, 312, 313, 320, *range(402, 407), *range(501, 507), 530, 540, 541, 599])
def test_reply_codes(code: int) -> None:
    mine = ours.error_for_code(code, "text", (50, 10), ours.ChannelError)
    theirs = amqp.exceptions.error_for_code(code, "text", (50, 10), amqp.exceptions.ChannelError)
    assert type(mine).__name__ == type(theirs).__name__
    assert str(mine) == str(theirs)
    assert mine.args == theirs.args
    for attribute in ("reply_code", "reply_text", "method_sig", "method_name", "method", "message", "code"):
        assert getattr(mine, attribute) == getattr(theirs, attribute)


@pytest.mark.parametrize("arguments", [(), ("text",), ("text", (60, 40)), ("text", None, "A.name"), ("text", (9, 9))])
def test_what_errors_say(arguments: tuple[object, ...]) -> None:
    mine = ours.NotFound(*arguments)  # type: ignore[arg-type]
    theirs = amqp.NotFound(*arguments)
    assert str(mine) == str(theirs)
    assert mine.args == theirs.args


def test_an_error_that_no_method_caused() -> None:
    assert str(ours.ConnectionForced("CONNECTION_FORCED - bye", (0, 0))) == "(320) CONNECTION_FORCED - bye"


def test_names_of_methods() -> None:
    theirs = {sig: name for sig, name in amqp.exceptions.METHOD_NAME_MAP.items() if isinstance(sig, tuple)}
    del theirs[40, 41]  # py-amqp has a wrong number for Exchange.unbind_ok; RabbitMQ's is 51
    assert {sig: method_name(sig) for sig in theirs} == theirs
    assert method_name((1, 1)) == ""


def test_tuples_of_errors() -> None:
    for attribute in (
        "connection_errors",
        "channel_errors",
        "recoverable_connection_errors",
        "recoverable_channel_errors",
    ):
        mine, theirs = getattr(hutch.client.Connection, attribute), getattr(amqp.Connection, attribute)
        assert {kind.__name__ for kind in mine} == {kind.__name__ for kind in theirs}


def test_a_reply_code_with_a_name_is_a_number_all_the_same() -> None:
    error = ours.FrameError("FRAME_ERROR - no", (60, 40), reply_code=ReplyCode.FRAME_ERROR)
    assert str(error) == "Basic.publish: (501) FRAME_ERROR - no"
    assert error.args[0] == error.reply_code == 501
