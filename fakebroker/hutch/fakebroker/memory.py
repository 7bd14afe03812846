"""``memory://`` URLs: for a program that knows its broker by URL alone, and uses hutch's client."""

from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from hutch.fakebroker.inprocess import Pipe
from hutch.wire.transport import Transport
from hutch.wire.url import Address

if TYPE_CHECKING:
    from hutch.fakebroker.hub import Hub

# There is no lock, because a forked child could inherit it locked. Each operation on these is atomic in Python.
_numbers: Final = count(1)
_hubs: Final[dict[str, "Hub"]] = {}


def publish_name(hub: "Hub", userid: str, password: str, virtual_host: str) -> str:
    """Make a broker known to this process under a name that no other has; the URL to reach it by."""
    name = f"broker-{next(_numbers)}"
    _hubs[name] = hub
    path = "" if virtual_host == "/" else quote(virtual_host, safe="")
    return f"memory://{quote(userid, safe='')}:{quote(password, safe='')}@{name}/{path}"


def forget_name(hub: "Hub") -> None:
    """Undo :func:`publish_name`; a broker without a name is no error."""
    for name, known in list(_hubs.items()):
        if known is hub:
            _hubs.pop(name, None)


def open_memory(address: Address) -> Transport:
    """A transport to the broker of this name; the opener of the URL scheme ``memory``.

    Raises:
        ConnectionRefusedError: no broker of this process has the name now.
    """
    hub = _hubs.get(address.host)
    if hub is None:
        raise ConnectionRefusedError(
            f"no broker in this process is named {address.host!r}; an open broker's memory_url has its name"
        )
    return Pipe(hub)
