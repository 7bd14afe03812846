"""The exchange types of AMQP."""

from collections.abc import Mapping
from typing import Final

from hutch.fakebroker.engine.exchanges.direct import DirectRouter
from hutch.fakebroker.engine.exchanges.fanout import FanoutRouter
from hutch.fakebroker.engine.exchanges.headers import HEADERS
from hutch.fakebroker.engine.exchanges.kinds import ExchangeType
from hutch.fakebroker.engine.exchanges.topic import TOPIC

#: By the name that exchange.declare gives. A node has these and those of its plugins.
EXCHANGE_TYPES: Final[Mapping[str, ExchangeType]] = {
    "direct": ExchangeType(lambda _exchange, _vhost: DirectRouter()),
    "fanout": ExchangeType(lambda _exchange, _vhost: FanoutRouter()),
    "headers": HEADERS,
    "topic": TOPIC,
}
