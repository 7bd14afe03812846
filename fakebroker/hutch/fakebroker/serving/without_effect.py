"""What was asked for and changes nothing, a warning each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hutch.fakebroker.serving.settings import Place, ServeSettings, TlsFiles

#: Variables that RabbitMQ or its container image reads, and hutch does not.
_VARIABLES: Final = frozenset(
    f"RABBITMQ_{name}"
    for name in (
        "ADVANCED_CONFIG_FILE",
        "CONFIG_FILE",
        "CONFIG_FILES",
        "CONF_ENV_FILE",
        "DEFAULT_PASS_FILE",
        "DEFAULT_USER_FILE",
        "DISK_FREE_LIMIT",
        "DIST_PORT",
        "ENABLED_PLUGINS",
        "ENABLED_PLUGINS_FILE",
        "ERLANG_COOKIE",
        "FEATURE_FLAGS",
        "LOGS",
        "LOG_BASE",
        "MNESIA_BASE",
        "MNESIA_DIR",
        "NODENAME",
        "NODE_IP_ADDRESS",
        "NODE_PORT",
        "PLUGINS_DIR",
        "SERVER_ADDITIONAL_ERL_ARGS",
        "SERVER_ERL_ARGS",
        "SERVER_START_ARGS",
        "USE_LONGNAME",
        "VM_MEMORY_HIGH_WATERMARK",
    )
)


def unread_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Of RabbitMQ's variables."""
    for name in sorted(_VARIABLES & environment.keys()):
        yield f"{name} has no meaning here"


def unused_hosts(hosts: Iterable[str] | None, places: Iterable[Place]) -> Iterator[str]:
    """Of ``--host``, where each listener has an address of its own."""
    if hosts and all(place.host for place in places):
        yield "--host changes nothing: each listener of the rabbitmq.conf has an address of its own"


def unused_keys(settings: ServeSettings) -> Iterator[str]:
    """Of a ``rabbitmq.conf``, whose keys mean something beside others."""
    if not settings.tls_places and settings.tls != TlsFiles():
        yield "ssl_options and ssl_cert_login_from change nothing without listeners.ssl"
    is_default = settings.default_user == ServeSettings().default_user
    if settings.definitions and not settings.names_default and not is_default:
        yield "default_user_tags and default_permissions change nothing: definitions take the place of the default user"
