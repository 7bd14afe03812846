"""The settings of a served broker: one value out of options, environment and RabbitMQ's files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hutch.fakebroker.engine.access.users import ALL, Permissions


class WrongSetting(ValueError):
    """A setting that nobody can follow: one line that names it, and what would be right."""


@dataclass(frozen=True)
class Place:
    """Where to listen. Without a ``host`` it is this machine alone. ``option`` is what moves it to another port."""

    host: str
    port: int
    option: str


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for TLS. With ``authorities``, ``verify`` is whether clients' certificates are looked at, and
    ``required`` whether each client needs one. ``made_in`` is the folder to make a certificate in instead.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    verify: bool = True
    required: bool = False
    login_from: str = "distinguished_name"
    made_in: Path | None = None


@dataclass(frozen=True)
class UserSettings:
    """A user. ``permissions`` are for the default virtual host; ``None`` lets the user do everything everywhere."""

    name: str
    password: str = field(repr=False)
    tags: tuple[str, ...] = ()
    permissions: Permissions | None = None


@dataclass(frozen=True)
class PermissionSettings:
    """What a user may do in a virtual host."""

    user: str
    vhost: str
    permissions: Permissions = ALL


@dataclass(frozen=True)
class PolicySettings:
    """A policy for queues and exchanges."""

    vhost: str
    name: str
    pattern: str
    definition: Mapping[str, Any]


@dataclass(frozen=True)
class ServeSettings:
    """All that ``hutch serve`` can be told.

    ``default_user`` and ``default_vhost`` are what RabbitMQ begins with; ``names_default`` is whether somebody named
    them, else definitions take their place. ``loopback_users`` may come from this machine alone; ``None`` is guest,
    once there are other users. ``warnings`` are what was not understood.
    """

    profile: str = "4.3"
    places: tuple[Place, ...] = (Place("", 5672, "--port"),)
    tls_places: tuple[Place, ...] = ()
    tls: TlsFiles = TlsFiles()
    default_user: UserSettings = UserSettings("guest", "guest", ("administrator",))
    default_vhost: str = "/"
    names_default: bool = False
    users: tuple[UserSettings, ...] = ()
    vhosts: tuple[str, ...] = ()
    permissions: tuple[PermissionSettings, ...] = ()
    policies: tuple[PolicySettings, ...] = ()
    definitions: tuple[Path, ...] = ()
    plugins: tuple[str, ...] = ()
    features: Mapping[str, bool] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    consumer_timeout: int | None = 1_800_000
    loopback_users: frozenset[str] | None = None
    memory_limit: int | None = None
    #: Where the management API is served; ``None`` for nowhere.
    management: Place | None = None
    warnings: tuple[str, ...] = ()
