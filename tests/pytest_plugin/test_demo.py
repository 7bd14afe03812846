"""``hutch demo``: what it prints, and that what it prints is what happened."""

import io
import re
import subprocess
import sys

import pytest

from hutch.fakebroker import PROFILES
from hutch.pytest_plugin import FakeBroker, demo

ORDER_2 = """\
order-2  Grace, whose bank pays on the second attempt
    +0.0 s  published     shop, order.placed -> payments
    +0.0 s  delivered     payments -> worker               attempt 1
    +0.0 s  rejected      payments -> payments.retry       payment refused
  +300.0 s  expired       payments.retry -> payments       5 minutes are over
  +300.0 s  delivered     payments -> worker               attempt 2
  +300.0 s  acknowledged  payments                         paid
"""


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_it_tells_the_tale_of_each_order(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--profile", profile]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert ORDER_2 in told.out
    assert "  +600.0 s  parked        AMQP default -> payments.parked  3 attempts are enough" in told.out
    assert "Messages left: payments 0, payments.retry 0, payments.parked 1." in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    assert "\x1b" not in told.out


def test_it_tells_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    demo.main([])
    first = capsys.readouterr().out
    demo.main([])
    assert capsys.readouterr().out == first


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", coloured := Terminal())
    demo.main([])
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", plain := Terminal())
    demo.main([])
    assert "\x1b[1morder-1\x1b[0m" in coloured.getvalue()
    assert re.sub(r"\x1b\[\d+m", "", coloured.getvalue()) == plain.getvalue()


def test_the_service_ends_where_it_should() -> None:
    with FakeBroker() as broker:
        demo.run(broker)
        (parked,) = broker.queue(demo.PARKED).messages
        assert parked.properties.values["message_id"] == "order-3"
        assert len(broker.history.of("delivered")) == 1 + 2 + 3
        assert broker.clock.monotonic() == 600


def test_the_command_finds_it() -> None:
    script = "import sys; from hutch.fakebroker.cli import main; code = main(['demo']); "
    script += "print('pytest' in sys.modules, file=sys.stderr); sys.exit(code)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert ORDER_2 in run.stdout
    assert run.stderr == "False\n"
