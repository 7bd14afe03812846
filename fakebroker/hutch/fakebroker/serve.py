"""``hutch serve``: the broker in the foreground, for any client in any language."""

import argparse
import asyncio
import errno
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from hutch.fakebroker.broker import Broker
from hutch.fakebroker.plugins.enabling import PLUGINS
from hutch.fakebroker.profiles import PROFILES
from hutch.fakebroker.server.ports import bind
from hutch.fakebroker.server.protocol import Listener
from hutch.fakebroker.server.tls import LOGIN_FROM, Tls, server_context

#: A full garbage collection comes with each so many of the generation before, which come with each 7,000 new objects.
_FULL_COLLECTION: Final = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a broker on a TCP port, and on one for TLS if asked, until it is interrupted."""
    parser = argparse.ArgumentParser(
        prog="hutch serve",
        description="Run a broker in the foreground, in place of RabbitMQ. Ctrl-C or SIGTERM stops it.",
        epilog="User and password are guest and guest, also from other machines; the virtual host is /.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=5672, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="4.3", help="RabbitMQ version to be (default: %(default)s)"
    )
    parser.add_argument(
        "--plugin",
        dest="plugins",
        action="append",
        choices=sorted(PLUGINS),
        default=[],
        help="RabbitMQ's name of a plugin to enable; may be given several times",
    )
    group = parser.add_argument_group("TLS", "on a port of its own, beside the other; with a certificate, PEM files")
    group.add_argument("--tls-cert", metavar="FILE", help="the broker's certificate and its chain; turns TLS on")
    group.add_argument("--tls-key", metavar="FILE", help="the key to it (default: in the file of the certificate)")
    group.add_argument(
        "--tls-ca", metavar="FILE", help="authorities whose certificates clients may log in with, by EXTERNAL"
    )
    group.add_argument("--tls-port", type=_port, default=5671, help="0 takes a free one (default: %(default)s)")
    group.add_argument(
        "--tls-login-from",
        choices=LOGIN_FROM,
        default="distinguished_name",
        help="what of a client's certificate is the user name (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    if options.tls_cert is None and (options.tls_key or options.tls_ca):
        parser.error("--tls-key and --tls-ca need --tls-cert")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        tls = _tls(options)
        asyncio.run(_serve(options, tls))
    except _CannotServe as error:
        print(f"hutch serve: {error}", file=sys.stderr)
        return 1
    return 0


class _CannotServe(Exception):
    """What is in the way, in a line."""


def _tls(options: argparse.Namespace) -> Tls | None:
    if options.tls_cert is None:
        return None
    try:
        context = server_context(options.tls_cert, options.tls_key, options.tls_ca)
    except OSError as error:
        raise _CannotServe(f"no TLS with {error.strerror}") from None
    return Tls(context, options.tls_login_from)


def _listen(listener: Listener, host: str, port: int, option: str) -> None:
    try:
        listener.start(bind(host, port), host)
    except OSError as error:
        number = error.errno or 0  # a failed name look-up has negative ones of its own
        reason = os.strerror(number) if number > 0 else error.strerror
        if number == errno.EADDRINUSE:
            reason = f"{reason}; another broker may run there, {option} takes another port (0 a free one)"
        raise _CannotServe(f"cannot listen on {host}:{port}: {reason}") from None
    except UnicodeError:
        raise _CannotServe(f"cannot listen on {host}:{port}: that is no host name") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


async def _serve(options: argparse.Namespace, tls: Tls | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # A full collection takes 0.2 s once a million messages wait. So they come rarely: most garbage has no cycles.
    gc.set_threshold(*gc.get_threshold()[:2], _FULL_COLLECTION)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    # Nobody can ask a served broker for its history, which would hold on to thousands of bodies.
    with Broker(options.profile, history_events=0, plugins=options.plugins) as broker:
        broker.admin.set_loopback_users()  # there is no other user; RabbitMQ's container image does the same
        listeners = [(Listener(broker.hub), options.port, "--port")]
        if tls is not None:
            listeners.append((Listener(broker.hub, tls), options.tls_port, "--tls-port"))
        try:
            for listener, port, option in listeners:
                _listen(listener, options.host, port, option)
            urls = " and ".join(listener.url for listener, _, _ in listeners)
            print(f"hutch serves as RabbitMQ {options.profile} on {urls} (Ctrl-C stops)", flush=True)
            await stopping.wait()
            print("hutch stops", flush=True)
        finally:
            for listener, _, _ in listeners:
                await listener.stop()
