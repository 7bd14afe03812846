"""What ``hutch serve`` is told, by options, environment and files, and what comes of it."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hutch.client import AccessRefused, Connection, Message, NotAllowed, PreconditionFailed, connect
from hutch.fakebroker.cli import main
from hutch.wire.url import parse_url
from tests import certificates
from tests.fakebroker.peers import PATIENCE

HUTCH = [sys.executable, "-c", "import sys; from hutch.fakebroker.cli import main; sys.exit(main())"]


class Served:
    """A ``hutch serve`` that runs: its options, the line that it printed, and what it logged."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*HUTCH, "serve", *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **environment},
            )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.urls = [word for word in self.line.split() if "://" in word]

    def connect(self, user: str, password: str, vhost: str = "/", **parameters: Any) -> Connection:
        (address,) = parse_url(self.urls[0])
        connection = Connection(
            host=f"{address.host}:{address.port}", userid=user, password=password, virtual_host=vhost, **parameters
        )
        connection.connect()
        return connection

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what}; the log: {self.log.read_text()}"
            time.sleep(0.01)

    def wait_for_log(self, text: str) -> None:
        self.wait_for(lambda: text in self.log.read_text(), f"{text!r} is not logged")

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts ``hutch serve --port 0`` with options and variables."""
    started: list[Served] = []

    def start(*options: str, **environment: str) -> Served:
        started.append(Served(tmp_path, *([] if "--port" in options else ["--port", "0"]), *options, **environment))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


def check(*options: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What ``--check`` tells."""
    assert main(["serve", "--check", *options]) == 0
    return capsys.readouterr().out.splitlines()


# users, virtual hosts, permissions, policies


def test_users_virtual_hosts_permissions_and_policies(serve: Serve) -> None:
    served = serve(
        *("--user", "app:secret", "--user", "reader:p:monitoring", "--vhost", "shop"),
        *("--permission", "reader", "shop", "", "", ".*"),
        *("--policy", "shop", "short", "^orders$", '{"max-length": 1}'),
    )
    with served.connect("app", "secret", "shop") as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True, auto_delete=False)
        for body in ("one", "two"):
            channel.basic_publish_confirm(Message(body), routing_key="orders")
        assert channel.queue_declare("orders", passive=True).message_count == 1
    with served.connect("reader", "p", "shop") as connection:
        assert connection.channel().basic_get("orders", no_ack=True) is not None
        with pytest.raises(AccessRefused):
            connection.channel().queue_declare("more", durable=True, auto_delete=False)
    for user, password, vhost, error in (
        ("app", "wrong", "/", AccessRefused),
        ("nobody", "p", "/", AccessRefused),
        ("reader", "p", "/", NotAllowed),
        ("app", "secret", "nothing", NotAllowed),
    ):
        with pytest.raises(error):
            served.connect(user, password, vhost)
    served.wait_for_log("virtual host 'nothing' refused: there is none; add --vhost nothing")
    served.wait_for_log("login of user 'app' refused: wrong password")
    served.wait_for_log("login of user 'nobody' refused: no such user; add --user nobody:PASSWORD")
    served.wait_for_log("'/' refused: user 'reader' has no permissions there; add --permission reader / '.*' '.*' '.*'")
    served.wait_for_log("queue 'more' refused: user 'reader' lacks a permission in virtual host 'shop'")
    assert served.stop() == 0
    assert "secret" not in served.line + served.log.read_text()


def test_the_variables_of_the_container_image(serve: Serve) -> None:
    served = serve(RABBITMQ_DEFAULT_USER="app", RABBITMQ_DEFAULT_PASS="s3cret", RABBITMQ_DEFAULT_VHOST="shop")
    assert served.urls[0].startswith("amqp://app@127.0.0.1:")
    assert served.urls[0].endswith("/shop")
    served.connect("app", "s3cret", "shop").close()
    with pytest.raises(AccessRefused):
        served.connect("guest", "guest", "shop")
    assert "s3cret" not in served.line + served.log.read_text()


def test_guest_comes_from_this_machine_alone_once_there_are_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert "user guest (administrator) may log in, to /" in check(capsys=capsys)
    told = check("--user", "app:secret", capsys=capsys)
    assert "user guest (administrator) may log in from this machine, to /" in told
    assert "user app may log in, to /" in told


# definitions


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    file = tmp_path / "definitions.json"
    file.write_text(json.dumps(content("orders")))
    return file


def content(queue: str) -> dict[str, Any]:
    return {
        "vhosts": [{"name": "shop"}],
        "users": [{"name": "app", "tags": "", "password": "secret"}],
        "permissions": [{"user": "app", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*"}],
        "queues": [{"name": queue, "vhost": "shop", "durable": True, "auto_delete": False, "arguments": {}}],
    }


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_definitions_are_served_and_imported_again(serve: Serve, definitions: Path) -> None:
    served = serve("--definitions", str(definitions))
    with served.connect("app", "secret", "shop") as connection:
        assert connection.channel().queue_declare("orders", passive=True).message_count == 0
    with pytest.raises(AccessRefused):
        served.connect("guest", "guest", "shop")
    definitions.write_text(json.dumps(content("more")))
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log("definitions are imported")
    with served.connect("app", "secret", "shop") as connection:
        connection.channel().queue_declare("more", passive=True)
    definitions.write_text("[")
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log("definitions are not imported: ")
    served.connect("app", "secret", "shop").close()
    assert served.stop() == 0


# RabbitMQ's files


def test_a_file_of_rabbitmq(serve: Serve, tmp_path: Path, definitions: Path) -> None:
    conf = tmp_path / "rabbitmq.conf"
    conf.write_text(
        f"""
        # what RabbitMQ's own file may say
        listeners.tcp.local = 127.0.0.1:0
        listeners.tcp.other = ::1:0
        default_user = admin
        default_pass = 'hidden#word'   # quoted
        default_vhost = main
        default_user_tags.administrator = true
        default_permissions.configure = ^a
        loopback_users.guest = false
        load_definitions = {definitions}
        channel_max = 5
        frame_max = 16384
        heartbeat = 7
        max_message_size = 100
        consumer_timeout = 1000
        deprecated_features.permit.transient_nonexcl_queues = false
        vm_memory_high_watermark.absolute = 1GB
        queue_leader_locator = balanced
        """
    )
    served = Served(tmp_path, "--config", str(conf))
    try:
        assert len(served.urls) == 2
        assert "queue_leader_locator has no meaning here" in served.log.read_text()
        assert "has no meaning" not in served.log.read_text().replace("queue_leader_locator has no meaning", "", 1)
        with served.connect("admin", "hidden#word", "main") as connection:
            assert (connection.channel_max, connection.frame_max) == (5, 16384)
            channel = connection.channel()
            channel.queue_declare("a", durable=True, auto_delete=False)
            with pytest.raises(PreconditionFailed, match="message size 101 is larger than configured max size 100"):
                channel.basic_publish_confirm(Message("x" * 101), routing_key="a")
            with pytest.raises(AccessRefused):
                connection.channel().queue_declare("b", durable=True, auto_delete=False)
        served.connect("app", "secret", "shop").close()
        assert "hidden" not in served.line + served.log.read_text()
    finally:
        served.stop()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("listeners.tcp.default", "'listeners.tcp.default' is no KEY = VALUE"),
        ("listeners.tcp.default = amqp", "listeners.tcp.default: 'amqp' is no integer"),
        ("listeners.tcp.default = 65536", "listeners.tcp.default: 65536 is no port (0 to 65535)"),
        ("heartbeat = often", "heartbeat: 'often' is no integer"),
        ("max_message_size = big", "max_message_size: 'big' is no size; 512MiB is one"),
        ("loopback_users = guest", "loopback_users: none is the only value"),
        ("definitions.import_backend = https", "'https' is not here; local_filesystem is"),
        ("ssl_options.verify = yes", "ssl_options.verify: 'yes' is neither verify_peer nor verify_none"),
        ("deprecated_features.permit.x = 1", "deprecated_features.permit.x: '1' is neither true nor false"),
        ("vm_memory_high_watermark.relative = half", "'half' of this machine's memory is unknown"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, complaint: str
) -> None:
    conf = tmp_path / "rabbitmq.conf"
    conf.write_text(f"\n{line}\n")
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--check", "--config", str(conf)])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"{conf}, line 2: " in told
    assert complaint in told


def test_options_count_before_variables_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "rabbitmq.conf"
    conf.write_text("listeners.tcp.default = 1\ndefault_user = filed\ndefault_pass = p\nlisteners.ssl = none\n")
    told = check("--config", str(conf), capsys=capsys)
    assert "listens for AMQP on 127.0.0.1:1" in told
    assert "user filed (administrator) may log in, to /" in told
    monkeypatch.setenv("RABBITMQ_DEFAULT_USER", "varied")
    told = check("--config", str(conf), "--port", "2", "--host", "::1", capsys=capsys)
    assert "listens for AMQP on ::1:2" in told
    assert "user varied (administrator) may log in, to /" in told


def test_a_file_of_plugins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")  # in case another test raised the root logger's level
    file = tmp_path / "enabled_plugins"
    file.write_text("[rabbitmq_management, rabbitmq_random_exchange,\n 'rabbitmq_mqtt']. % three\n")
    assert "plugins: rabbitmq_random_exchange" in check("--enabled-plugins", str(file), capsys=capsys)
    assert [record.getMessage() for record in caplog.records] == [f"{file}: there is no plugin rabbitmq_mqtt here"]
    file.write_text("rabbitmq_management")
    with pytest.raises(SystemExit):
        main(["serve", "--check", "--enabled-plugins", str(file)])
    assert "that is no list of plugins" in capsys.readouterr().err


# features, timeouts, memory


def test_features_and_timeouts(serve: Serve) -> None:
    served = serve("--deny-feature", "transient_nonexcl_queues", "--permit-feature", "global_qos")
    with served.connect("guest", "guest") as connection:
        channel = connection.channel()
        channel.basic_qos(0, 5, True)
        with pytest.raises(Exception, match="transient_nonexcl_queues"):
            channel.queue_declare("q", durable=False, auto_delete=False)
    assert main(["serve", "--check", "--consumer-timeout", "undefined"]) == 0


def test_too_many_messages_raise_the_memory_alarm(serve: Serve) -> None:
    served = serve("--memory-limit", "100KiB")
    with served.connect("guest", "guest") as publisher, served.connect("guest", "guest") as consumer:
        channel = publisher.channel()
        channel.queue_declare("q", durable=True, auto_delete=False)
        for _ in range(3):
            channel.basic_publish_confirm(Message("x" * 50_000), routing_key="q")
        served.wait_for_log("memory alarm: messages take up")
        channel.basic_publish(Message("blocked"), routing_key="q")
        other = consumer.channel()
        assert other.queue_declare("q", passive=True).message_count == 3
        other.queue_purge("q")
        served.wait_for_log("memory alarm ends")
        served.wait_for(
            lambda: other.queue_declare("q", passive=True).message_count == 1, "the publisher stays blocked"
        )


# listening, TLS, reports


def test_it_listens_on_several_addresses_and_says_so_in_a_file(serve: Serve, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    served = serve("--host", "127.0.0.1", "--host", "::1", "--ready-file", str(ready))
    told = json.loads(ready.read_text())
    assert told == {"pid": served.process.pid, "profile": "4.3", "urls": served.urls}
    assert [parse_url(url)[0].host for url in served.urls] == ["127.0.0.1", "::1"]
    for url in served.urls:
        connect(url).close()
    assert served.stop() == 0
    assert not ready.exists()
    assert "every host that reaches" not in served.log.read_text()


def test_the_management_api_is_answered(
    serve: Serve, definitions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = serve("--management-port", "0")
    url = served.urls[1].replace("://", "://guest:guest@")
    with served.connect("guest", "guest") as connection:
        connection.channel().queue_declare("q", durable=True, auto_delete=False)
        assert main(["definitions", "import", url, str(definitions)]) == 0
        exported = tmp_path / "exported.json"
        assert main(["definitions", "export", url, "--output", str(exported)]) == 0
        assert {queue["name"] for queue in json.loads(exported.read_text())["queues"]} == {"q", "orders"}
        assert main(["definitions", "diff", str(exported), url]) == 0
    served.connect("app", "secret", "shop").close()
    for name, reason in (
        ("app", "the user has no tag that opens it; "),
        ("bob", "no such user; add --user bob:PASSWORD:administrator"),
    ):
        login = url.replace("guest:guest", f"{name}:secret")
        assert main(["definitions", "export", login]) != 0
        served.wait_for_log(f"login of user {name!r} to the management API refused: {reason}")
    assert main(["definitions", "export", url.replace("guest:guest", "guest:bad-secret")]) != 0
    served.wait_for_log("login of user 'guest' to the management API refused: wrong password")
    assert "bad-secret" not in served.log.read_text()
    assert served.stop() == 0


@pytest.mark.parametrize("text", ["management.tcp.port = 7", "management.listener.port = 7"])
def test_files_ask_for_the_management_api(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    conf, plugins = tmp_path / "rabbitmq.conf", tmp_path / "enabled_plugins"
    conf.write_text(f"{text}\n")
    assert "listens for the management API on 127.0.0.1:7" in check("--config", str(conf), capsys=capsys)
    plugins.write_text("[rabbitmq_management].")
    told = check("--enabled-plugins", str(plugins), "--host", "::1", capsys=capsys)
    assert "listens for the management API on ::1:15672" in told
    assert not any("management" in line for line in check(capsys=capsys))


def test_other_machines_are_let_in_with_a_warning(serve: Serve) -> None:
    served = serve("--host", "0.0.0.0")
    served.wait_for_log("listens on 0.0.0.0: every host that reaches this machine may connect")


def test_a_certificate_is_made_on_the_spot(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    served = serve("--tls-make-cert", str(folder), "--tls-port", "0")
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    address = parse_url(served.urls[1])[0]
    with socket.create_connection((address.host, address.port or 0), PATIENCE) as sock:
        context.wrap_socket(sock, server_hostname="localhost").close()
    made = (folder / "server.pem").read_bytes()
    served.stop()
    assert main(["serve", "--check", "--tls-make-cert", str(folder)]) == 0
    assert (folder / "server.pem").read_bytes() == made


def test_clients_may_have_to_show_a_certificate(serve: Serve, tmp_path: Path) -> None:
    files = certificates.write(tmp_path, certificates.client_certificate("guest"))
    conf = tmp_path / "rabbitmq.conf"
    conf.write_text(
        f"listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:0\nssl_options.certfile = {files.server}\n"
        f"ssl_options.keyfile = {files.server_key}\nssl_options.cacertfile = {files.ca}\n"
        "ssl_options.fail_if_no_peer_cert = true\nssl_cert_login_from = common_name\n"
    )
    served = Served(tmp_path, "--config", str(conf))
    try:
        (url,) = served.urls
        known = {"ca_certs": files.ca, "certfile": files.client, "keyfile": files.client_key}
        connect(url, ssl=known, login_method="EXTERNAL").close()
        with pytest.raises(OSError):  # noqa: PT011
            connect(url, ssl={"ca_certs": files.ca})
    finally:
        served.stop()


def test_the_log_may_be_lines_of_json(serve: Serve) -> None:
    served = serve("--log-format", "json", "--log-level", "warning")
    with pytest.raises(AccessRefused):
        served.connect("app", "x")
    served.wait_for_log("no such user")
    served.stop()
    (line,) = map(json.loads, served.log.read_text().splitlines())
    assert line["level"] == "warning"
    assert line["message"] == "login of user 'app' refused: no such user; add --user app:PASSWORD"
    assert line["time"].endswith("+00:00")


# wrong options


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--user", "app"], "a user is NAME:PASSWORD or NAME:PASSWORD:TAG,TAG"),
        (["--policy", "/", "p", "q", "max"], "--policy p: the definition 'max' is no JSON object"),
        (["--consumer-timeout", "soon"], "'soon' is neither milliseconds nor undefined"),
        (["--memory-limit", "lots"], "'lots' is no size; 512MiB is one"),
        (["--tls-key", "server.key"], "--tls-key and --tls-ca need --tls-cert"),
        (["--tls-port", "0"], "--tls-port needs --tls-cert or --tls-make-cert"),
        (["--tls-login-from", "common_name"], "--tls-login-from needs --tls-cert or --tls-make-cert"),
        (["--tls-cert", "a", "--tls-make-cert", "b"], "--tls-cert and --tls-make-cert exclude each other"),
        (["--config", "nothing.conf"], "nothing.conf"),
    ],
)
def test_wrong_options_are_told(capsys: pytest.CaptureFixture[str], options: list[str], complaint: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *options])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--policy", "/", "p", "[", '{"max-length": 1}'], "policy 'p': Validation failed pattern should be regular"),
        (["--policy", "shop", "p", "q", '{"max-length": 1}'], "policy 'p': no vhost 'shop'; there are: '/'"),
        (["--permission", "app", "/", "", "", ""], "permission of user 'app': no user 'app'; there are: 'guest'"),
        (["--permission", "guest", "/", "[", "", ""], "permission of user 'guest': '[' is no regular expression"),
        (["--deny-feature", "nonsense"], "RabbitMQ 4.3 has no deprecated feature 'nonsense'"),
        (["--definitions", "nothing.json"], "nothing.json: No such file or directory"),
        (["--definitions", __file__], "test_serve_options.py holds no JSON object"),
        (["--tls-cert", "nothing.pem"], "no TLS with nothing.pem: No such file or directory"),
        (["--consumer-timeout", "0"], "consumer_timeout takes milliseconds"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert main(["serve", "--check", *options]) == 1
    told = capsys.readouterr().err
    assert f"hutch serve: {complaint}" in told or complaint in told
    assert told.count("\n") == 1


def test_a_limit_out_of_range_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "rabbitmq.conf"
    conf.write_text("channel_max = 0\n")
    assert main(["serve", "--check", "--config", str(conf)]) == 1
    assert capsys.readouterr().err == "hutch serve: channel_max takes 1 to 65535, not 0\n"
