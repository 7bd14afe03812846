"""Packages: what is installed, and installing with apt. The programs are fakes on PATH."""

import os
from pathlib import Path

import pytest

from live_brokers.debian import Apt, mirror_of_apt, package_version, proxy_of_apt, require_host
from live_brokers.reporting import BrokerError
from tests.tools.conftest import Commands

#: Records its arguments, and whether services may start. It succeeds after `update`.
STALE = """
echo "$@" | sed 's/-q -o DPkg::Lock::Timeout=300 //' >> {folder}/calls
cat {folder}/policy > {folder}/policy-seen
case "$*" in
    *update*) touch {folder}/updated; exit 100 ;;
    *) test -e {folder}/updated ;;
esac
"""
INSTALL = "install -y --no-install-recommends rabbitmq-server"


def apt(folder: Path) -> Apt:
    return Apt(folder / "install.log", folder / "policy")


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_an_install_that_fails_is_tried_again_after_an_update(
    tmp_path: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    """The update may fail itself, at one of several sources: the second install decides."""
    commands(apt_get=STALE.format(folder=tmp_path))
    apt(tmp_path).install("rabbitmq-server")
    assert calls(tmp_path) == [INSTALL, "update", INSTALL]
    assert capsys.readouterr().err == "rabbitmq: installing Debian's rabbitmq-server\n"


def test_an_install_that_works_needs_no_update(tmp_path: Path, commands: Commands) -> None:
    commands(apt_get=f'echo "$@" >> {tmp_path}/calls')
    apt(tmp_path).install("openssl", "debootstrap")
    (call,) = calls(tmp_path)
    assert call.endswith("install -y --no-install-recommends openssl debootstrap")


def test_an_install_that_fails_twice_is_told_with_apt_s_output(tmp_path: Path, commands: Commands) -> None:
    commands(apt_get="echo E: no such package; exit 100")
    with pytest.raises(BrokerError, match="installing rabbitmq-server failed: apt-get gave exit status 100") as failure:
        apt(tmp_path).install("rabbitmq-server")
    assert [log.read_text() for log in failure.value.logs] == ["E: no such package\n" * 3]
    assert not (tmp_path / "policy").exists()


def test_no_service_starts_while_a_package_is_installed(tmp_path: Path, commands: Commands) -> None:
    commands(apt_get=STALE.format(folder=tmp_path))
    apt(tmp_path).install("rabbitmq-server")
    assert "exit 101" in (tmp_path / "policy-seen").read_text()
    assert not (tmp_path / "policy").exists()


def test_the_host_s_own_policy_for_services_stays(tmp_path: Path, commands: Commands) -> None:
    commands(apt_get=STALE.format(folder=tmp_path))
    (tmp_path / "policy").write_text("#!/bin/sh\nexit 0\n")
    apt(tmp_path).install("rabbitmq-server")
    assert (tmp_path / "policy").read_text() == (tmp_path / "policy-seen").read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_run_left_is_removed(tmp_path: Path, commands: Commands) -> None:
    commands(apt_get=f"cp {tmp_path}/policy {tmp_path}/policy-seen")
    apt(tmp_path).install("rabbitmq-server")
    (tmp_path / "policy-seen").rename(tmp_path / "policy")
    apt(tmp_path).install("rabbitmq-server")
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize(
    ("printed", "version"),
    [("ii  3.10.8-1.1", "3.10.8-1.1"), ("iU  3.10.8-1.1", ""), ("rc  3.10.8-1.1", ""), ("un  ", ""), ("", "")],
)
def test_only_a_completely_installed_package_has_a_version(commands: Commands, printed: str, version: str) -> None:
    commands(dpkg_query=f'[ "$1" = --admindir=/some/root/var/lib/dpkg ] && printf "{printed}"')
    assert package_version("rabbitmq-server", Path("/some/root")) == version


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("Other|bookworm|main|http://other/\\nDebian|bookworm|main|http://debian/", "http://debian/"),
        ("Debian|bookworm-updates|main|http://debian/", ""),
        ("Debian|bookworm|contrib|http://debian/", ""),
        ("Debian|bookworm|main|cdrom:/", ""),
        ("", ""),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses(commands: Commands, targets: str, mirror: str) -> None:
    commands(apt_get=f"printf '{targets}'")
    assert mirror_of_apt() == mirror


@pytest.mark.parametrize(("printed", "proxy"), [("proxy='http://proxy:3128'", "http://proxy:3128"), ("", "")])
def test_the_proxy_is_the_one_that_apt_uses(commands: Commands, printed: str, proxy: str) -> None:
    commands(apt_config=f'echo "{printed}"')
    assert proxy_of_apt() == proxy


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ID=ubuntu\nVERSION_CODENAME="jammy"\n', "ubuntu jammy"),
        ("ID=debian\nVERSION_CODENAME=trixie\n", "debian trixie"),
        (None, "an unknown system"),
    ],
)
def test_another_system_than_debian_bookworm_is_refused(tmp_path: Path, text: str | None, name: str) -> None:
    if text:
        (tmp_path / "os-release").write_text(text)
    user = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    with pytest.raises(BrokerError, match=rf"needs root on Debian bookworm; this is {user} on {name}$"):
        require_host(tmp_path / "os-release")
