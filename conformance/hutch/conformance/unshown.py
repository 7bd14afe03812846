"""The rows of the behaviour catalogue that no case shows, and why."""

from typing import Final

#: Why a row is not shown, by its id.
UNSHOWN: Final[dict[str, str]] = {
    "CONSUME-32": "needs a limit in the broker's configuration (consumer_max_per_channel), which is none by default",
    "POLICY-10": "a request without a pattern is the management API's matter; Broker.admin has none",
}
