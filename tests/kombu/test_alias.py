"""kombu's own transport ``pyamqp`` on this client: the alias of docs/kombu.md puts it in py-amqp's place."""

import subprocess
import sys
from pathlib import Path

import pytest

from hutch.fakebroker import Broker
from tests import certificates
from tests.pages.blocks import read_page

(BLOCK,) = (block.code for block in read_page("docs/kombu.md") if "sys.modules" in block.code)
#: The code that an application runs before it imports kombu.
ALIAS = BLOCK.partition("import kombu\n")[0]

#: Connects to the URL in the first argument. A second argument switches TLS on.
CONNECT = """
import kombu
from kombu.transport import pyamqp

assert pyamqp.Connection.__mro__[1] is client.Connection

def connect(**options):
    ssl = {"ca_certs": sys.argv[2], "server_hostname": "localhost"} if len(sys.argv) > 2 else False
    return kombu.Connection(sys.argv[1], ssl=ssl, transport_options=options)
"""

QUEUE = """
with connect(confirm_publish=True) as connection:
    assert (connection.transport.driver_name, connection.transport.driver_version()) == ("py-amqp", client.__version__)
    with connection.SimpleQueue("orders") as queue:
        queue.put({"number": 1})
        message = queue.get(timeout=5)
        assert message.payload == {"number": 1}
        message.ack()
    try:
        kombu.Queue("missing", channel=connection).queue_declare(passive=True)
    except connection.channel_errors as error:
        print(type(error).__module__, error.reply_code)
"""

#: Prefetch is 1, so each acknowledgement brings the next message. The first message arrives with the answer to
#: basic.consume, the others with the answer to a timer. If the loop does not notice a message, it sleeps for ever.
LOOP = """
from kombu.asynchronous import Hub

hub = Hub()
numbers = []

def on_message(body, message):
    numbers.append(body)
    message.ack()
    if len(numbers) % 5 == 0 and len(numbers) <= 50:
        hub.call_later(0, ask)

def ask():
    producer.publish("asked", routing_key="numbers")
    queue.queue_declare(passive=True)

def give_up():
    raise SystemExit(f"the loop hears of nothing more: {numbers}")

with connect() as connection:
    queue = kombu.Queue("numbers", channel=connection)
    queue.declare()
    producer = connection.Producer()
    for number in range(50):
        producer.publish(number, routing_key="numbers")
    with connection.Consumer(queue, callbacks=[on_message], prefetch_count=1):
        connection.register_with_event_loop(hub)
        hub.call_later(20, give_up)
        hub.call_repeatedly(0.01, int)  # kombu's loop overlooks a timer that a timer sets until it wakes
        while len(numbers) < 60:
            hub.run_once()
    hub.close()
print(numbers == [*range(50), *["asked"] * 10])
"""


def run(*arguments: str) -> str:
    """Run a program under the alias, with warnings as errors; what it prints."""
    program, *rest = arguments
    command = [sys.executable, "-W", "error", "-c", ALIAS + CONNECT + program, *rest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_publishing_consuming_and_errors() -> None:
    with Broker() as broker:
        assert run(QUEUE, broker.url.replace("amqp://", "pyamqp://")) == "hutch.client.exceptions 404\n"
        assert broker.history.of("acked")


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_kombus_event_loop(profile: str) -> None:
    with Broker(profile) as broker:
        assert run(LOOP, broker.url.replace("amqp://", "pyamqp://")) == "True\n"


def test_kombus_event_loop_over_tls(tmp_path: Path) -> None:
    with Broker() as broker:
        url = broker.listen_tls(certificates.server_context()).replace("amqps://", "pyamqp://")
        assert run(LOOP, url, str(certificates.write(tmp_path).ca)) == "True\n"
