"""A broker as :class:`ServeSettings` describe it."""

from collections.abc import Iterable
from pathlib import Path

from hutch.fakebroker.broker import Broker
from hutch.fakebroker.definitions.importing import import_all, read_definitions
from hutch.fakebroker.definitions.refusals import InvalidDefinitions
from hutch.fakebroker.engine.access.users import ALL
from hutch.fakebroker.engine.origin import OPERATOR
from hutch.fakebroker.serving.settings import ServeSettings, UserSettings, WrongSetting


def make_broker(settings: ServeSettings) -> Broker:
    """The broker. It does not listen, and keeps no history, which nobody could ask it for.

    Raises:
        WrongSetting: something in the settings is wrong.
    """
    begins = settings.names_default or not settings.definitions
    users = (*((settings.default_user,) if begins else ()), *settings.users)
    limited = {permission.user for permission in settings.permissions}
    everywhere = {user.name: user.password for user in users if user.permissions is None and user.name not in limited}
    try:
        broker = Broker(
            settings.profile,
            users=everywhere,
            vhosts=dict.fromkeys((*((settings.default_vhost,) if begins else ()), *settings.vhosts)),
            history_events=0,
            plugins=settings.plugins,
            permit_deprecated_features=settings.features,
            consumer_timeout=settings.consumer_timeout,
            limits=settings.limits,
            definitions=_first(settings.definitions),
        )
    except InvalidDefinitions as error:
        raise _refused(settings.definitions[0], error) from None
    except ValueError as error:
        raise WrongSetting(str(error)) from None
    try:
        import_files(broker, settings.definitions[1:])
        _add_users(broker, users, settings)
        _set_policies(broker, settings)
    except BaseException:
        broker.close()
        raise
    broker.admin.set_loopback_users(*_loopback_users(broker, settings))
    return broker


def _first(files: Iterable[Path]) -> dict[str, object] | None:
    for file in files:
        return _definitions(file)
    return None


def _definitions(file: Path) -> dict[str, object]:
    """What is in a file.

    Raises:
        WrongSetting: it cannot be read, or holds no definitions.
    """
    try:
        return dict(read_definitions(file.read_bytes()))
    except InvalidDefinitions:
        raise WrongSetting(f"{file} holds no JSON object") from None
    except OSError as error:
        raise WrongSetting(f"{file}: {error.strerror}") from None


def import_files(broker: Broker, files: Iterable[Path]) -> None:
    """Import files of definitions.

    Raises:
        WrongSetting: one cannot be read, or RabbitMQ refuses what is in it.
    """
    for file in files:
        definitions = _definitions(file)
        try:
            with broker.hub.turn as node:
                import_all(node, broker.profile, OPERATOR, definitions)
        except InvalidDefinitions as error:
            raise _refused(file, error) from None


def _refused(file: Path, error: InvalidDefinitions) -> WrongSetting:
    return WrongSetting(f"{file}: {' '.join(str(error).split())}")


def _add_users(broker: Broker, users: Iterable[UserSettings], settings: ServeSettings) -> None:
    admin = broker.admin
    limited = {permission.user for permission in settings.permissions}
    for user in users:
        admin.add_user(user.name, user.password, user.tags)
        if user.permissions is not None and user.name not in limited:
            admin.set_permissions(user.name, *user.permissions, vhost=settings.default_vhost)
    for each in settings.permissions:
        try:
            admin.set_permissions(each.user, *each.permissions, vhost=each.vhost)
        except (LookupError, ValueError) as error:
            raise WrongSetting(f"permission of user {each.user!r}: {error.args[0]}") from None


def _set_policies(broker: Broker, settings: ServeSettings) -> None:
    for policy in settings.policies:
        try:
            broker.admin.set_policy(policy.name, policy.pattern, policy.definition, vhost=policy.vhost)
        except (LookupError, ValueError, NotImplementedError) as error:
            raise WrongSetting(f"policy {policy.name!r}: {' '.join(str(error.args[0]).split())}") from None


def _loopback_users(broker: Broker, settings: ServeSettings) -> Iterable[str]:
    """Guest alone has to come from this machine, as long as others need not use that name."""
    if settings.loopback_users is not None:
        return settings.loopback_users
    names = broker.hub.look(lambda: set(broker.hub.node.users))
    return ["guest"] if names - {"guest"} else []


def describe(broker: Broker, settings: ServeSettings) -> list[str]:
    """What the broker is and has, a line each, without passwords."""
    return broker.hub.look(lambda: list(_described(broker, settings)))


def _described(broker: Broker, settings: ServeSettings) -> Iterable[str]:
    node = broker.hub.node
    yield f"RabbitMQ {broker.profile.name} ({broker.profile.amqp091.version})"
    management = () if settings.management is None else (settings.management,)
    kinds = ("AMQP", settings.places), ("AMQP over TLS", settings.tls_places), ("the management API", management)
    for name, places in kinds:
        for place in places:
            yield f"listens for {name} on {place.host}:{place.port}"
    for user in node.users.values():
        tags = f" ({', '.join(user.tags)})" if user.tags else ""
        where = ", ".join(
            vhost if permissions == ALL else f"{vhost} (in part)" for vhost, permissions in user.permissions.items()
        )
        here = " from this machine" if user.name in node.loopback_users else ""
        yield f"user {user.name}{tags} may log in{here}, to {where or 'no virtual host'}"
    for vhost in node.vhosts.values():
        counts = (
            (len(vhost.queues), "queues"),
            (len(vhost.exchanges), "exchanges"),
            (len(vhost.policies.user), "policies"),
        )
        yield f"virtual host {vhost.name}: {', '.join(f'{count} {what}' for count, what in counts)}"
    if broker.profile.enabled_plugins:
        yield f"plugins: {', '.join(sorted(broker.profile.enabled_plugins))}"
    if settings.memory_limit is not None:
        yield f"memory alarm at {settings.memory_limit} bytes of messages"
