"""Tools that know RabbitMQ's management API and nothing of hutch."""

import contextlib
import json
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import pytest
from amqpstorm import Connection
from amqpstorm.exception import AMQPConnectionError
from amqpstorm.management.api import ManagementApi
from amqpstorm.management.exception import ApiError

from hutch.fakebroker import Broker
from tests.live import LiveBroker

PROFILES = ("3.10", "4.3")


@pytest.fixture(params=PROFILES)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param) as broker:
        yield broker


def _wait_for_error(connection: Connection) -> None:
    while True:
        connection.check_for_errors()


class TestAmqpstorm:
    def test_its_management_client(self, broker: Broker) -> None:
        api = ManagementApi(broker.management_url, "guest", "guest")
        assert api.overview()["product_name"] == "RabbitMQ"
        assert api.whoami()["name"] == "guest"
        assert api.aliveness_test("/") == {"status": "ok"}
        assert api.nodes()[0]["running"]
        api.virtual_host.create("shop")
        api.user.create("ann", "secret", tags="administrator")
        api.user.set_permission("ann", "shop")
        api.exchange.declare("x", "topic", virtual_host="shop", durable=True)
        api.queue.declare("q", virtual_host="shop", durable=True)
        api.queue.bind("q", "x", "a.#", virtual_host="shop")
        assert api.basic.publish("hello", "a.b", "x", virtual_host="shop")["routed"]
        (message,) = api.basic.get("q", virtual_host="shop", requeue=True, to_dict=True)
        assert isinstance(message, dict)
        assert message["payload"] == "hello"
        assert [each["name"] for each in api.queue.list(virtual_host="shop")] == ["q"]
        assert {each["source"] for each in api.queue.bindings("q", virtual_host="shop")} == {"", "x"}
        api.queue.purge("q", virtual_host="shop")
        api.queue.unbind("q", "x", "a.#", virtual_host="shop", properties_key="a.%23")
        api.queue.delete("q", virtual_host="shop")
        with pytest.raises(ApiError):
            api.queue.get("q", virtual_host="shop")
        api.user.delete("ann")
        api.virtual_host.delete("shop")

    def test_it_closes_connections(self, broker: Broker) -> None:
        parts = urlsplit(broker.url)
        connection = Connection(parts.hostname or "", "guest", "guest", port=parts.port or 0)
        api = ManagementApi(broker.management_url, "guest", "guest")
        try:
            connection.channel()
            (told,) = api.connection.list()
            assert len(api.channel.list()) == 1
            api.connection.close(told["name"], "enough")
            with pytest.raises(AMQPConnectionError, match="enough"):
                _wait_for_error(connection)
        finally:
            with contextlib.suppress(AMQPConnectionError):
                connection.close()


def test_kombus_manager(broker: Broker) -> None:
    parts = urlsplit(broker.management_url)
    options: dict[str, Any] = {"manager_hostname": parts.hostname, "manager_port": parts.port}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager = kombu.Connection(broker.url, transport_options=options).get_manager()
    try:
        assert manager.get_exchange("/", "amq.topic")["type"] == "topic"
        assert manager.get_overview()["product_name"] == "RabbitMQ"
        manager.create_vhost("shop")
        assert "shop" in {each["name"] for each in manager.get_all_vhosts()}
        manager.create_user("ann", "secret", "administrator")
        manager.set_vhost_permissions("shop", "ann", ".*", ".*", ".*")
        assert manager.get_user_permissions("ann")[0]["vhost"] == "shop"
        manager.delete_user("ann")
        manager.delete_vhost("shop")
    finally:
        manager.http.client.close()


#: What rabbitmqadmin is asked for, and a part of what it prints.
ADMIN = (
    ("show overview", "rabbitmq_version"),
    ("declare vhost name=shop", "vhost declared"),
    ("declare user name=ann password=secret tags=administrator", "user declared"),
    ("declare permission vhost=shop user=ann configure=.* write=.* read=.*", "permission declared"),
    ("declare queue name=q durable=true", "queue declared"),
    ("declare exchange name=x type=topic", "exchange declared"),
    ("declare binding source=x destination=q routing_key=a.#", "binding declared"),
    ("publish routing_key=a.b exchange=x payload=hello", "Message published"),
    ("publish routing_key=b exchange=x payload=hello", "Message published but NOT routed"),
    ("get queue=q count=5 ackmode=ack_requeue_true", "hello"),
    ("list queues name messages", "| q    | 1        |"),
    ("purge queue name=q", "queue purged"),
    ('declare policy name=p pattern=^q definition={"max-length":3}', "policy declared"),
    ("declare vhost_limit vhost=shop name=max-queues value=5", "vhost_limit declared"),
    *((f"list {what}", "") for what in ("connections", "channels", "consumers", "nodes", "parameters")),
    ("list exchanges", "amq.rabbitmq.trace"),
    ("list bindings", "a.#"),
    ("list users", "ann"),
    ("list permissions", "shop"),
    ("list policies", "max-length"),
    ("list vhost_limits", "max-queues"),
    ("delete binding source=x destination_type=queue destination=q properties_key=a.%23", "binding deleted"),
    ("delete queue name=q", "queue deleted"),
    ("delete exchange name=x", "exchange deleted"),
    ("delete policy name=p", "policy deleted"),
    ("delete user name=ann", "user deleted"),
    ("delete vhost name=shop", "vhost deleted"),
)


@pytest.mark.matrix
def test_rabbitmqadmin(broker: Broker, tmp_path: Path) -> None:
    """The one that the plugin of a live 3.10 serves."""
    command = tmp_path / "rabbitmqadmin"
    with urllib.request.urlopen(f"{_without_login(LiveBroker.named('3.10').management)}/cli/rabbitmqadmin") as answer:
        command.write_bytes(answer.read())
    parts = urlsplit(broker.management_url)

    def admin(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(command), "-H", str(parts.hostname), "-P", str(parts.port), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    for line, printed in ADMIN:
        done = admin(*line.split())
        assert (done.returncode, printed in done.stdout) == (0, True), (line, done)
    exported = tmp_path / "definitions.json"
    assert admin("export", str(exported)).returncode == 0
    assert json.loads(exported.read_text())["users"][0]["name"] == "guest"
    assert admin("import", str(exported)).returncode == 0
    assert "Not found" in admin("delete", "queue", "name=q").stderr
    assert "Access refused" in admin("-u", "nobody", "-p", "x", "list", "queues").stderr


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
