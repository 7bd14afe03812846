"""Deprecated features of RabbitMQ, permitted or denied as its ``deprecated_features.permit.NAME`` does
(https://www.rabbitmq.com/docs/deprecated-features). Each is a switch of the profile.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hutch.fakebroker.engine.errors import BrokerError
from hutch.fakebroker.engine.profiles import Profile

#: Those that show in AMQP 0-9-1, by RabbitMQ's names, with the switches that they are. Where a broker denies
#: ``global_qos``, basic.qos global=true is taken for a consumer's own limit (QOS-06); the others are refused.
DEPRECATED_FEATURES: Final = {
    "global_qos": "shares_global_qos",
    "queue_master_locator": "permits_master_locator",
    "transient_nonexcl_queues": "permits_transient_queues",
}

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


def permitting(profile: Profile, features: Mapping[str, bool]) -> Profile:
    """The profile with deprecated features permitted, or denied, that are not so by default.

    Raises:
        ValueError: the version has no such feature; the message names those it has.
    """
    known = profile.deprecated_features
    for name in features:
        if name not in known:
            there = f"it has {', '.join(map(repr, sorted(known)))}" if known else "it has none"
            raise ValueError(
                f"RabbitMQ {profile.name} has no deprecated feature {name!r} that could be denied; {there}"
            )
    switches: dict[str, Any] = {DEPRECATED_FEATURES[name]: bool(permitted) for name, permitted in features.items()}
    return replace(profile, **switches) if switches else profile


def denied(name: str) -> BrokerError:
    """541 for the use of a deprecated feature that is not permitted."""
    text = f"Feature `{name}` is deprecated.\n{_BEGINNINGS[name]}{_CONTINUE}"
    return BrokerError("INTERNAL_ERROR", text.replace("{name}", name))
