"""A node's files, environment and command."""

import shlex
from pathlib import Path

import pytest

from live_brokers.configuration import environment, rabbitmq_conf, server_command, write_commands, write_files
from live_brokers.node import Node
from live_brokers.ports import PORT_NAMES
from live_brokers.releases import RELEASES

PORTS = dict(zip(PORT_NAMES, range(20000, 20005), strict=True))


def node_of(series: str, folder: Path = Path("/state")) -> Node:
    release = RELEASES[series]
    return Node(release, folder / series, "0123", 17, "/chroot" if release.in_chroot else "", PORTS)


def settings(node: Node) -> dict[str, str]:
    return dict(line.split(" = ") for line in rabbitmq_conf(node).splitlines())


@pytest.mark.parametrize(
    ("series", "mechanisms"),
    [
        ("3.10", ["PLAIN", "AMQPLAIN", "EXTERNAL"]),
        ("4.0", ["PLAIN", "AMQPLAIN", "ANONYMOUS", "EXTERNAL"]),
        ("4.3", ["PLAIN", "AMQPLAIN", "ANONYMOUS", "EXTERNAL"]),
    ],
)
def test_each_version_offers_its_default_mechanisms_and_external(series: str, mechanisms: list[str]) -> None:
    conf = settings(node_of(series))
    assert [value for name, value in conf.items() if name.startswith("auth_mechanisms.")] == mechanisms


@pytest.mark.parametrize(("series", "seen"), [("3.10", "/state/3.10"), ("4.0", "/srv"), ("4.3", "/srv")])
def test_paths_are_those_that_the_broker_sees(series: str, seen: str) -> None:
    node = node_of(series)
    assert settings(node)["ssl_options.certfile"] == f"{seen}/certificates/server.pem"
    variables = environment(node)
    assert variables["RABBITMQ_CONFIG_FILE"] == f"{seen}/rabbitmq.conf"
    paths = {name: value for name, value in variables.items() if name.startswith("RABBITMQ") and "/" in value}
    assert all(value.startswith(seen + "/") for value in paths.values()), "nothing of the system's own is read"


@pytest.mark.parametrize("series", RELEASES)
def test_everything_listens_on_the_loopback_address_alone(series: str) -> None:
    node = node_of(series)
    conf, variables = settings(node), environment(node)
    assert (conf["management.tcp.ip"], conf["management.tcp.port"]) == ("127.0.0.1", "20001")
    assert conf["listeners.ssl.1"] == "127.0.0.1:20004"
    assert (variables["RABBITMQ_NODE_IP_ADDRESS"], variables["RABBITMQ_NODE_PORT"]) == ("127.0.0.1", "20000")
    assert (variables["ERL_EPMD_ADDRESS"], variables["ERL_EPMD_PORT"]) == ("127.0.0.1", "20003")
    assert variables["RABBITMQ_DIST_PORT"] == "20002"
    assert "inet_dist_use_interface {127,0,0,1}" in variables["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]


def test_only_the_record_stays_of_what_was_in_the_folder(tmp_path: Path) -> None:
    node = node_of("3.10", tmp_path)
    node.folder.mkdir()
    node.save()
    node.console.touch()
    (node.folder / "data/mnesia").mkdir(parents=True)
    (node.folder / "data/mnesia/queue").touch()
    write_files(node)
    assert Node.load(tmp_path, node.release) == node
    assert not node.console.exists()
    assert list((node.folder / "data").iterdir()) == []
    assert (node.folder / "enabled_plugins").read_text() == f"[{','.join(node.release.plugins)}].\n"
    assert (node.folder / "rabbitmq.conf").read_text() == rabbitmq_conf(node)
    pairs = {f"{name}.{kind}" for name in ("ca", "server", "client") for kind in ("pem", "key")}
    assert pairs <= {entry.name for entry in node.certificates.iterdir()}


def test_on_the_host_the_server_is_the_command() -> None:
    assert server_command(node_of("3.10"), "/bin/server", {"A": "1"}) == ["/bin/server"]


def test_in_a_chroot_the_server_gets_its_environment_and_mounts_of_its_own() -> None:
    command = list(server_command(node_of("4.3"), "/bin/server", {"A": "1", "B": "2"}))
    assert command[:4] == ["unshare", "--mount", "--propagation", "private"]
    assert command[-8:] == ["sh", "/chroot", "/state/4.3", "env", "-i", "A=1", "B=2", "/bin/server"]


@pytest.mark.parametrize(
    ("series", "begins"),
    [
        ("3.10", ["env", "-i"]),
        ("4.3", ["nsenter", "--target", "17", "--mount", "chroot", "/chroot", "env", "-i"]),
    ],
)
def test_its_commands_run_where_the_broker_runs(series: str, begins: list[str], tmp_path: Path) -> None:
    node = node_of(series, tmp_path)
    node.folder.mkdir()
    write_commands(node, {"HOME": "/with space"})
    for script, program in ((node.ctl, "rabbitmqctl"), (node.plugins, "rabbitmq-plugins")):
        shebang, command = script.read_text().splitlines()
        words = ["exec", *begins, "HOME=/with space", f"/usr/lib/rabbitmq/bin/{program}", "$@"]
        assert shlex.split(command) == words
        assert shebang == "#!/bin/sh"
        assert script.stat().st_mode & 0o100
