"""Chroots with another Debian release, each for its RabbitMQ."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from live_brokers.debian import mirror_of_apt, package_version, proxy_of_apt
from live_brokers.locks import locked
from live_brokers.processes import PRIVATE_MOUNTS, end, new_mark, run
from live_brokers.releases import SERVER, Release
from live_brokers.reporting import BrokerError, say

#: Debootstrap's script for Debian's newest releases. It has none by name for a release that is younger than itself.
SCRIPT = "sid"


def require_mounts() -> None:
    """Raise BrokerError unless this process has the right to mount."""
    tried = subprocess.run([*PRIVATE_MOUNTS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        need = "a RabbitMQ in a chroot needs the right to mount (in a container: CAP_SYS_ADMIN)"
        raise BrokerError(f"{need}: {tried.stderr.strip()}")


@dataclass(frozen=True)
class Chroot:
    """The chroot of one release: its folder, which may not exist yet."""

    folder: Path
    release: Release

    def version(self) -> str:
        """Returns the version of rabbitmq-server in a complete chroot, or the empty string."""
        if (self.folder / "debootstrap").exists() or not os.access(self.folder / SERVER.lstrip("/"), os.X_OK):
            return ""
        return package_version("rabbitmq-server", self.folder) if (self.folder / "usr/bin/erl").exists() else ""

    def check(self) -> None:
        """Raise BrokerError unless the chroot is complete and holds its release's RabbitMQ."""
        if not self.release.includes(version := self.version()):
            held = f"rabbitmq-server {version}" if version else "no complete rabbitmq-server"
            raise BrokerError(f"the chroot {self.folder} holds {held}, not {self.release.series}")

    def build(self, mirror: str, log: Path) -> None:
        """Build the chroot with debootstrap, unless another run does so first.

        Args:
            mirror: URL of a Debian mirror; empty for the one that apt uses.
            log: file that debootstrap's output is appended to.

        Raises:
            BrokerError: the folder holds something else, debootstrap fails, or the mirror has another version.
        """
        with locked(self.folder.with_name(self.folder.name + ".lock")) as lock:
            if not self.version():
                self._build(mirror, log, lock)

    def _build(self, mirror: str, log: Path, lock: TextIO) -> None:
        """Build under another name, and rename the complete chroot."""
        debian, folder = self.release.debian, self.folder
        if folder.exists() and any(folder.iterdir()) and not (folder / "var/lib/dpkg").is_dir():
            raise BrokerError(f"{folder} holds something that is not a Debian chroot: give another --chroot")
        say(f"making a Debian {debian} chroot at {folder}")
        draft = Chroot(folder.with_name(folder.name + ".building"), self.release)
        # The lock's file holds the mark of the last build. If that run was killed, its processes may still write.
        lock.seek(0)
        end(lock.read().strip(), gently=False)
        mark = new_mark()
        lock.truncate(0)
        print(mark, file=lock, flush=True)
        _remove_tree(draft.folder)
        command = ["debootstrap", "--variant=minbase", "--include=rabbitmq-server,erlang-base"]
        command += [debian, str(draft.folder), mirror or mirror_of_apt(), SCRIPT]
        # Debootstrap reads the proxy from the environment, but not from apt's configuration.
        if proxy := proxy_of_apt():
            os.environ.setdefault("http_proxy", proxy)
        try:
            run([*PRIVATE_MOUNTS, *command], log, f"making the {debian} chroot", mark)
            try:
                draft.check()
            except BrokerError as error:
                raise BrokerError(f"{error}; give a --mirror that has it", log) from None
            with (draft.folder / "etc/hosts").open("a") as hosts:
                hosts.write("127.0.0.1 localhost\n")
            _remove_tree(folder)
            draft.folder.rename(folder)
        finally:
            _remove_tree(draft.folder)


def _remove_tree(folder: Path) -> None:
    """Delete a chroot, but nothing that is mounted in it."""
    if not folder.exists():
        return
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if inside := [mount for mount in mounts if Path(mount).is_relative_to(folder.resolve())]:
        raise BrokerError(f"{folder} is to be replaced, but something is mounted at {inside[0]}")
    shutil.rmtree(folder)
