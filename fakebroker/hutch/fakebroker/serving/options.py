"""The options of ``hutch serve``."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hutch.fakebroker.engine.access.users import Permissions
from hutch.fakebroker.plugins.enabling import PLUGINS
from hutch.fakebroker.profiles import PROFILES
from hutch.fakebroker.server.tls import LOGIN_FROM
from hutch.fakebroker.serving.logs import FORMATS, LEVELS
from hutch.fakebroker.serving.rabbitmq_conf import read_conf, read_enabled_plugins, size
from hutch.fakebroker.serving.settings import (
    PermissionSettings,
    Place,
    PolicySettings,
    ServeSettings,
    TlsFiles,
    UserSettings,
    WrongSetting,
)
from hutch.fakebroker.serving.without_effect import unread_variables, unused_hosts, unused_keys

_LOCAL: Final = "127.0.0.1"


def make_parser() -> argparse.ArgumentParser:
    """The parser of the options."""
    parser = argparse.ArgumentParser(
        prog="hutch serve",
        description="Run a broker in the foreground, in place of RabbitMQ. Ctrl-C or SIGTERM stops it. SIGHUP imports "
        "the definitions again.",
        epilog="User and password are guest and guest, the virtual host is /, unless options, the variables "
        "RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS and RABBITMQ_DEFAULT_VHOST, or definitions name others. An "
        "option counts before a variable, and a variable before a file. Exit status: 0 when stopped, 1 if it cannot "
        "serve, 2 for wrong options.",
    )
    add = parser.add_argument
    add(
        "--host",
        dest="hosts",
        action="append",
        metavar="HOST",
        help=f"address to listen on, of IPv4 or IPv6; may be given several times (default: {_LOCAL}, which only this "
        "machine reaches)",
    )
    add("--port", type=_port, help="port; 0 takes a free one (default: 5672)")
    add(
        "--management-port",
        type=_port,
        metavar="PORT",
        help="answer RabbitMQ's management API on this port, 15672 for example; 0 takes a free one (default: no API). "
        "It needs the extra hutch[management]",
    )
    add("--profile", choices=sorted(PROFILES), default="4.3", help="RabbitMQ version to be (default: %(default)s)")
    add("--check", action="store_true", help="tell what would be served, and do not serve")
    _add_content(parser)
    _add_settings(parser)
    _add_tls(parser)
    _add_reports(parser)
    return parser


def _add_content(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("users, virtual hosts, definitions", "each may be given several times")
    add = group.add_argument
    add(
        "--user",
        dest="users",
        action="append",
        type=_user,
        default=[],
        metavar="NAME:PASSWORD[:TAG,TAG]",
        help="a user, beside guest. Guest may come from this machine alone then. Without --permission, the user may do "
        "everything",
    )
    add("--vhost", dest="vhosts", action="append", default=[], metavar="NAME", help="a virtual host, beside /")
    add(
        "--permission",
        dest="permissions",
        action="append",
        nargs=5,
        default=[],
        metavar=("USER", "VHOST", "CONFIGURE", "WRITE", "READ"),
        help="what a user may do in a virtual host: three regular expressions",
    )
    add(
        "--policy",
        dest="policies",
        action="append",
        nargs=4,
        default=[],
        metavar=("VHOST", "NAME", "PATTERN", "DEFINITION"),
        help='a policy, DEFINITION in JSON: {"max-length": 100}',
    )
    add(
        "--definitions",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a file that RabbitMQ exported; it takes the place of guest and /",
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings of RabbitMQ")
    add = group.add_argument
    add("--config", type=Path, metavar="FILE", help="a rabbitmq.conf; keys that mean nothing here are named")
    add("--enabled-plugins", type=Path, metavar="FILE", help="RabbitMQ's file of plugins to enable")
    add(
        "--plugin",
        dest="plugins",
        action="append",
        choices=sorted(PLUGINS),
        default=[],
        help="RabbitMQ's name of a plugin to enable; may be given several times",
    )
    add(
        "--permit-feature",
        dest="permitted",
        action="append",
        default=[],
        metavar="NAME",
        help="permit a deprecated feature; may be given several times",
    )
    add(
        "--deny-feature",
        dest="denied",
        action="append",
        default=[],
        metavar="NAME",
        help="deny a deprecated feature; may be given several times",
    )
    add(
        "--consumer-timeout",
        type=_timeout,
        metavar="MS",
        help="milliseconds that a delivery may wait for its acknowledgement, or undefined (default: 1800000)",
    )
    add(
        "--memory-limit",
        type=_size,
        metavar="SIZE",
        help="size of all messages, 512MiB for example, above which publishers are blocked by RabbitMQ's memory alarm "
        "(default: none)",
    )


def _add_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS", "on a port of its own, beside the other; with a certificate, PEM files")
    add = group.add_argument
    add("--tls-cert", type=Path, metavar="FILE", help="the broker's certificate and its chain; turns TLS on")
    add("--tls-key", type=Path, metavar="FILE", help="the key to it (default: in the file of the certificate)")
    add(
        "--tls-ca",
        type=Path,
        metavar="FILE",
        help="authorities whose certificates clients may log in with, by EXTERNAL",
    )
    add(
        "--tls-make-cert",
        type=Path,
        metavar="FOLDER",
        help="make a certificate for this machine with openssl: server.pem and server.key in FOLDER, unless they are "
        "there; turns TLS on. Clients trust server.pem",
    )
    add("--tls-port", type=_port, help="0 takes a free one (default: 5671)")
    add(
        "--tls-login-from",
        choices=LOGIN_FROM,
        help="what of a client's certificate is the user name (default: distinguished_name)",
    )


def _add_reports(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reports")
    add = group.add_argument
    add(
        "--ready-file",
        type=Path,
        metavar="FILE",
        help="file to write once the broker listens, and to delete at the end: JSON with pid, profile and urls",
    )
    add("--log-level", choices=LEVELS, default="info", help="what to log to standard error (default: %(default)s)")
    add("--log-format", choices=FORMATS, default="text", help="a line of text or of JSON each (default: %(default)s)")


# values


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535)")
    return int(text)


def _size(text: str) -> int:
    try:
        return size(text)
    except WrongSetting as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def _timeout(text: str) -> int | None:
    if text == "undefined":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor undefined")
    return int(text)


def _user(text: str) -> UserSettings:
    name, colon, rest = text.partition(":")
    password, _, tags = rest.partition(":")
    if not name or not colon or not password:
        # The text may hold a password.
        raise argparse.ArgumentTypeError("a user is NAME:PASSWORD or NAME:PASSWORD:TAG,TAG")
    return UserSettings(name, password, tuple(tag.strip() for tag in tags.split(",") if tag.strip()))


def _policy(vhost: str, name: str, pattern: str, definition: str) -> PolicySettings:
    try:
        value = json.loads(definition)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WrongSetting(
            f'--policy {name}: the definition {definition!r} is no JSON object; {{"max-length": 9}} is one'
        )
    return PolicySettings(vhost, name, pattern, value)


# putting them together


def settings_of(options: argparse.Namespace, environment: Mapping[str, str]) -> ServeSettings:
    """What files, environment and options ask for, each before the one in front of it.

    Raises:
        WrongSetting: something is wrong.
    """
    settings = ServeSettings(profile=options.profile)
    try:
        if options.config is not None:
            settings = read_conf(options.config, settings)
        if options.enabled_plugins is not None:
            settings = read_enabled_plugins(options.enabled_plugins, settings)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{getattr(error, 'filename', options.config)}: {error}") from None
    settings = _from_environment(settings, environment)
    settings = _listening(settings, options)
    settings = replace(settings, definitions=(*settings.definitions, *options.definitions))
    idle = (*unread_variables(environment), *unused_keys(settings))
    features = dict.fromkeys(options.permitted, True) | dict.fromkeys(options.denied, False)
    changes: dict[str, Any] = {
        name: value
        for name, value in (("consumer_timeout", options.consumer_timeout), ("memory_limit", options.memory_limit))
        if value is not None
    }
    return replace(
        settings,
        users=(*settings.users, *options.users),
        vhosts=(*settings.vhosts, *options.vhosts),
        permissions=tuple(
            PermissionSettings(user, vhost, Permissions(*rest)) for user, vhost, *rest in options.permissions
        ),
        policies=tuple(_policy(*each) for each in options.policies),
        plugins=tuple(dict.fromkeys((*settings.plugins, *options.plugins))),
        features={**settings.features, **features},
        warnings=(*settings.warnings, *idle),
        **changes,
    )


def _from_environment(settings: ServeSettings, environment: Mapping[str, str]) -> ServeSettings:
    """The variables of RabbitMQ's container image."""
    user, password, vhost = (environment.get(f"RABBITMQ_DEFAULT_{name}") for name in ("USER", "PASS", "VHOST"))
    if user is None and password is None and vhost is None:
        return settings
    default = settings.default_user
    named = replace(default, name=user or default.name, password=password or default.password)
    return replace(settings, default_user=named, default_vhost=vhost or settings.default_vhost, names_default=True)


def _listening(settings: ServeSettings, options: argparse.Namespace) -> ServeSettings:
    """Where to listen, and with which certificate."""
    tls, places, tls_places = settings.tls, settings.places, settings.tls_places
    if options.port is not None:
        places = (Place("", options.port, "--port"),)
    given = {"certificate": options.tls_cert, "key": options.tls_key, "authorities": options.tls_ca}
    if options.tls_cert is not None and options.tls_make_cert is not None:
        raise WrongSetting("--tls-cert and --tls-make-cert exclude each other")
    if options.tls_cert is not None or options.tls_make_cert is not None:
        tls = TlsFiles(made_in=options.tls_make_cert, **given)
        tls_places = tls_places or (Place("", 5671, "--tls-port"),)
    elif any(value is not None for value in given.values()):
        raise WrongSetting("--tls-key and --tls-ca need --tls-cert")
    if options.tls_port is not None and tls_places:
        tls_places = (Place("", options.tls_port, "--tls-port"),)
    needs = [option for option in ("tls_port", "tls_login_from") if getattr(options, option) is not None]
    if needs and not tls_places:
        raise WrongSetting(f"--{needs[0].replace('_', '-')} needs --tls-cert or --tls-make-cert")
    if tls_places and tls.certificate is None and tls.made_in is None:
        raise WrongSetting("listeners.ssl needs ssl_options.certfile")
    if options.tls_login_from is not None:
        tls = replace(tls, login_from=options.tls_login_from)
    hosts = options.hosts or [_LOCAL]
    management = settings.management
    if options.management_port is not None:
        management = Place("", options.management_port, "--management-port")
    every = (*places, *tls_places, *(() if management is None else (management,)))
    return replace(
        settings,
        warnings=(*settings.warnings, *unused_hosts(options.hosts, every)),
        places=_on_hosts(places, hosts),
        tls_places=_on_hosts(tls_places, hosts),
        tls=tls,
        management=None if management is None else _on_hosts((management,), hosts[:1])[0],
    )


def _on_hosts(places: Sequence[Place], hosts: Sequence[str]) -> tuple[Place, ...]:
    """The places, those without a host on each of ``hosts``."""
    return tuple(
        each if each.host else replace(each, host=host) for each in places for host in ([""] if each.host else hosts)
    )
