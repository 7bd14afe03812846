"""Tools that know RabbitMQ's management API and nothing of hutch.

Those that keep to a virtual host of their own run on live brokers too.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import amqpstorm.tests.functional
import kombu
import pyrabbit2
import pytest
from amqpstorm import Connection
from amqpstorm.exception import AMQPConnectionError
from amqpstorm.management.api import ManagementApi
from amqpstorm.management.exception import ApiError
from flower.utils.broker import Broker as FlowersBroker

from hutch.fakebroker import Broker
from tests.live import LiveBroker

from .peers import PATIENCE

PROFILES = ("3.10", "4.3")
LOGIN = ("guest", "guest")


@pytest.fixture(params=PROFILES)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with Broker(request.param) as broker:
        yield broker


class Place:
    """A broker for a tool: the URLs of AMQP, without a virtual host, and of the management API, without a login. The
    virtual host and the user are for the tool to make.
    """

    def __init__(self, url: str, management: str) -> None:
        self.url = url.rstrip("/")
        self.management = management
        self.api = ManagementApi(management, *LOGIN, timeout=PATIENCE)
        self.vhost = f"tools-{secrets.token_hex(4)}"
        self.user = f"ann-{secrets.token_hex(4)}"

    @property
    def management_with_login(self) -> str:
        return self.management.replace("://", f"://{':'.join(LOGIN)}@")

    @property
    def address(self) -> str:
        return urlsplit(self.management).netloc

    def clean(self) -> None:
        """Delete what a tool has left."""
        for delete, name in ((self.api.virtual_host.delete, self.vhost), (self.api.user.delete, self.user)):
            with contextlib.suppress(ApiError):
                delete(name)


@pytest.fixture(
    params=[*PROFILES, *(pytest.param(f"live-{version}", marks=pytest.mark.matrix) for version in PROFILES)]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    name: str = request.param
    if name.startswith("live-"):
        live = LiveBroker.named(name.removeprefix("live-"))
        place = Place(live.url, _without_login(live.management))
        yield place
        place.clean()
    else:
        with Broker(name) as broker:
            yield Place(broker.url, broker.management_url)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _wait_for_error(connection: Connection) -> None:
    while True:
        connection.check_for_errors()


#: Tests of amqpstorm that depend on its author's host, or leave this machine.
NOT_HERE = ("test_api_cluster_name", "test_api_with_inaccessible")
#: amqpstorm's tests of its own threads and sockets; they wait for a minute.
OF_ITS_OWN = "test_reliability.py"


class TestAmqpstorm:
    @pytest.mark.slow
    @pytest.mark.timeout(180)
    @pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.0/8 is this machine's on Linux alone")
    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("part", ["the rest", OF_ITS_OWN])
    def test_its_own_tests(self, profile: str, part: str, tmp_path: Path) -> None:
        """Its functional tests, of AMQP and of the management API. They take port 5672, so the broker has an address
        of its own.
        """
        host = f"127.10.{PROFILES.index(profile) + 1}.{1 + (part == OF_ITS_OWN)}"
        folder = Path(amqpstorm.tests.functional.__file__).parent
        chosen = [str(folder / part)] if part == OF_ITS_OWN else [str(folder), f"--ignore={folder / OF_ITS_OWN}"]
        left_out = ("-k", " and ".join(f"not {name}" for name in NOT_HERE))
        with Broker(profile) as broker:
            broker.listen(host, 5672)
            environment = {
                "AMQP_HOST": host,
                "AMQP_USERNAME": LOGIN[0],
                "AMQP_PASSWORD": LOGIN[1],
                "AMQP_URI": f"amqp://{':'.join(LOGIN)}@{host}:5672/%2F",
                "AMQP_HTTP_URL": broker.management_url,
                "AMQP_CAFILE": str(tmp_path / "none"),
            }
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-q",
                    "-rs",
                    "-p",
                    "no:randomly",
                    "-p",
                    "no:hutch",
                    *chosen,
                    *left_out,
                ],
                cwd=tmp_path,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stdout
        passed = re.search(r"([0-9]+) passed", done.stdout)
        assert passed, done.stdout
        assert int(passed[1]) >= (36 if part == OF_ITS_OWN else 116), done.stdout

    def test_its_management_client(self, place: Place) -> None:
        api = place.api
        assert api.overview()["product_name"] == "RabbitMQ"
        assert api.whoami()["name"] == "guest"
        assert api.nodes()[0]["running"]
        api.virtual_host.create(place.vhost)
        api.user.create(place.user, "secret", tags="administrator")
        api.user.set_permission(place.user, place.vhost)
        api.user.set_permission(LOGIN[0], place.vhost)
        assert api.aliveness_test(place.vhost) == {"status": "ok"}
        api.exchange.declare("x", "topic", virtual_host=place.vhost, durable=True)
        api.queue.declare("q", virtual_host=place.vhost, durable=True)
        api.queue.bind("q", "x", "a.#", virtual_host=place.vhost)
        assert api.basic.publish("hello", "a.b", "x", virtual_host=place.vhost)["routed"]
        (message,) = api.basic.get("q", virtual_host=place.vhost, requeue=True, to_dict=True)
        assert isinstance(message, dict)
        assert message["payload"] == "hello"
        assert {each["name"] for each in api.queue.list(virtual_host=place.vhost)} >= {"q"}
        assert {each["source"] for each in api.queue.bindings("q", virtual_host=place.vhost)} == {"", "x"}
        api.queue.purge("q", virtual_host=place.vhost)
        api.queue.unbind("q", "x", "a.#", virtual_host=place.vhost, properties_key="a.%23")
        api.queue.delete("q", virtual_host=place.vhost)
        with pytest.raises(ApiError, match="NOT-FOUND"):
            api.queue.get("q", virtual_host=place.vhost)
        with pytest.raises(ApiError, match="401 Client Error: Unauthorized"):
            ManagementApi(place.management, "nobody", "x").overview()
        api.user.delete(place.user)
        api.virtual_host.delete(place.vhost)

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


def test_kombus_manager(place: Place) -> None:
    parts = urlsplit(place.management)
    options: dict[str, Any] = {"manager_hostname": parts.hostname, "manager_port": parts.port}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager = kombu.Connection(f"{place.url}//", transport_options=options).get_manager()
    try:
        assert manager.get_exchange("/", "amq.topic")["type"] == "topic"
        assert manager.get_overview()["product_name"] == "RabbitMQ"
        manager.create_vhost(place.vhost)
        assert place.vhost in {each["name"] for each in manager.get_all_vhosts()}
        manager.create_user(place.user, "secret", "administrator")
        manager.set_vhost_permissions(place.vhost, place.user, ".*", ".*", ".*")
        assert manager.get_user_permissions(place.user)[0]["vhost"] == place.vhost
        manager.delete_user(place.user)
        manager.delete_vhost(place.vhost)
    finally:
        manager.http.client.close()


def test_pyrabbit2(place: Place) -> None:
    client = pyrabbit2.Client(place.address, *LOGIN, timeout=PATIENCE)
    assert client.get_whoami()["name"] == "guest"
    assert client.get_overview()["product_name"] == "RabbitMQ"
    assert client.get_cluster_name()["name"]
    assert len(client.get_nodes()) == 1
    assert client.get_extensions()
    assert client.create_vhost(place.vhost)
    assert place.vhost in client.get_vhost_names()
    client.create_user(place.user, "secret", tags="policymaker")
    assert place.user in {user["name"] for user in client.get_users()}
    client.set_vhost_permissions(place.vhost, place.user, "", ".*", ".*")
    client.set_vhost_permissions(place.vhost, LOGIN[0], ".*", ".*", ".*")
    assert client.get_permission(place.vhost, place.user)["configure"] == ""
    assert len(client.get_vhost_permissions(place.vhost)) == 2
    assert client.is_alive(place.vhost)
    client.create_exchange(place.vhost, "x", "topic", durable=True)
    client.create_queue(place.vhost, "q", durable=True)
    client.create_binding(place.vhost, "x", "q", rt_key="a.#")
    assert client.publish(place.vhost, "x", "a.b", "hello")
    assert not client.publish(place.vhost, "x", "b", "hello")
    assert client.get_messages(place.vhost, "q", requeue=False)[0]["payload"] == "hello"
    assert client.get_messages(place.vhost, "q") == []
    assert client.get_queue(place.vhost, "q")["durable"]
    assert [queue["name"] for queue in client.get_queues(place.vhost, pattern="^q$", regex=True)] == ["q"]
    client.create_policy(place.vhost, "short", pattern="^q$", definition={"max-length": 1}, **{"apply-to": "queues"})
    assert client.get_policy(place.vhost, "short")["definition"] == {"max-length": 1}
    assert "short" in {policy["name"] for policy in client.get_all_policies()}
    client.purge_queue(place.vhost, "q")
    client.delete_binding(place.vhost, "x", "q", "a.%23")  # the key of the binding's properties
    assert [each["source"] for each in client.get_queue_bindings(place.vhost, "q")] == [""]
    client.delete_policy(place.vhost, "short")
    client.delete_queue(place.vhost, "q")
    client.delete_exchange(place.vhost, "x")
    with pytest.raises(pyrabbit2.http.HTTPError, match=r"404 - .*Object Not Found"):
        client.get_queue(place.vhost, "q")
    with pytest.raises(pyrabbit2.api.PermissionError):
        pyrabbit2.Client(place.address, "nobody", "x").get_overview()
    assert place.vhost in {vhost["name"] for vhost in client.get_definitions()["vhosts"]}
    client.delete_permission(place.vhost, place.user)
    client.delete_user(place.user)
    client.delete_vhost(place.vhost)


CELERY = [sys.executable, "-m", "celery", "-A", "shop"]


class TestFlower:
    def test_its_view_of_queues(self, place: Place) -> None:
        """What its web page asks for, in a virtual host other than the default one."""
        place.api.virtual_host.create(place.vhost)
        place.api.user.set_permission(LOGIN[0], place.vhost)
        place.api.queue.declare("celery", virtual_host=place.vhost, durable=True)
        place.api.queue.declare("other", virtual_host=place.vhost, durable=True)
        broker = FlowersBroker(f"{place.url}/{place.vhost}", http_api=f"{place.management_with_login}/api/")
        (queue,) = asyncio.run(broker.queues(["celery"]))
        assert queue["name"] == "celery"

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Flower takes no free port by itself, and a file's name")
    def test_its_web_page(self, broker: Broker, tmp_path: Path) -> None:
        api = ManagementApi(broker.management_url, *LOGIN)
        api.queue.declare("celery", durable=True)
        for number in range(17):
            api.basic.publish(f"message {number}", "celery")
        (tmp_path / "shop.py").write_text(
            "import os\nfrom celery import Celery\napp = Celery('shop', broker=os.environ['BROKER_URL'])\n"
        )
        with_login = Place(broker.url, broker.management_url).management_with_login
        path = tmp_path / "flower"
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [*CELERY, "flower", f"--unix-socket={path}", f"--broker-api={with_login}/api/"],
                cwd=tmp_path,
                env={**os.environ, "BROKER_URL": broker.url},
                stdout=log,
                stderr=log,
            )
        try:
            page = _get(path, "/broker")
        finally:
            process.terminate()
            process.wait(PATIENCE)
        assert '<tr id="celery">' in page, (tmp_path / "log").read_text()
        assert ">17</td>" in page


def _get(path: Path, target: str) -> str:
    """The page that a program answers on a Unix socket, once it does."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.closing(HTTPConnection("localhost", timeout=PATIENCE)) as client:
        client.sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                client.sock.connect(str(path))
                break
            except OSError:
                assert time.monotonic() < deadline, f"nobody listens on {path}"
                time.sleep(0.05)
        client.request("GET", target)
        answer = client.getresponse()
        assert answer.status == 200
        return answer.read().decode()


NODE_SESSION = Path(__file__).with_name("management_session.js")


def test_node(node: str, place: Place) -> None:
    """A program on Node, with amqplib and fetch."""
    command = [node, str(NODE_SESSION), place.url, place.management_with_login, place.vhost]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "made": [201, 201, 204],
        "queue": {"name": "q", "durable": True},
        "bindings": ["", "x"],
        "routed": True,
        "consumed": ["from the API", "p"],
        "got": ["from amqplib", "application/json"],
        "missing": [404, "Not Found", "Object Not Found", "Not Found"],
        "refused": [401, "Unauthorized"],
        "closed": [
            320,
            'Connection closed: 320 (CONNECTION-FORCED) with message "CONNECTION_FORCED - closed by the API"',
        ],
    }


#: Commands of rabbitmqadmin, each with a part of its output.
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
