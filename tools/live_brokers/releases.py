"""The RabbitMQ versions that can be started. Another version is another row of RELEASES."""

from dataclasses import dataclass
from pathlib import Path

#: The Debian release that brokers are started on. Its own RabbitMQ is installed on the host.
HOST = "bookworm"
#: Where each Debian package has its commands.
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
CTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
PLUGINS_COMMAND = "/usr/lib/rabbitmq/bin/rabbitmq-plugins"

PLUGINS = (
    "rabbitmq_management",
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
    "rabbitmq_event_exchange",
    "rabbitmq_auth_mechanism_ssl",
)


@dataclass(frozen=True)
class Release:
    """A RabbitMQ version and the Debian release that packages it.

    Attributes:
        series: the first two numbers of the version, for example "3.10".
        debian: codename of the Debian release.
        mechanisms: SASL mechanisms on offer: the version's default ones, and EXTERNAL. The plugin
            rabbitmq_auth_mechanism_ssl brings EXTERNAL; only TLS listeners offer it.
        plugins: names of the enabled plugins.
    """

    series: str
    debian: str
    mechanisms: tuple[str, ...]
    plugins: tuple[str, ...] = PLUGINS

    @property
    def in_chroot(self) -> bool:
        """Whether the package is installed in a chroot and not on the host."""
        return self.debian != HOST

    @property
    def default_chroot(self) -> Path:
        """Folder of the chroot, unless the command line names another."""
        return Path(f"/var/lib/hutch-{self.debian}")

    @property
    def variable(self) -> str:
        """Name of the environment variable that holds the broker's URL; prefix of the others."""
        return "HUTCH_RABBITMQ_" + self.series.replace(".", "_")

    def includes(self, version: str) -> bool:
        """Whether a full version, of RabbitMQ or of the Debian package, is one of this series."""
        return version.startswith(self.series + ".")


#: Each release by its series, oldest first.
RELEASES = {
    release.series: release
    for release in (
        Release("3.10", "bookworm", ("PLAIN", "AMQPLAIN", "EXTERNAL")),
        Release("4.0", "trixie", ("PLAIN", "AMQPLAIN", "ANONYMOUS", "EXTERNAL")),
        Release("4.3", "forky", ("PLAIN", "AMQPLAIN", "ANONYMOUS", "EXTERNAL")),
    )
}
#: What `start` starts when no version is named.
DEFAULT_SERIES = ("3.10", "4.3")
