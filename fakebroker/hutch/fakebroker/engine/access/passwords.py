"""Passwords as RabbitMQ keeps them: a salt of four bytes, and the hash of salt and password
(https://www.rabbitmq.com/docs/passwords).
"""

from hashlib import md5, sha256, sha512
from hmac import compare_digest
from typing import Final, NamedTuple

SHA256: Final = "rabbit_password_hashing_sha256"
SALT: Final = 4


class PasswordHash(NamedTuple):
    """A salted hash, by an algorithm that RabbitMQ's name stands for. An empty one admits nobody."""

    salted: bytes
    algorithm: str = SHA256


#: The hash of a user who cannot log in by password.
NO_PASSWORD: Final = PasswordHash(b"")


def hash_password(password: str, salt: bytes) -> PasswordHash:
    """The hash to keep in place of a password. ``salt`` is four bytes."""
    return PasswordHash(salt + sha256(salt + password.encode("utf-8", "surrogateescape")).digest())


def is_password(kept: PasswordHash, password: str) -> bool:
    """Whether a hash is that of a password. How long it takes does not tell how much of it is right. An algorithm that
    there is not admits nobody.
    """
    salted, algorithm = kept
    salt = salted[:SALT]
    data = salt + password.encode("utf-8", "surrogateescape")
    if algorithm == SHA256:
        digest = sha256(data).digest()
    elif algorithm == "rabbit_password_hashing_sha512":
        digest = sha512(data).digest()
    elif algorithm == "rabbit_password_hashing_md5":
        digest = md5(data, usedforsecurity=False).digest()
    else:
        return False
    return compare_digest(salt + digest, salted)
