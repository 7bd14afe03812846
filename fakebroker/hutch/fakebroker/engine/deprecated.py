"""Deprecated features of RabbitMQ, permitted or denied as its ``deprecated_features.permit.NAME`` does
(https://www.rabbitmq.com/docs/deprecated-features). Each is a switch of the profile.
"""

from typing import Final

from hutch.fakebroker.engine.errors import BrokerError

_CONTINUE = (
    "To continue using this feature when it is not permitted by default, set the following parameter in your "
    'configuration:\n    "deprecated_features.permit.{name} = true"'
)
_BEGINNINGS: Final = {
    "queue_master_locator": (
        "By default, this feature is not permitted anymore.\nThe feature will be removed from a future major RabbitMQ "
        "version, regardless of the configuration; actual version to be determined.\n"
    ),
    "transient_nonexcl_queues": (
        "Its use is not permitted per the configuration (overriding the default, which is permitted):\n"
        '    "deprecated_features.permit.{name} = false"\nIts use will not be permitted by default in a future minor '
        "RabbitMQ version and the feature will be removed from a future major RabbitMQ version; actual versions to be "
        "determined.\n"
    ),
}


def denied(name: str) -> BrokerError:
    """541 for the use of a deprecated feature that is not permitted."""
    text = f"Feature `{name}` is deprecated.\n{_BEGINNINGS[name]}{_CONTINUE}"
    return BrokerError("INTERNAL_ERROR", text.replace("{name}", name))
