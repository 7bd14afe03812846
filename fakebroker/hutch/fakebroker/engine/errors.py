"""What the engine raises when it refuses, or cannot do, what it is asked for."""

from typing import Literal

#: RabbitMQ's names of errors.
Name = Literal[
    "ACCESS_REFUSED",
    "COMMAND_INVALID",
    "INTERNAL_ERROR",
    "NOT_ALLOWED",
    "NOT_FOUND",
    "NOT_IMPLEMENTED",
    "PRECONDITION_FAILED",
    "RESOURCE_LOCKED",
]


class BrokerError(Exception):
    """An error by RabbitMQ's name for it, with RabbitMQ's text; "" where there is none. What a client hears of it, and
    what ends with it, is for the protocol that the client speaks.
    """

    def __init__(self, name: Name, text: str = "") -> None:
        super().__init__(name, text)
        self.name: Name = name
        self.text = text

    def __str__(self) -> str:
        return f"{self.name} - {self.text}" if self.text else self.name


def not_found(kind: str, name: str, vhost: str) -> BrokerError:
    """There is no such exchange or queue (EXCH-DECLARE-02, QUEUE-DECLARE-07)."""
    return BrokerError("NOT_FOUND", f"no {kind} '{name}' in vhost '{vhost}'")


def refused(text: str) -> BrokerError:
    """Somebody may not do that, or nobody."""
    return BrokerError("ACCESS_REFUSED", text)


def precondition_failed(text: str) -> BrokerError:
    """It cannot be done as things are."""
    return BrokerError("PRECONDITION_FAILED", text)


def not_allowed(text: str) -> BrokerError:
    """A limit or a rule forbids it."""
    return BrokerError("NOT_ALLOWED", text)


def not_implemented(what: str) -> BrokerError:
    """RabbitMQ's answer to what it lacks, and the emulator's to what it lacks: names what is asked for."""
    return BrokerError("NOT_IMPLEMENTED", what)


def internal_error() -> BrokerError:
    """RabbitMQ's process crashes, and there is no explanation (CONN-FRAME-24)."""
    return BrokerError("INTERNAL_ERROR")
