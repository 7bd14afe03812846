"""Installing what nodes need: packages on the host, and chroots."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from live_brokers.chroots import Chroot, require_mounts
from live_brokers.debian import Apt, package_version
from live_brokers.node import Node
from live_brokers.processes import alongside, run
from live_brokers.releases import Release
from live_brokers.reporting import BrokerError


def install(nodes: Sequence[Node], mirror: str, apt: Apt) -> None:
    """Install what is absent of the nodes' needs. Chroots are built beside each other and beside the host's packages.

    Args:
        nodes: the nodes.
        mirror: URL of the Debian mirror for chroots; empty for the one that apt uses.
        apt: the host's apt; its log takes the output of all programs.

    Raises:
        BrokerError: something cannot be installed, or what is installed is of another series.
    """
    chroots = [Chroot(Path(node.chroot), node.release) for node in nodes if node.chroot]
    if chroots:
        require_mounts()
    unbuilt = [chroot for chroot in chroots if not chroot.version()]
    absent = [] if shutil.which("openssl") else ["openssl"]
    if unbuilt and not package_version("debootstrap"):
        absent.append("debootstrap")
    if absent:
        apt.install(*absent)
    with ExitStack() as building:
        for chroot in unbuilt:
            build = partial(chroot.build, mirror, apt.log)
            building.enter_context(alongside(build, f"making the chroot {chroot.folder}"))
        for node in nodes:
            if not node.chroot:
                install_on_host(node.release, apt)
    for chroot in chroots:
        chroot.check()


def install_on_host(release: Release, apt: Apt) -> None:
    """Install the host's own RabbitMQ if it is absent, and stop the service that the package brings.

    Raises:
        BrokerError: it cannot be installed, or what is installed is of another series.
    """
    if not package_version("rabbitmq-server"):
        apt.install("rabbitmq-server")
        if Path("/run/systemd/system").is_dir():
            run(["systemctl", "disable", "--now", "rabbitmq-server"], apt.log, "stopping the service")
    version = package_version("rabbitmq-server")
    if not release.includes(version):
        raise BrokerError(f"rabbitmq-server is installed here as {version}, not {release.series}")
