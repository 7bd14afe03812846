import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hutch.conformance.cli import main
from hutch.fakebroker import Broker


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_both_emulator_targets_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-k", "get-01 and not http or get-02 and not http"]) == 0
    output = capsys.readouterr().out
    assert "in-process 4.3: 3 cases\n...\n3 passed in " in output
    assert "tcp 4.3: 3 cases\n...\n3 passed in " in output


def test_another_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile", "3.10", "-k", "CONN-HDR-03"]) == 0
    output = capsys.readouterr().out
    assert "in-process 3.10: 2 cases\n.-\n1 passed, 1 not applicable in " in output


def test_a_live_broker(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker("3.10") as broker:
        assert main([broker.url, "-k", "get-01 and not http"]) == 0
    assert "(RabbitMQ 3.10.8 as 3.10): 1 case\n.\n1 passed" in capsys.readouterr().out


def test_why_cases_do_not_apply(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker("3.10") as broker:
        assert main([broker.url, "-k", "restart-02 or perm-01 and not http or get-01 and not http"]) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == "  4 not applicable: needs the management API (--management)"
    assert second == "  2 not applicable: needs --rabbitmqctl, to control the broker itself"


def test_what_is_left_behind_fails_the_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hutch.fakebroker.management.vhosts.vhosts.delete_vhost", lambda *_: None)
    with Broker() as broker:
        assert main([broker.url, "--management", broker.management_url, "-k", "get-01 and not http"]) == 1
        left = sorted(broker.hub.node.vhosts.keys() - {"/"})
    output = capsys.readouterr().out
    assert "1 passed in " in output
    assert output.splitlines()[-2:] == [f"LEFT BEHIND: virtual host '{name}'" for name in left]


def test_a_run_that_is_terminated_cleans_up() -> None:
    """SIGTERM is what ends a job in CI."""
    with Broker() as broker:
        command = [sys.executable, "-u", "-c", "from hutch.conformance.cli import main; raise SystemExit(main())"]
        command += [broker.url, "--management", broker.management_url, "-k", "no_heartbeats"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert run.stdout.readline().endswith(": 1 case\n")
            deadline = time.monotonic() + 20
            while not broker.hub.node.connections:  # wait for the connection of the case
                assert broker.hub.wait(broker.hub.changes, deadline - time.monotonic()), "the case does not begin"
            run.terminate()
            _, told = run.communicate(timeout=30)
        assert (run.returncode, told) == (1, "hutch conformance: interrupted\n")
        assert list(broker.hub.node.vhosts) == ["/"]


def test_a_broker_that_behaves_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker("3.10") as broker:
        assert main([broker.url, "--profile", "4.3", "-k", "exch-declare-06 or get-01 and not http"]) == 1
    output = capsys.readouterr().out
    assert "FAILED EXCH-DECLARE-06-empty_exchange_type\n    An empty type is called invalid, not unknown.\n" in output
    assert "1 passed, 1 failed in " in output


def test_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml, table = tmp_path / "junit.xml", tmp_path / "report.md"
    assert main(["-k", "get-01 and not http", "--junit", str(xml), "--report", str(table)]) == 0
    suites = ET.parse(xml).getroot().findall("testsuite")
    assert [suite.attrib["name"] for suite in suites] == ["in-process 4.3", "tcp 4.3"]
    assert "| GET-01 `getting_from_an_empty_queue` |" in table.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "report.md"
    arguments = ("--report", str(written), "--junit", str(tmp_path / "missing" / "junit.xml"))
    assert refusal(capsys, *arguments).startswith("cannot write the report: ")
    assert not written.exists()


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "-k", "CONN-HDR-03"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "CONN-HDR-03-protocol_0_8_is_greeted [3.10]"
    assert lines[1] == "    The 0-8 header is accepted by 3.x, whose connection.start then says version 8-0."
    assert lines[-1] == "2 cases"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that tells why the command does not run."""
    assert main([*arguments, "-k", "get-01"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("hutch conformance: ")


def test_refused_connection(capsys: pytest.CaptureFixture[str]) -> None:
    port = unused_port()
    assert refusal(capsys, f"amqp://127.0.0.1:{port}").endswith(f"127.0.0.1:{port}: Connection refused")


def test_bad_login_and_missing_vhost(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker() as broker:
        url = broker.url.rstrip("/")
        assert "ACCESS_REFUSED - Login was refused" in refusal(capsys, url.replace(":guest@", ":wrong@"))
        assert "NOT_ALLOWED - vhost nowhere not found" in refusal(capsys, f"{url}/nowhere")
        assert refusal(capsys, url, "--profile", "9") == "unknown profile '9'; there are 3.10, 4.3"


def test_unusable_management(capsys: pytest.CaptureFixture[str]) -> None:
    with Broker() as broker:
        port = unused_port()
        told = refusal(capsys, broker.url, "--management", f"http://127.0.0.1:{port}")
        assert told.startswith(f"http://127.0.0.1:{port}/api/ cannot be reached: ")
        amqp_port = broker.url.rstrip("/").rpartition(":")[2]
        told = refusal(capsys, broker.url, "--management", f"http://127.0.0.1:{amqp_port}")
        assert told.startswith(f"http://127.0.0.1:{amqp_port}/api/ ")
        assert "is no URL of a management API" in refusal(capsys, broker.url, "--management", "http://localhost:port")
        assert "is no URL of a management API" in refusal(capsys, broker.url, "--management", "localhost")


def test_options_of_a_live_broker(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--management", "--rabbitmqctl"):
        assert refusal(capsys, option, "x") == f"{option} belongs to a live broker, and no URL is given"


def test_what_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "--profile", "5") == "unknown profile '5'; there are 3.10, 4.3"
    assert refusal(capsys, "http://localhost") != ""
    assert main(["-k", "no-such-case"]) == 1
    assert capsys.readouterr().err == "hutch conformance: no case matches -k 'no-such-case'\n"
    assert main(["-k", "a or"]) == 1
    assert "words joined by" in capsys.readouterr().err
