"""Passwords are kept as RabbitMQ keeps them, and its hashes admit."""

from base64 import b64decode

import pytest

from hutch.client import AccessRefused, Connection
from hutch.fakebroker import Broker
from hutch.fakebroker.engine.access import accounts
from hutch.fakebroker.engine.access.passwords import NO_PASSWORD, SHA256, PasswordHash, is_password
from hutch.fakebroker.engine.origin import OPERATOR

#: Hashes of the password "secret", as RabbitMQ's rabbit_password:hash returned them.
RECORDED = {
    SHA256: "OlSUQgQbc7qLTSL2orYNfLmDBUz/UHieG/8q4d5fIQvzS5/c",
    "rabbit_password_hashing_md5": "PasNUBBxbFQGbvY4iBGo/FTH/2M=",
    "rabbit_password_hashing_sha512": (
        "UaIbbrExUZndePv1Y0im3PDMv/j+tDhsIe3UOs8FqDk0x+jqcVETDgDGpEm2ZnjqD9P+q3pfTP1penxH2SHUgwQg2uE="
    ),
}


def log_in(broker: Broker, user: str, password: str) -> None:
    connection = Connection(transport=broker.transport, userid=user, password=password)
    connection.connect()
    connection.close()


@pytest.mark.parametrize("algorithm", RECORDED)
def test_a_hash_of_rabbitmq_admits_its_password_and_no_other(broker: Broker, algorithm: str) -> None:
    kept = PasswordHash(b64decode(RECORDED[algorithm]), algorithm)
    with broker.hub.turn as node:
        accounts.put_user(node, OPERATOR, "ann", kept, ())
    broker.admin.set_permissions("ann")
    log_in(broker, "ann", "secret")
    for wrong in ("Secret", "secret ", ""):
        with pytest.raises(AccessRefused):
            log_in(broker, "ann", wrong)


@pytest.mark.parametrize(
    "kept",
    [NO_PASSWORD, PasswordHash(b"\0\0\0"), PasswordHash(b64decode(RECORDED[SHA256]), "rabbit_password_hashing_none")],
)
def test_what_is_no_hash_admits_nobody(kept: PasswordHash) -> None:
    assert not is_password(kept, "secret")
    assert not is_password(kept, "")


def test_a_broker_keeps_hashes_with_a_salt_for_each(broker: Broker) -> None:
    for name in ("ann", "bob"):
        broker.admin.add_user(name, "secret")
    ann, bob = (broker.hub.node.users[name].password_hash for name in ("ann", "bob"))
    assert ann.algorithm == SHA256
    assert len(ann.salted) == 4 + 32
    assert ann.salted[:4] != bob.salted[:4]
    assert b"secret" not in ann.salted


def test_urls_name_the_password_that_counts(broker: Broker) -> None:
    assert "guest:guest@" in broker.memory_url
    broker.admin.add_user("guest", "other")
    assert "guest:other@" in broker.url
    with broker.hub.turn as node:  # like an import of definitions, which only knows the hash
        accounts.put_user(node, OPERATOR, "guest", node.hash_password("another"), ())
    assert broker.hub.first_login == ("", "", "/")
