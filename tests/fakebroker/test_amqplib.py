"""amqplib on Node against the broker: amqplib_session.js plays, and what it saw is compared here."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hutch.fakebroker import Broker

from .peers import PATIENCE

SESSION = Path(__file__).with_name("amqplib_session.js")


@pytest.fixture(params=["4.3", "3.10"])
def saw(node: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What amqplib saw of a broker."""
    with Broker(request.param) as broker:
        command = [node, str(SESSION), broker.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_session_of_amqplib(saw: dict[str, Any]) -> None:
    """Declaring, binding, confirms, returns, gets, consumers with a prefetch, requeueing, errors with their codes: on
    live RabbitMQ 3.10.8 and 4.3.6 the session saw the very same.
    """
    assert saw["topology"] == {"queue": "q", "messageCount": 0, "generated": True}
    assert saw["publishing"] == {"returned": [312, "NO_ROUTE", "nowhere", "back"], "nacked": True}
    assert saw["getting"] == {
        "properties": {
            "contentType": "application/json",
            "headers": {"n": 1, "s": "é", "t": {"u": True}},
            "deliveryMode": 2,
            "priority": 3,
            "correlationId": "c",
            "expiration": "60000",
            "timestamp": 1234567890,
        },
        "fields": ["orders", "order.created", False, True],
        "body": "{}",
        "nothing": False,
    }
    assert saw["consuming"] == {
        "deliveries": [[str(number), redelivered] for number in range(4) for redelivered in (False, True)],
        "withinPrefetch": True,
        "left": [0, 0],
    }
    closed = "Channel closed by server: "
    assert saw["errors"] == {
        "missing": [404, f"{closed}404 (NOT-FOUND) with message \"NOT_FOUND - no queue 'missing' in vhost '/'\""],
        "unknownTag": [
            406,
            f'{closed}406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - unknown delivery tag 7"',
        ],
        "refused": "Handshake terminated by server: 403 (ACCESS-REFUSED) with message "
        '"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. '
        'For details see the broker logfile."',
        "recover": [540, 'Connection closed: 540 (NOT-IMPLEMENTED) with message "NOT_IMPLEMENTED - requeue=false"'],
    }
