"""A live broker as a place for cases."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from hutch.client import AMQPError, Connection
from hutch.conformance.administration import Operator
from hutch.conformance.case import PROFILES
from hutch.conformance.control import Control, ControlError, RabbitmqCtl
from hutch.conformance.http import Http
from hutch.conformance.management import Management, ManagementError
from hutch.conformance.site import Inapplicable, Site
from hutch.conformance.targets import (
    KNOWN_PROFILES,
    Names,
    TargetError,
    TargetUnreachable,
    client_to,
    known_profile,
)
from hutch.wire.codes import ReplyCode
from hutch.wire.transport import Transport
from hutch.wire.url import Address, InvalidURL, parse_url


class Live:
    """A live broker at an ``amqp://`` or ``amqps://`` URL, whose options are those of :func:`hutch.client.connect`.

    With ``management_url`` every case gets a virtual host of its own; without, all cases share the URL's, under names
    that nobody else has, and what they made is deleted. ``profile`` is read from the broker's version unless given.
    With ``rabbitmqctl``, a command line that is it for that very node, the cases that need it disturb everybody who is
    connected there; without, they do not apply.

    Raises:
        TargetUnreachable: nobody listens there.
        TargetError: the login or the virtual host is refused, the management API or rabbitmqctl is not usable, or no
            profile fits the version.
    """

    def __init__(
        self,
        url: str,
        management_url: str | None = None,
        profile: str | None = None,
        rabbitmqctl: str | None = None,
    ) -> None:
        self._address = _address(url)
        address = self._address
        self.version, self._cluster_name, named = self._ask(profile)
        self.profile = named
        self.name = f"{address.host}:{address.port} (RabbitMQ {self.version} as {named})"
        self.is_live = True
        #: The management API, or the reason why there is none.
        self._operator: Management | str = "needs the management API (--management)"
        self._rabbitmqctl: RabbitmqCtl | None = None
        #: Names of queues and exchanges that sites could not delete.
        self._left: list[str] = []
        if management_url is not None:
            try:
                self._operator = self._administrator(Management(management_url, address.userid, address.password))
            except ManagementError as error:
                raise TargetError(str(error)) from None
        if isinstance(self._operator, str):
            self._try_default_queue_type()
        if rabbitmqctl is not None:
            try:
                self._rabbitmqctl = RabbitmqCtl(rabbitmqctl)
                self._try_rabbitmqctl(self._rabbitmqctl)
            except ControlError as error:
                raise TargetError(str(error)) from None

    def _ask(self, profile: str | None) -> tuple[str, str, str]:
        """The broker's version, the name of its cluster, and the profile that fits it."""
        address = self._address
        connection = client_to(address, address.virtual_host)
        where = f"{address.host}:{address.port}"
        try:
            connection.connect()
        except AMQPError as error:
            raise TargetError(f"{where}: {error.reply_text or error}") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise TargetUnreachable(reason if where in reason else f"{where}: {reason}") from None
        try:
            properties = connection.server_properties
            version = str(properties.get("version", "of unknown version"))
            cluster_name = str(properties.get("cluster_name", ""))
            if profile is not None:
                return version, cluster_name, known_profile(profile)
            major = version.partition(".")[0]
            for known in PROFILES:
                if properties.get("product") == "RabbitMQ" and known.partition(".")[0] == major:
                    return version, cluster_name, known
            raise TargetError(
                f"{where}: no profile fits {properties.get('product')} {version}; name one of {KNOWN_PROFILES}"
            )
        finally:
            connection.close()

    def _administrator(self, management: Management) -> Management | str:
        """The operator, if the API lets its user be one. An API of another broker is an error at once: one virtual host
        comes and goes.
        """
        if not management.is_administrator():
            return f"needs a user with the tag administrator for the management API, which {management.user!r} lacks"
        with self._own_vhost(management) as site:
            connection = site.connection()
            try:
                connection.connect()
            except (AMQPError, OSError) as error:
                raise TargetError(
                    f"a virtual host made by the management API cannot be opened; is it this broker's? {error}"
                ) from None
            finally:
                connection.collect()
        return management

    def _try_default_queue_type(self) -> None:
        """Cases expect a classic queue where they name no type."""
        with self.site() as site:
            connection, name = site.connection(), site.name("q")
            connection.connect()
            try:
                connection.channel().queue_declare(name, durable=True, auto_delete=False)
                classic = {"x-queue-type": "classic"}
                connection.channel().queue_declare(name, durable=True, auto_delete=False, arguments=classic)
            except AMQPError as error:
                if error.reply_code != ReplyCode.PRECONDITION_FAILED:
                    raise TargetError(f"a queue cannot be declared: {error.reply_text}") from None
                raise TargetError(
                    f"the virtual host {site.vhost!r} has a default queue type, and the cases expect classic queues; "
                    "name another virtual host, or give --management"
                ) from None
            finally:
                connection.collect()

    def _try_rabbitmqctl(self, rabbitmqctl: RabbitmqCtl) -> None:
        """Check that the command restarts the node at the URL, and no other."""
        if (name := rabbitmqctl.cluster_name()) != self._cluster_name:
            raise TargetError(f"rabbitmqctl is that of {name!r}, and the broker at the URL is {self._cluster_name!r}")

    def site(self) -> AbstractContextManager[Site]:
        """A new virtual host, or names of its own in the URL's."""
        return self._shared_vhost() if isinstance(self._operator, str) else self._own_vhost(self._operator)

    @contextmanager
    def _own_vhost(self, management: Management) -> Iterator[Site]:
        unique = _unique()
        with contextlib.ExitStack() as cleanup:
            # The node's own default may differ.
            management.add_vhost(unique, default_queue_type="classic")
            cleanup.callback(management.delete_vhost, unique)
            self._undo_after(cleanup)
            yield _LiveSite(self.profile, self._address, unique, "", management, self._rabbitmqctl)

    @contextmanager
    def _shared_vhost(self) -> Iterator[Site]:
        address, beginning = self._address, f"{_unique()}-"
        site = _LiveSite(self.profile, address, address.virtual_host, beginning, self._operator, self._rabbitmqctl)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(lambda: self._left.extend(site.clear()))
            self._undo_after(cleanup)
            yield site

    def _undo_after(self, cleanup: contextlib.ExitStack) -> None:
        if self._rabbitmqctl is not None:
            cleanup.callback(self._rabbitmqctl.undo)

    def left_behind(self) -> list[str]:
        """What cases have made on the broker that is still there, in words."""
        return self._left + ([] if isinstance(self._operator, str) else self._operator.left())


def _unique() -> str:
    """A name that nothing has on any broker."""
    return f"hutch-{secrets.token_hex(4)}"


class _LiveSite(Names):
    patience = 8.0
    settled = False

    def __init__(
        self,
        profile: str,
        address: Address,
        vhost: str,
        beginning: str,
        operator: Management | str,
        rabbitmqctl: RabbitmqCtl | None,
    ) -> None:
        super().__init__(beginning)
        self._operator = operator
        self._rabbitmqctl = rabbitmqctl
        self.profile = profile
        self.vhost = vhost
        self.userid = address.userid
        self.password = address.password
        self.secure = address.scheme == "amqps"
        self._address = address

    def connection(self, **kwargs: Any) -> Connection:
        return client_to(self._address, **{"virtual_host": self.vhost, **kwargs})

    def transport(self) -> Transport:
        return _stream(self._address)

    def advance(self, seconds: float) -> None:
        """Wait: on a live broker time passes by itself."""
        time.sleep(seconds)

    def allow(self, seconds: float) -> None:
        """Nothing: the wait that follows takes its time."""

    def operator(self) -> Operator:
        if isinstance(self._operator, str):
            raise Inapplicable(self._operator)
        return self._operator

    def http(self) -> Http:
        if isinstance(self._operator, str):
            raise Inapplicable(self._operator)
        return Http(self._operator.url, self._operator.login, self.vhost)

    def control(self) -> Control:
        if self._rabbitmqctl is None:
            raise Inapplicable("needs --rabbitmqctl, to control the broker itself")
        return self._rabbitmqctl

    def clear(self) -> list[str]:
        """Delete what may have been made under the names given out; what could not be deleted, in words."""
        connection = self.connection()
        connection.connect()
        try:
            return [
                f"{kind} '{name}' in virtual host '{self.vhost}'"
                for name in self.given
                for kind in ("queue", "exchange")
                if not self._delete(connection, kind, name)
            ]
        finally:
            connection.close()

    def _delete(self, connection: Connection, kind: str, name: str) -> bool:
        """Whether there is no such queue or exchange now. An exclusive queue outlives its connection for a moment."""
        deadline = time.monotonic() + self.patience
        while True:
            channel = connection.channel()
            try:
                getattr(channel, f"{kind}_delete")(name)
                channel.close()
            except AMQPError as error:
                if error.reply_code == ReplyCode.ACCESS_REFUSED:
                    return not self._is_there(connection, kind, name)
                if time.monotonic() > deadline:
                    return False
            else:
                return True

    def _is_there(self, connection: Connection, kind: str, name: str) -> bool:
        channel = connection.channel()
        try:
            if kind == "queue":
                channel.queue_declare(name, passive=True)
            else:
                channel.exchange_declare(name, "direct", passive=True)
        except AMQPError as error:
            return error.reply_code != ReplyCode.NOT_FOUND
        channel.close()
        return True


def _address(url: str) -> Address:
    try:
        addresses = parse_url(url)
    except InvalidURL as error:
        raise TargetError(str(error)) from None
    if len(addresses) != 1 or addresses[0].scheme not in {"amqp", "amqps"}:
        raise TargetError("the suite runs on one broker, at an amqp:// or amqps:// URL")
    return addresses[0]


def _stream(address: Address) -> Transport:
    connection = client_to(address, address.virtual_host)
    return connection.Transport(connection.host, None, connection.ssl)
