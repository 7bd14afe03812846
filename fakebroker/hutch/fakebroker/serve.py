"""``hutch serve``: the broker in the foreground, for any client in any language."""

import argparse
import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence

from hutch.fakebroker.broker import Broker
from hutch.fakebroker.engine.profiles import PROFILES
from hutch.fakebroker.server.protocol import Listener


def main(argv: Sequence[str] | None = None) -> int:
    """Run a broker on a TCP port until it is interrupted."""
    parser = argparse.ArgumentParser(
        prog="hutch serve",
        description="Run a broker in the foreground, in place of RabbitMQ. Ctrl-C or SIGTERM stops it.",
        epilog="User and password are guest and guest, the virtual host is /.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=5672, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="4.3", help="RabbitMQ version to be (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(_serve(options.host, options.port, options.profile))
    except OSError as error:
        number = error.errno or 0  # a failed name look-up has negative ones of its own
        reason = os.strerror(number) if number > 0 else error.strerror
        if number == errno.EADDRINUSE:
            reason = f"{reason}; another broker may run there, --port takes another port (0 a free one)"
        return _complain(options.host, options.port, reason)
    except UnicodeError:
        return _complain(options.host, options.port, "that is no host name")
    return 0


def _complain(host: str, port: int, reason: str | None) -> int:
    print(f"hutch serve: cannot listen on {host}:{port}: {reason}", file=sys.stderr)
    return 1


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


async def _serve(host: str, port: int, profile: str) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    # Nobody can ask a served broker for its history, which would hold on to thousands of bodies.
    with Broker(profile, history_limit=0) as broker:
        listener = Listener(broker)
        await listener.start(host, port)
        print(f"hutch serves as RabbitMQ {profile} on {listener.url} (Ctrl-C stops)", flush=True)
        await stopping.wait()
        print("hutch stops", flush=True)
        await listener.stop()
