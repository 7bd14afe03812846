"""Start and stop the private live RabbitMQ brokers that the tests and the conformance suite run on.

    tools/rabbitmq start [VERSION ...]    install what is absent, start, wait, print the addresses
    tools/rabbitmq urls [VERSION ...]     print the addresses of the brokers that answer now
    tools/rabbitmq status [VERSION ...]   the same, and tell on stderr how each broker is
    tools/rabbitmq stop [VERSION ...]     end the brokers, and delete their data

Versions are 3.10, 4.0 and 4.3. Without a version, start starts 3.10 and 4.3; the other commands
mean every version. Standard output has nothing but the addresses, as lines that a shell takes:

    HUTCH_RABBITMQ_3_10=amqp://guest:guest@127.0.0.1:PORT/
    HUTCH_RABBITMQ_3_10_MANAGEMENT=http://guest:guest@127.0.0.1:PORT
    HUTCH_RABBITMQ_3_10_TLS=amqps://guest:guest@127.0.0.1:PORT/
    HUTCH_RABBITMQ_3_10_CERTIFICATES=FOLDER
    HUTCH_RABBITMQ_3_10_CTL=COMMAND

and five for each other version. To set these variables:

    urls=$(tools/rabbitmq start) && set -a && eval "$urls" && set +a

Each broker has its default configuration and a few more plugins: management, the
consistent-hash, random, recent-history, sharding and event exchanges, and
auth-mechanism-ssl. It listens on 127.0.0.1 alone, on free ports for AMQP, AMQP over TLS,
management, Erlang distribution and an epmd of its own. So brokers with different --state folders
run beside each other and beside the system's own RabbitMQ. Starting a broker that runs prints
the same addresses again. A broker that was killed starts empty, on the same ports if they are
free.

The folder of certificates has ca.pem, which verifies the broker's certificate for localhost,
127.0.0.1 and ::1. With client.pem and client.key a client logs in as guest by the mechanism
EXTERNAL. A client needs no certificate. The command is rabbitmqctl for this node; it needs root.
Beside it is rabbitmq-plugins, which enables and disables plugins of this node.

3.10 is the rabbitmq-server package of Debian bookworm, installed with apt-get if absent; the
system's service is stopped. 4.0 is the package of Debian trixie and 4.3 that of Debian forky,
each in a chroot that debootstrap makes once. The mounts in the chroot end with the broker.
Starting needs Debian bookworm, root, and the right to mount (in a container: CAP_SYS_ADMIN).

Exit status: 0 done; 1 something failed, and stderr tells what; 2 wrong usage. urls and status
give 0 if every named broker answers (none named: if any answers), else 1.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from live_brokers.debian import Apt, require_host
from live_brokers.installing import install
from live_brokers.launching import limit_open_files, start
from live_brokers.locks import locked
from live_brokers.node import Node
from live_brokers.processes import end, marked, signals_interrupt
from live_brokers.readiness import recovered, running, trouble
from live_brokers.releases import DEFAULT_SERIES, RELEASES
from live_brokers.reporting import BrokerError, report, say


def command_start(nodes: Sequence[Node], options: argparse.Namespace) -> int:
    """Start the nodes that do not run, then print the addresses of all."""
    idle = [node for node in nodes if not recovered(node)]
    if idle:
        require_host()
        for node in idle:
            end(node.mark, gently=False)
            if node.release.in_chroot:
                node.chroot = str(options.chroot or node.release.default_chroot)
        install(idle, options.mirror, Apt(options.state / "install.log"))
        limit_open_files()
        start(idle, options.timeout)
    for node in nodes:
        print(node.urls(), flush=True)
    return 0


def command_stop(nodes: Sequence[Node]) -> int:
    """End the nodes and delete their folders."""
    if not all(node.is_ours for node in nodes):
        raise BrokerError("stopping a broker needs root, or the user who started it")
    for node in nodes:
        if marked(node.mark):
            say(f"stopping {node}")
            end(node.mark, gently=True)
        if node.mark:
            shutil.rmtree(node.folder)
    return 0


def command_urls(nodes: Sequence[Node], options: argparse.Namespace) -> int:
    """Print the addresses of the nodes that answer; `status` also tells how each node is."""
    answering = [node for node in nodes if running(node)]
    for node in nodes:
        if node in answering:
            print(node.urls(), flush=True)
        if options.command == "status":
            pids = " ".join(f"{name}={pid}" for pid, name in sorted(marked(node.mark).items()))
            if node in answering:
                how = f"runs, log {node.log}"
            else:
                how = f"does not run: {trouble(node) or 'its process has ended'}"
            say(f"{node} {how}" + (f" ({pids})" if pids else ""))
    return 0 if answering and (len(answering) == len(nodes) or not options.series) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options; exits with status 2 if they are wrong."""
    variable = os.environ.get
    home = variable("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    parser = argparse.ArgumentParser(
        prog="tools/rabbitmq",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("start", "stop", "status", "urls"))
    parser.add_argument("series", nargs="*", metavar="version", help=", ".join(RELEASES))
    parser.add_argument(
        "--state",
        type=Path,
        default=variable("HUTCH_RABBITMQ_STATE") or f"{home}/hutch-rabbitmq",
        help="folder for records, data and logs (HUTCH_RABBITMQ_STATE; %(default)s)",
    )
    parser.add_argument(
        "--chroot",
        type=Path,
        default=variable("HUTCH_RABBITMQ_CHROOT") or None,
        help="folder of the chroot, if only one is needed (HUTCH_RABBITMQ_CHROOT; default /var/lib/hutch-CODENAME)",
    )
    parser.add_argument(
        "--mirror",
        default=variable("HUTCH_RABBITMQ_MIRROR") or "",
        help="Debian mirror to make chroots from (HUTCH_RABBITMQ_MIRROR; default the one that apt uses)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        help="seconds a broker has to get ready (%(default)s)",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.series) - set(RELEASES):
        parser.error(f"no such version: {', '.join(sorted(unknown))} (there are {', '.join(RELEASES)})")
    options.state = options.state.absolute()
    named = options.series or (DEFAULT_SERIES if options.command == "start" else RELEASES)
    options.releases = [release for series, release in RELEASES.items() if series in named]
    if options.chroot:
        options.chroot = options.chroot.absolute()
        needed = [release.series for release in options.releases if release.in_chroot]
        if options.command == "start" and len(needed) > 1:
            parser.error(f"--chroot is one folder, and {' and '.join(needed)} need one each: start them one by one")
    return options


def carry_out(options: argparse.Namespace) -> int:
    """Do what the options ask for; return the exit status."""
    state: Path = options.state
    if options.command in ("urls", "status"):
        return command_urls([Node.load(state, release) for release in options.releases], options)
    if options.command == "stop" and not state.exists():
        return 0
    with locked(state / "lock"):
        nodes = [Node.load(state, release) for release in options.releases]
        return command_stop(nodes) if options.command == "stop" else command_start(nodes, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words of the command line. Default: those of this process.

    Returns:
        The exit status.
    """
    options = parse(arguments)
    try:
        with signals_interrupt():
            return carry_out(options)
    except BrokerError as failure:
        report(failure)
    except OSError as error:
        say(f"{options.command} failed: {error}")
    except KeyboardInterrupt:
        say("interrupted")
    return 1
