"""A certificate for this machine, made on the spot by the command ``openssl``."""

import subprocess
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from hutch.fakebroker.serving.settings import TlsFiles, WrongSetting

_DAYS: Final = 30


def make_certificate(folder: Path, hosts: Iterable[str]) -> TlsFiles:
    """Write ``server.pem`` and ``server.key`` into a folder, unless they are there. A client that trusts
    ``server.pem`` trusts the broker. The certificate is for localhost and for ``hosts``.

    Raises:
        WrongSetting: there is no openssl, or it fails.
    """
    files = TlsFiles(certificate=folder / "server.pem", key=folder / "server.key")
    if (folder / "server.pem").exists() and (folder / "server.key").exists():
        return files
    names = ",".join(_name(host) for host in dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts]))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", str(_DAYS), "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [*command, "-keyout", folder / "server.key", "-out", folder / "server.pem"],
            check=True,
            capture_output=True,
            text=True,
        )
        (folder / "server.key").chmod(0o600)
    except FileNotFoundError:
        raise WrongSetting("a certificate is made by the command openssl, which is not there") from None
    except subprocess.CalledProcessError as error:
        raise WrongSetting(f"openssl makes no certificate: {error.stderr.strip()}") from None
    except OSError as error:
        raise WrongSetting(f"{folder}: {error.strerror}") from None
    return files


def _name(host: str) -> str:
    try:
        ip_address(host)
    except ValueError:
        return f"DNS:{host}"
    return f"IP:{host}"
