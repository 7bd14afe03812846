"""Certificates of a node, made with the openssl command."""

from pathlib import Path

from live_brokers.processes import run


def make_certificates(folder: Path, log: Path) -> None:
    """Make an authority, a server's certificate and a client's certificate, each with its key.

    Raises:
        BrokerError: openssl is absent or fails.
    """
    folder.mkdir()
    settings = folder / "openssl.cnf"
    settings.write_text("[req]\ndistinguished_name = names\n[names]\n")
    new = ["openssl", "req", "-x509", "-config", str(settings), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    signed = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-addext", "basicConstraints=CA:FALSE"]
    kinds = {
        "ca": ("hutch", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"),
        "server": ("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "extendedKeyUsage=serverAuth"),
        "client": ("guest", "extendedKeyUsage=clientAuth"),
    }
    for name, (common_name, *extensions) in kinds.items():
        key = folder / f"{name}.key"
        files = ["-keyout", str(key), "-out", str(folder / f"{name}.pem")]
        added = [word for extension in extensions for word in ("-addext", extension)]
        command = [*new, "-noenc", "-days", "3650", "-subj", f"/CN={common_name}", *files, *added]
        run(command if name == "ca" else command + signed, log, f"making the certificate of the {name}")
        key.chmod(0o644)  # the tests may run as another user than the broker
