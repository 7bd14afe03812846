"""What RabbitMQ says where quorum queues lack something."""

from hutch.fakebroker.engine.errors import BrokerError, not_implemented


def no_get(vhost: str, queue: str, queues: str) -> BrokerError:
    """405 for basic.get where there is a single active consumer (GET-07); ``queues`` is how the type is printed."""
    return BrokerError(
        "RESOURCE_LOCKED",
        f"cannot obtain access to locked queue '{queue}' in vhost '{vhost}'. basic.get operations are not supported by "
        f"{queues} queues with single active consumer",
    )


def no_condition(vhost: str, queue: str, flag: str) -> BrokerError:
    """540 for a condition of queue.delete (QUEUE-DELETE-07)."""
    return not_implemented(
        f"cannot delete queue '{queue}' in vhost '{vhost}'. queue.delete operations with {flag} flag set are not "
        "supported by quorum queues"
    )
