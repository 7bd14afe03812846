"""A node: one broker of ours, and the record of it that is kept between runs."""

import json
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from live_brokers.ports import PORT_NAMES
from live_brokers.releases import Release
from live_brokers.reporting import BrokerError


@dataclass
class Node:
    """One broker.

    Attributes:
        release: which RabbitMQ it is.
        folder: where all its files are.
        mark: mark of its processes; empty if it was never launched.
        pid: process id of the broker.
        chroot: folder of the chroot that it runs in; empty if it runs on the host.
        ports: loopback ports by name (PORT_NAMES); empty if it was never launched.
    """

    release: Release
    folder: Path
    mark: str = ""
    pid: int = 0
    chroot: str = ""
    ports: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"RabbitMQ {self.release.series}"

    @property
    def record(self) -> Path:
        """The file that keeps mark, pid, chroot and ports between runs."""
        return self.folder / "node.json"

    @property
    def console(self) -> Path:
        """What the broker writes on its standard output and error."""
        return self.folder / "console.log"

    @property
    def certificates(self) -> Path:
        """The folder of the certificates and keys."""
        return self.folder / "certificates"

    @property
    def ctl(self) -> Path:
        """The script that runs rabbitmqctl on this node."""
        return self.folder / "rabbitmqctl"

    @property
    def plugins(self) -> Path:
        """The script that runs rabbitmq-plugins on this node."""
        return self.folder / "rabbitmq-plugins"

    @property
    def erlang_name(self) -> str:
        """The Erlang node name."""
        return f"hutch_{self.release.series.replace('.', '_')}@localhost"

    @property
    def log(self) -> Path:
        """The log that the broker itself writes."""
        return self.folder / "log" / f"{self.erlang_name}.log"

    @property
    def is_ours(self) -> bool:
        """Whether this user may see and end the node's processes: root, and the user who launched it."""
        return not self.record.exists() or os.geteuid() in (0, self.record.stat().st_uid)

    def urls(self) -> str:
        """Returns the lines that `start` prints for this broker, quoted as a shell takes them."""
        name, place = self.release.variable, "guest:guest@127.0.0.1"
        return "\n".join(
            [
                f"{name}=amqp://{place}:{self.ports['amqp']}/",
                f"{name}_MANAGEMENT=http://{place}:{self.ports['management']}",
                f"{name}_TLS=amqps://{place}:{self.ports['tls']}/",
                f"{name}_CERTIFICATES={shlex.quote(str(self.certificates))}",
                # The value is itself a command line: quoted once as a word of that, and once as a value.
                f"{name}_CTL={shlex.quote(shlex.quote(str(self.ctl)))}",
            ]
        )

    def save(self) -> None:
        """Write the record, whole or not at all."""
        values = {"mark": self.mark, "pid": self.pid, "chroot": self.chroot, "ports": self.ports}
        draft = self.record.with_suffix(".new")
        draft.write_text(json.dumps(values, indent=1) + "\n")
        draft.replace(self.record)

    @classmethod
    def load(cls, state: Path, release: Release) -> "Node":
        """Read the record of a release, if there is one.

        Args:
            state: the folder of all nodes' folders.
            release: the release.

        Raises:
            BrokerError: the record is damaged, or the folder holds other files.
        """
        node = cls(release, state / release.series)
        if node.record.exists():
            try:
                values = json.loads(node.record.read_text())
                node.mark, node.pid, node.chroot = str(values["mark"]), int(values["pid"]), str(values["chroot"])
                node.ports = {name: int(values["ports"][name]) for name in PORT_NAMES}
            except (ValueError, KeyError, TypeError) as error:
                raise BrokerError(f"{node.record} is not a record of mine: {error!r}") from error
        elif node.folder.exists() and any(node.folder.iterdir()):
            raise BrokerError(f"{node.folder} holds files but no node.json: not mine to overwrite")
        return node
