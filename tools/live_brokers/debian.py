"""Debian packages: what is installed on the host or in a chroot, and installing on the host with apt."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from live_brokers.processes import run
from live_brokers.releases import HOST
from live_brokers.reporting import BrokerError, say

OS_RELEASE = Path("/etc/os-release")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Made by tools/rabbitmq while it installs a package; safe to delete.\nexit 101\n"


def require_host(os_release: Path = OS_RELEASE) -> None:
    """Raise BrokerError unless this is root on the Debian release that brokers are started on."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        lines = []
    release = dict(line.replace('"', "").split("=", 1) for line in lines if "=" in line)
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or codename != HOST or os.geteuid() != 0:
        system = " ".join(filter(None, (release.get("ID", "an unknown system"), codename)))
        user = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
        raise BrokerError(f"starting a broker needs root on Debian {HOST}; this is {user} on {system}")


def package_version(name: str, root: Path = Path("/")) -> str:
    """Returns the version of a completely installed package, or the empty string.

    Args:
        name: the package.
        root: where the system is that it is installed in.
    """
    query = ["dpkg-query", f"--admindir={root / 'var/lib/dpkg'}", "-W", "-f", "${db:Status-Abbrev} ${Version}", name]
    words = _output(query).split()
    return words[1] if len(words) == 2 and words[0] == "ii" else ""


@dataclass(frozen=True)
class Apt:
    """The host's apt.

    Attributes:
        log: file that its output is appended to.
        policy: the file that decides whether a package's scripts may start services.
    """

    log: Path
    policy: Path = POLICY

    def install(self, *packages: str) -> None:
        """Install packages, and refresh the package lists if it does not work without.

        Raises:
            BrokerError: it does not work after that either.
        """
        names = " and ".join(packages)
        say(f"installing Debian's {names}")
        apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
        install = [*apt, "install", "-y", "--no-install-recommends", *packages]
        what = f"installing {names}"
        with self._no_services():
            try:
                run(install, self.log, what)
            except BrokerError:
                # The package lists are absent or stale. An unreachable third-party source makes the update
                # fail and does no harm, so the second install decides.
                with contextlib.suppress(BrokerError):
                    run([*apt, "update"], self.log, "apt-get update")
                run(install, self.log, what)

    @contextlib.contextmanager
    def _no_services(self) -> Iterator[None]:
        """Keep package scripts from starting services, unless the host has a policy of its own."""
        ours = not self.policy.exists() or self.policy.read_text() == POLICY_TEXT
        if ours:
            self.policy.write_text(POLICY_TEXT)
            self.policy.chmod(0o755)
        try:
            yield
        finally:
            if ours:
                self.policy.unlink(missing_ok=True)


def mirror_of_apt() -> str:
    """Returns the mirror that apt takes Debian from; empty if there is none that debootstrap can use."""
    form = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
    for line in _output(["apt-get", "indextargets", "--format", form]).splitlines():
        origin, codename, component, uri = line.split("|", 3)
        from_debian = (origin, codename, component) == ("Debian", HOST, "main")
        if from_debian and uri.startswith(("http://", "https://", "file:/")):
            return uri
    return ""


def proxy_of_apt() -> str:
    """Returns the HTTP proxy that apt is configured with, or the empty string."""
    line = _output(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).strip()
    return line.removeprefix("proxy=").strip("'") if line.startswith("proxy='http") else ""


def _output(command: Sequence[str]) -> str:
    """What a query prints; nothing if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
