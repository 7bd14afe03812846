"""What a target lends to one case: a place on a broker where nothing has happened yet."""

from typing import Any, Protocol

from hutch.client import Connection
from hutch.conformance.administration import Operator
from hutch.conformance.control import Control
from hutch.conformance.http import Http
from hutch.wire.transport import Transport


class Inapplicable(Exception):
    """What a case needs this target does not have; the message says what."""


class Site(Protocol):
    """One case's place.

    ``patience`` is how many seconds to wait for what must come. ``settled``: what has not happened by now will not
    happen without :meth:`advance`, so asking again is useless. ``secure``: the connections use TLS, over which a broker
    may offer EXTERNAL too.
    """

    profile: str
    vhost: str
    userid: str
    password: str
    patience: float
    settled: bool
    secure: bool

    def connection(self, **kwargs: Any) -> Connection:
        """A client's connection to here, not yet connected."""

    def transport(self) -> Transport:
        """A stream to here, not yet connected."""

    def operator(self) -> Operator:
        """Who administers the broker.

        Raises:
            Inapplicable: nobody can here.
        """

    def http(self) -> Http:
        """The management API.

        Raises:
            Inapplicable: it is not to be had here.
        """

    def control(self) -> Control:
        """What moves the broker itself.

        Raises:
            Inapplicable: nothing does here.
        """

    def name(self, prefix: str) -> str:
        """A name that nothing has here."""

    def remember(self, queue: str) -> None:
        """A queue whose name the broker chose: to be removed with the rest."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""

    def allow(self, seconds: float) -> None:
        """Let this much time pass while something is waited for, in place of what was allowed before."""
