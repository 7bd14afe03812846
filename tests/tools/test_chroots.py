"""Building and checking chroots. The programs are fakes on PATH."""

import os
import subprocess
from pathlib import Path

import pytest

from live_brokers.chroots import Chroot, require_mounts
from live_brokers.debian import Apt
from live_brokers.installing import install
from live_brokers.processes import MARK, marked
from live_brokers.releases import RELEASES
from live_brokers.reporting import BrokerError
from tests.tools.conftest import Commands, Nodes

#: Replaces unshare --mount --propagation private COMMAND.
UNSHARE = 'shift 3; exec "$@"'
#: debootstrap OPTION OPTION SUITE TARGET MIRROR SCRIPT
DEBOOTSTRAP = """
echo "$@" > {folder}/call
echo "$HUTCH_RABBITMQ_NODE" > {folder}/mark
mkdir -p "$4/usr/bin" "$4/usr/lib/rabbitmq/bin" "$4/var/lib/dpkg" "$4/etc"
touch "$4/usr/bin/erl" "$4/usr/lib/rabbitmq/bin/rabbitmq-server"
chmod +x "$4/usr/lib/rabbitmq/bin/rabbitmq-server"
"""
#: Every package is installed. Everywhere but on the host it has the same version.
DPKG = '[ "$1" = --admindir=/var/lib/dpkg ] && echo "ii 3.10.8-1" || echo "ii {version}"'


@pytest.fixture
def chroot(tmp_path: Path, commands: Commands) -> Chroot:
    commands(
        unshare=UNSHARE,
        debootstrap=DEBOOTSTRAP.format(folder=tmp_path),
        dpkg_query=DPKG.format(version="4.0.5-6"),
        apt_get="echo 'Debian|bookworm|main|http://mirror/debian/'",
        apt_config="",
    )
    return Chroot(tmp_path / "chroots/trixie", RELEASES["4.0"])


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_chroot_is_built_with_its_release_of_debian(chroot: Chroot, tmp_path: Path) -> None:
    assert chroot.version() == ""
    chroot.build("", tmp_path / "log")
    assert chroot.version() == "4.0.5-6"
    assert names(tmp_path / "chroots") == ["trixie", "trixie.lock"]
    words = (tmp_path / "call").read_text().split()
    assert words[2:] == ["trixie", f"{chroot.folder}.building", "http://mirror/debian/", "sid"]
    assert "127.0.0.1 localhost\n" in (chroot.folder / "etc/hosts").read_text()
    # If this run is killed, the next run finds its processes by the mark.
    assert Path(f"{chroot.folder}.lock").read_text() == (tmp_path / "mark").read_text()


def test_a_mirror_that_is_named_is_used(chroot: Chroot, tmp_path: Path) -> None:
    chroot.build("http://other/", tmp_path / "log")
    assert (tmp_path / "call").read_text().split()[4] == "http://other/"


def test_a_complete_chroot_is_not_built_again(chroot: Chroot, tmp_path: Path) -> None:
    chroot.build("", tmp_path / "log")
    (tmp_path / "call").unlink()
    chroot.build("", tmp_path / "log")
    assert not (tmp_path / "call").exists()


def test_an_incomplete_chroot_is_replaced(chroot: Chroot, tmp_path: Path) -> None:
    chroot.build("", tmp_path / "log")
    (chroot.folder / "debootstrap").mkdir()  # debootstrap removes it when it is done
    assert chroot.version() == ""
    chroot.build("", tmp_path / "log")
    assert not (chroot.folder / "debootstrap").exists()


def test_a_folder_with_something_else_is_refused(chroot: Chroot, tmp_path: Path) -> None:
    chroot.folder.mkdir(parents=True)
    (chroot.folder / "thesis.tex").touch()
    with pytest.raises(BrokerError, match="holds something that is not a Debian chroot"):
        chroot.build("", tmp_path / "log")
    assert names(chroot.folder) == ["thesis.tex"]


def test_a_mirror_with_another_series_leaves_nothing_behind(chroot: Chroot, tmp_path: Path, commands: Commands) -> None:
    commands(dpkg_query=DPKG.format(version="4.1.0-1"))
    with pytest.raises(BrokerError, match=r"holds rabbitmq-server 4\.1\.0-1, not 4\.0; give a --mirror that has it"):
        chroot.build("", tmp_path / "log")
    assert names(tmp_path / "chroots") == ["trixie.lock"]


def test_a_debootstrap_that_fails_leaves_nothing_behind(chroot: Chroot, tmp_path: Path, commands: Commands) -> None:
    commands(debootstrap='mkdir -p "$4/usr"; echo E: no mirror; exit 1')
    with pytest.raises(BrokerError, match="making the trixie chroot failed: unshare gave exit status 1"):
        chroot.build("", tmp_path / "log")
    assert names(tmp_path / "chroots") == ["trixie.lock"]
    assert "E: no mirror" in (tmp_path / "log").read_text()


def test_what_a_killed_build_left_at_work_is_ended(chroot: Chroot, tmp_path: Path, mark: str) -> None:
    draft = Path(f"{chroot.folder}.building")
    draft.mkdir(parents=True)
    (draft / "half").touch()
    Path(f"{chroot.folder}.lock").write_text(f"{mark}\n")
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: mark}) as process:
        chroot.build("", tmp_path / "log")
        assert marked(mark) == {}
    assert process.returncode
    assert chroot.version()
    assert not draft.exists()
    assert not (chroot.folder / "half").exists()


def test_a_chroot_of_another_series_is_refused(chroot: Chroot, tmp_path: Path, new_node: Nodes) -> None:
    chroot.build("", tmp_path / "log")
    node = new_node("4.3")
    node.chroot = str(chroot.folder)
    with pytest.raises(BrokerError, match=r"holds rabbitmq-server 4\.0\.5-6, not 4\.3$"):
        install([node], "", Apt(tmp_path / "log", tmp_path / "policy"))


def test_the_right_to_mount_is_needed(commands: Commands) -> None:
    commands(unshare="echo unshare failed: Operation not permitted >&2; exit 1")
    with pytest.raises(BrokerError, match=r"needs the right to mount .*: unshare failed: Operation not permitted$"):
        require_mounts()


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_debootstrap_is_installed_when_a_chroot_is_to_be_built(
    chroot: Chroot, tmp_path: Path, commands: Commands, new_node: Nodes
) -> None:
    dpkg = DPKG.format(version="4.0.5-6")
    commands(dpkg_query=f'case "$*" in *debootstrap) exit 1; esac; {dpkg}', apt_get=f'echo "$@" >> {tmp_path}/calls')
    node = new_node("4.0")
    node.chroot = str(chroot.folder)
    for _ in range(2):
        install([node], "", Apt(tmp_path / "log", tmp_path / "policy"))
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[-1] for call in calls if " install " in call] == ["debootstrap"]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_nodes_get_their_chroots_and_the_host_s_package(chroot: Chroot, tmp_path: Path, new_node: Nodes) -> None:
    host, other = new_node("3.10"), new_node("4.0")
    other.chroot = str(chroot.folder)
    install([host, other], "", Apt(tmp_path / "log", tmp_path / "policy"))
    assert chroot.version() == "4.0.5-6"


def test_a_host_with_another_series_is_refused(commands: Commands, tmp_path: Path, new_node: Nodes) -> None:
    commands(dpkg_query="echo ii 3.8.9-3")
    with pytest.raises(BrokerError, match=r"rabbitmq-server is installed here as 3\.8\.9-3, not 3\.10"):
        install([new_node("3.10")], "", Apt(tmp_path / "log", tmp_path / "policy"))
