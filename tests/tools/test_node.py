"""Records of nodes, and the addresses that are printed."""

import json
import subprocess
from pathlib import Path

import pytest

from live_brokers.node import Node
from live_brokers.ports import PORT_NAMES
from live_brokers.releases import RELEASES
from live_brokers.reporting import BrokerError

PORTS = dict(zip(PORT_NAMES, range(20000, 20005), strict=True))
RECORD = {"mark": "9467e855d1466153", "pid": 9336, "chroot": "/var/lib/hutch-forky", "ports": PORTS}


def write_record(state: Path, text: str) -> None:
    (state / "4.3").mkdir()
    (state / "4.3/node.json").write_text(text)


def test_a_record_that_is_saved_is_loaded_again(tmp_path: Path) -> None:
    node = Node(RELEASES["4.3"], tmp_path / "4.3", "0123", 17, "/srv/chroot", PORTS)
    node.folder.mkdir()
    node.save()
    assert Node.load(tmp_path, RELEASES["4.3"]) == node
    assert [entry.name for entry in node.folder.iterdir()] == ["node.json"]


def test_a_record_of_an_older_edition_is_loaded(tmp_path: Path) -> None:
    """So a broker is found and stopped by another edition than the one that started it: the format must stay."""
    write_record(tmp_path, json.dumps(RECORD))
    node = Node.load(tmp_path, RELEASES["4.3"])
    assert (node.mark, node.pid, node.chroot, node.ports) == tuple(RECORD.values())


def test_a_node_without_a_record_was_never_launched(tmp_path: Path) -> None:
    node = Node.load(tmp_path, RELEASES["3.10"])
    assert (node.mark, node.pid, node.chroot, node.ports) == ("", 0, "", {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"mark": "x"}',
        json.dumps({**RECORD, "pid": "many"}),
        json.dumps({**RECORD, "ports": [1, 2]}),
        json.dumps({**RECORD, "ports": {"amqp": 5672}}),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    write_record(tmp_path, text)
    with pytest.raises(BrokerError, match=r"4\.3/node\.json is not a record of mine"):
        Node.load(tmp_path, RELEASES["4.3"])


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "4.0").mkdir()
    Node.load(tmp_path, RELEASES["4.0"])
    (tmp_path / "4.0/thesis.tex").touch()
    with pytest.raises(BrokerError, match="not mine to overwrite"):
        Node.load(tmp_path, RELEASES["4.0"])


def test_the_addresses_are_named_after_the_series() -> None:
    assert Node(RELEASES["4.0"], Path("/state/4.0"), ports=PORTS).urls().splitlines() == [
        "HUTCH_RABBITMQ_4_0=amqp://guest:guest@127.0.0.1:20000/",
        "HUTCH_RABBITMQ_4_0_MANAGEMENT=http://guest:guest@127.0.0.1:20001",
        "HUTCH_RABBITMQ_4_0_TLS=amqps://guest:guest@127.0.0.1:20004/",
        "HUTCH_RABBITMQ_4_0_CERTIFICATES=/state/4.0/certificates",
        "HUTCH_RABBITMQ_4_0_CTL=/state/4.0/rabbitmqctl",
    ]


def test_a_shell_takes_the_addresses_whatever_the_folder_is_called(tmp_path: Path) -> None:
    node = Node(RELEASES["3.10"], tmp_path / "it's $HOME; `here`", ports=PORTS)
    node.folder.mkdir()
    node.ctl.write_text('#!/bin/sh\necho "this is rabbitmqctl $1"\n')
    node.ctl.chmod(0o755)
    script = 'eval "$1"; echo "$HUTCH_RABBITMQ_3_10_CERTIFICATES"; eval "$HUTCH_RABBITMQ_3_10_CTL status"'
    done = subprocess.run(["sh", "-ec", script, "sh", node.urls()], capture_output=True, text=True, check=True)
    assert done.stdout == f"{node.certificates}\nthis is rabbitmqctl status\n"
