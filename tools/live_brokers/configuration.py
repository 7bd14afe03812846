"""A node's configuration: its files, the environment and the command of its processes."""

import shlex
import shutil
from collections.abc import Mapping, Sequence

from live_brokers.certificates import make_certificates
from live_brokers.node import Node
from live_brokers.processes import MARK, PRIVATE_MOUNTS
from live_brokers.releases import CTL, PLUGINS_COMMAND


def folder_inside(node: Node) -> str:
    """The node's folder as the broker sees it; in a chroot it is mounted at /srv."""
    return "/srv" if node.chroot else str(node.folder)


def rabbitmq_conf(node: Node) -> str:
    """The text of rabbitmq.conf."""
    certificates = f"{folder_inside(node)}/{node.certificates.name}"
    mechanisms = [f"auth_mechanisms.{number} = {name}" for number, name in enumerate(node.release.mechanisms, 1)]
    return "\n".join(
        [
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {node.ports['management']}",
            f"listeners.ssl.1 = 127.0.0.1:{node.ports['tls']}",
            f"ssl_options.cacertfile = {certificates}/ca.pem",
            f"ssl_options.certfile = {certificates}/server.pem",
            f"ssl_options.keyfile = {certificates}/server.key",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = false",
            "ssl_cert_login_from = common_name",
            *mechanisms,
            "",
        ]
    )


def write_files(node: Node) -> None:
    """Make the node's folder what a broker needs before it starts; only the record stays of what was there."""
    for entry in node.folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry != node.record:
            entry.unlink()
    for name in ("home", "data", "log"):
        (node.folder / name).mkdir()
    (node.folder / "enabled_plugins").write_text(f"[{','.join(node.release.plugins)}].\n")
    # The broker asks no name server: if none answers, it takes five seconds to greet a client.
    (node.folder / "inetrc").write_text('{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n')
    make_certificates(node.certificates, node.folder / "openssl.log")
    (node.folder / "rabbitmq.conf").write_text(rabbitmq_conf(node))


def environment(node: Node) -> dict[str, str]:
    """The whole environment of the node's processes."""
    seen = folder_inside(node)
    return {
        MARK: node.mark,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": f"{seen}/home",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_INETRC": f"{seen}/inetrc",
        "ERL_EPMD_PORT": str(node.ports["epmd"]),
        "RABBITMQ_NODENAME": node.erlang_name,
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(node.ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(node.ports["distribution"]),
        "RABBITMQ_MNESIA_BASE": f"{seen}/data",
        "RABBITMQ_LOG_BASE": f"{seen}/log",
        "RABBITMQ_PID_FILE": f"{seen}/pid",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{seen}/enabled_plugins",
        "RABBITMQ_CONFIG_FILE": f"{seen}/rabbitmq.conf",
        # These files do not exist: they stand where the broker would read the system's own configuration.
        "RABBITMQ_CONFIG_FILES": f"{seen}/conf.d",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{seen}/advanced.config",
        "RABBITMQ_CONF_ENV_FILE": f"{seen}/rabbitmq-env.conf",
        # Erlang's schedulers do not spin when idle, and are not pinned to the cores that another node uses.
        "RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD": "none",
        "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        # The start script then becomes the Erlang machine, so its pid is the broker's.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def server_command(node: Node, server: str, variables: Mapping[str, str]) -> Sequence[str]:
    """The command that becomes the broker.

    Args:
        node: the node.
        server: path of rabbitmq-server, inside the chroot if there is one.
        variables: the environment.
    """
    if not node.chroot:
        return [server]
    mounts = (
        'mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"; mount --bind "$2" "$1/srv"; '
        'root=$1; shift 2; exec chroot "$root" "$@"'
    )
    shell = ["sh", "-ec", mounts, "sh", node.chroot, str(node.folder)]
    return [*PRIVATE_MOUNTS, *shell, *_with_environment(variables), server]


def write_commands(node: Node, variables: Mapping[str, str]) -> None:
    """Write the scripts that run rabbitmqctl and rabbitmq-plugins on a launched node."""
    for script, program in ((node.ctl, CTL), (node.plugins, PLUGINS_COMMAND)):
        command = [*_with_environment(variables), program]
        if node.chroot:
            command = ["nsenter", "--target", str(node.pid), "--mount", "chroot", node.chroot, *command]
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)


def _with_environment(variables: Mapping[str, str]) -> list[str]:
    return ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
