"""RabbitMQ's ``rabbitmq.conf`` and ``enabled_plugins`` (https://www.rabbitmq.com/docs/configure)."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hutch.fakebroker.engine.access.users import Permissions
from hutch.fakebroker.plugins.enabling import PLUGINS
from hutch.fakebroker.serving.settings import Place, ServeSettings, WrongSetting

_UNITS: Final[dict[str, int]] = {
    unit: number
    for power, letter in enumerate("kmgt", 1)
    for unit, number in ((letter, 1024**power), (f"{letter}ib", 1024**power), (f"{letter}b", 1000**power))
} | {"": 1}
#: RabbitMQ's plugins that are always served, or have no effect here.
_BUILT_IN: Final = frozenset(
    {"rabbitmq_auth_mechanism_ssl", "rabbitmq_management", "rabbitmq_management_agent", "rabbitmq_web_dispatch"}
)
_MANAGEMENT: Final = Place("", 15672, "--management-port")
_OPTION: Final = "that line of rabbitmq.conf"


def read_conf(file: Path, settings: ServeSettings) -> ServeSettings:
    """The settings with those of a ``rabbitmq.conf``. A key that means nothing here becomes a warning.

    Raises:
        WrongSetting: a line or a value cannot be read.
        OSError: nor can the file.
    """
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if not text:
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise WrongSetting(f"{file}, line {number}: {text!r} is no KEY = VALUE")
        try:
            settings = _put(key, value.strip("'"), settings, file)
        except WrongSetting as wrong:
            raise WrongSetting(f"{file}, line {number}: {key}: {wrong}") from None
    return settings


def _put(key: str, value: str, settings: ServeSettings, file: Path) -> ServeSettings:
    for pattern, put in _KEYS.items():
        if found := re.fullmatch(pattern, key):
            return put(settings, value, found[1] if found.re.groups else "")
    reason = ": no message is on a disk" if key.startswith("disk_free_limit") else ""
    warning = f"{file}: {key} has no meaning here{reason}"
    return replace(settings, warnings=(*settings.warnings, warning))


_Put = Callable[[ServeSettings, str, str], ServeSettings]


# values


def integer(value: str) -> int:
    """A number.

    Raises:
        WrongSetting: it is none.
    """
    if not re.fullmatch(r"-?[0-9]+", value):
        raise WrongSetting(f"{value!r} is no integer")
    return int(value)


def size(value: str) -> int:
    """A number of bytes, with a unit of RabbitMQ's: ``512MiB``, ``1GB``.

    Raises:
        WrongSetting: it is none.
    """
    found = re.fullmatch(r"([0-9]+) *([a-z]*)", value.lower())
    if not found or found[2] not in _UNITS:
        raise WrongSetting(f"{value!r} is no size; 512MiB is one")
    factor: int = _UNITS[found[2]]
    return int(found[1]) * factor


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise WrongSetting(f"{value!r} is neither true nor false")
    return value == "true"


def _place(value: str) -> Place:
    """``5672``, ``127.0.0.1:5672``, ``::1:5672`` or ``[::1]:5672``."""
    before, _, port = value.rpartition(":")
    number = integer(port)
    if not 0 <= number <= 65535:
        raise WrongSetting(f"{port} is no port (0 to 65535)")
    return Place(before.strip("[]"), number, _OPTION)


def _size_of_machine(value: str) -> int:
    """A share of this machine's memory, in bytes."""
    try:
        share = float(value)
        return int(share * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        raise WrongSetting(f"{value!r} of this machine's memory is unknown; give an absolute size") from None


# keys


def _listener(name: str) -> _Put:
    def put(settings: ServeSettings, value: str, _: str) -> ServeSettings:
        # The first line replaces the default; the next ones add to it.
        kept = tuple(place for place in getattr(settings, name) if place.option == _OPTION)
        changes: dict[str, Any] = {name: () if value == "none" else (*kept, _place(value))}
        return replace(settings, **changes)

    return put


def _default(part: str) -> _Put:
    def put(settings: ServeSettings, value: str, _: str) -> ServeSettings:
        changes: dict[str, Any] = {part: value}
        return replace(settings, default_user=replace(settings.default_user, **changes), names_default=True)

    return put


def _default_vhost(settings: ServeSettings, value: str, _: str) -> ServeSettings:
    return replace(settings, default_vhost=value, names_default=True)


def _default_tag(settings: ServeSettings, value: str, tag: str) -> ServeSettings:
    user = settings.default_user
    tags = tuple(each for each in user.tags if each != tag)
    return replace(settings, default_user=replace(user, tags=(*tags, tag) if _flag(value) else tags))


def _default_permission(settings: ServeSettings, value: str, which: str) -> ServeSettings:
    user = settings.default_user
    before = user.permissions or Permissions(".*", ".*", ".*")
    return replace(settings, default_user=replace(user, permissions=before._replace(**{which: value})))


def _tls(part: str, read: Callable[[str], object]) -> _Put:
    def put(settings: ServeSettings, value: str, _: str) -> ServeSettings:
        changes: dict[str, Any] = {part: read(value)}
        return replace(settings, tls=replace(settings.tls, **changes))

    return put


def _verified(value: str) -> bool:
    if value not in {"verify_peer", "verify_none"}:
        raise WrongSetting(f"{value!r} is neither verify_peer nor verify_none")
    return value == "verify_peer"


def _definitions(settings: ServeSettings, value: str, _: str) -> ServeSettings:
    return replace(settings, definitions=(*settings.definitions, Path(value)))


def _backend(settings: ServeSettings, value: str, _: str) -> ServeSettings:
    if value not in {"local", "local_filesystem"}:
        raise WrongSetting(f"{value!r} is not here; local_filesystem is")
    return settings


def _loopback(settings: ServeSettings, value: str, item: str) -> ServeSettings:
    known = frozenset({"guest"}) if settings.loopback_users is None else settings.loopback_users
    if not item:
        if value != "none":
            raise WrongSetting("none is the only value; loopback_users.NAME = true names a user")
        return replace(settings, loopback_users=frozenset())
    name, is_one = (value, True) if item.isdecimal() else (item, _flag(value))
    return replace(settings, loopback_users=known | {name} if is_one else known - {name})


def _limit(settings: ServeSettings, value: str, name: str) -> ServeSettings:
    number = size(value) if name == "max_message_size" else integer(value)
    return replace(settings, limits={**settings.limits, name: number})


def _timeout(settings: ServeSettings, value: str, _: str) -> ServeSettings:
    return replace(settings, consumer_timeout=None if value == "undefined" else integer(value))


def _memory(read: Callable[[str], int]) -> _Put:
    return lambda settings, value, _: replace(settings, memory_limit=read(value))


def _feature(settings: ServeSettings, value: str, name: str) -> ServeSettings:
    return replace(settings, features={**settings.features, name: _flag(value)})


def _management(settings: ServeSettings, value: str, part: str) -> ServeSettings:
    place = settings.management or _MANAGEMENT
    changed = replace(place, host=value) if part == "ip" else replace(place, port=integer(value))
    return replace(settings, management=changed)


_KEYS: Final[Mapping[str, _Put]] = {
    r"listeners\.tcp(?:\.(.+))?": _listener("places"),
    r"listeners\.ssl(?:\.(.+))?": _listener("tls_places"),
    r"ssl_options\.certfile": _tls("certificate", Path),
    r"ssl_options\.keyfile": _tls("key", Path),
    r"ssl_options\.cacertfile": _tls("authorities", Path),
    r"ssl_options\.verify": _tls("verify", _verified),
    r"ssl_options\.fail_if_no_peer_cert": _tls("required", _flag),
    r"ssl_cert_login_from": _tls("login_from", str),
    r"default_user": _default("name"),
    r"default_pass": _default("password"),
    r"default_vhost": _default_vhost,
    r"default_user_tags\.(.+)": _default_tag,
    r"default_permissions\.(configure|write|read)": _default_permission,
    r"load_definitions|definitions\.local\.path": _definitions,
    r"definitions\.import_backend": _backend,
    r"loopback_users(?:\.(.+))?": _loopback,
    r"(channel_max|frame_max|heartbeat|max_message_size)": _limit,
    r"consumer_timeout": _timeout,
    r"vm_memory_high_watermark\.absolute": _memory(size),
    r"vm_memory_high_watermark(?:\.relative)?": _memory(_size_of_machine),
    r"deprecated_features\.permit\.(.+)": _feature,
    r"management\.(?:tcp|listener)\.(ip|port)": _management,
}


def read_enabled_plugins(file: Path, settings: ServeSettings) -> ServeSettings:
    """The settings with the plugins of an ``enabled_plugins`` file. One that there is not here becomes a warning.

    Raises:
        WrongSetting: the file is no list of names.
        OSError: it cannot be read.
    """
    text = re.sub(r"%.*", "", file.read_text("utf-8")).strip()
    found = re.fullmatch(r"\[([\w\s,']*)\]\s*\.", text)
    if found is None:
        raise WrongSetting(f"{file}: that is no list of plugins; [rabbitmq_management]. is one")
    names = [name.strip(" '\n\t") for name in found[1].split(",") if name.strip()]
    return enable(names, settings, str(file))


def enable(names: list[str], settings: ServeSettings, source: str) -> ServeSettings:
    """The settings with plugins of these names."""
    known = tuple(name for name in names if name in PLUGINS)
    unknown = [name for name in names if name not in PLUGINS and name not in _BUILT_IN]
    warnings = tuple(f"{source}: there is no plugin {name} here" for name in unknown)
    management = settings.management or (_MANAGEMENT if "rabbitmq_management" in names else None)
    return replace(
        settings,
        plugins=(*settings.plugins, *known),
        warnings=(*settings.warnings, *warnings),
        management=management,
    )
