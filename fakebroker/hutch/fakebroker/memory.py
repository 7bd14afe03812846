"""``memory://`` URLs: for a program that knows its broker by URL alone, and uses hutch's client."""

from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from hutch.wire.transport import Transport
from hutch.wire.url import Address

if TYPE_CHECKING:
    from hutch.fakebroker.broker import Broker

# Without a lock, which a forked child could find taken: each operation on these is one of Python's own.
_numbers: Final = count(1)
_brokers: Final[dict[str, "Broker"]] = {}


def publish_name(broker: "Broker", userid: str, password: str, virtual_host: str) -> str:
    """Make a broker known to this process under a name that no other has; the URL to reach it by."""
    name = f"broker-{next(_numbers)}"
    _brokers[name] = broker
    path = "" if virtual_host == "/" else quote(virtual_host, safe="")
    return f"memory://{quote(userid, safe='')}:{quote(password, safe='')}@{name}/{path}"


def forget_name(broker: "Broker") -> None:
    """Undo :func:`publish_name`; a broker without a name is no error."""
    for name, known in list(_brokers.items()):
        if known is broker:
            _brokers.pop(name, None)


def open_memory(address: Address) -> Transport:
    """A transport to the broker of this name; the opener of the URL scheme ``memory``.

    Raises:
        ConnectionRefusedError: no broker of this process has the name now.
    """
    broker = _brokers.get(address.host)
    if broker is None:
        raise ConnectionRefusedError(f"no broker in this process is named {address.host!r}")
    return broker.transport()
