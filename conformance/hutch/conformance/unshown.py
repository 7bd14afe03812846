"""The rows of the behaviour catalogue that no case shows, and why."""

from typing import Final

#: The reason why a behaviour is not shown, by id.
UNSHOWN: Final[dict[str, str]] = {
    "CONN-AUTH-14": "needs a client on another machine, and live brokers that listen to it",
    "CONN-OPEN-06": "needs the process of a virtual host to have died, which no operator brings about",
    "CONN-OPEN-07": "needs a limit in the broker's configuration (connection_max), which is none by default",
    "EXCH-DEFAULT-06": "the listing and the deletion of implicit bindings are the management API's matter",
    "CONSUME-28": "takes minutes, as RabbitMQ looks once in sixty seconds for deliveries that are not acknowledged",
    "CONSUME-32": "needs a limit in the broker's configuration (consumer_max_per_channel), which is none by default",
    "QUEUE-EXCL-07": "deleting a queue by the management API: the case HTTP-QUEUE-15 shows it",
    "POLICY-10": "a request without a pattern is the management API's matter; Broker.admin has none",
    **{f"HTTP-{row:02}": "the management API, whose cases have IDs of their own (HTTP-EP)" for row in range(1, 44)},
}
