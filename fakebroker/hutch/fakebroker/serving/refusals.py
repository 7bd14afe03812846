"""Why clients are refused, with the option that would let them in."""

import logging
import re
from typing import TYPE_CHECKING, Final

from hutch.fakebroker.engine.client import Client
from hutch.fakebroker.engine.journal import Journal
from hutch.fakebroker.engine.origin import Origin

if TYPE_CHECKING:
    from hutch.fakebroker.engine.node import Node

_log = logging.getLogger("hutch.fakebroker")

_NO_VHOST: Final = re.compile(r"vhost (.*) not found")
_NO_ENTRY: Final = re.compile(r"access to vhost '(.*)' refused for user '(.*)'")
_NO_PERMISSION: Final = re.compile(r"access to (.*) in vhost '(.*)' refused for user '(.*)'")


class Refusals(Journal):
    """Logs refused logins, virtual hosts and permissions in plain words."""

    def __init__(self, node: "Node") -> None:
        self._node: Final = node

    def authentication_failed(self, client: Client, user: str | None, reason: str) -> None:
        """Say what a login lacks."""
        if user is None:
            _log.warning("login from %s refused: %s", client.peer.name, reason)
            return
        _log.warning("login of user %r refused: %s", user, self._lack(user, reason, client.peer.local))

    def refused_over_http(self, user: str, reason: str, local: bool) -> None:
        """Say what a login to the management API lacks."""
        if user in self._node.users and "management user" in reason:
            lack = "the user has no tag that opens it; add one, as in --user NAME:PASSWORD:administrator"
        else:
            lack = self._lack(user, reason, local, ":administrator")
        _log.warning("login of user %r to the management API refused: %s", user, lack)

    def _lack(self, user: str, reason: str, local: bool, tag: str = "") -> str:
        if user not in self._node.users:
            return f"no such user; add --user {user}:PASSWORD{tag}"
        if "blank password" in reason:
            return "the password is empty"
        if user in self._node.loopback_users and not local:
            return "this user may come from this machine alone; add another one with --user NAME:PASSWORD"
        return "wrong password"

    def refused(self, _origin: Origin, _vhost: str, reason: str) -> None:
        """Say what a client lacks that is logged in."""
        if found := _NO_VHOST.search(reason):
            _log.warning("virtual host %r refused: there is none; add --vhost %s", found[1], found[1])
        elif found := _NO_ENTRY.search(reason):
            vhost, user = found.groups()
            option = f"--permission {user} {vhost} '.*' '.*' '.*'"
            _log.warning("virtual host %r refused: user %r has no permissions there; add %s", vhost, user, option)
        elif found := _NO_PERMISSION.search(reason):
            what, vhost, user = found.groups()
            option = f"--permission {user} {vhost} CONFIGURE WRITE READ"
            _log.warning("%s refused: user %r lacks a permission in virtual host %r; see %s", what, user, vhost, option)
