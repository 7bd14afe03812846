"""The errors that users meet first, each with its whole text, where users meet it: what is wrong, the value, what would
be right. Texts of RabbitMQ's are RabbitMQ's own.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hutch.client import Connection, Message, connect
from hutch.fakebroker import Broker, InvalidPolicy
from hutch.fakebroker.cli import main
from hutch.pytest_plugin import FakeBroker
from hutch.pytest_plugin.settings import SETTINGS

from .pytest_plugin.runs import ALONE

pytest_plugins = ["pytester"]

PROFILES = "'3.10', '4.3'"
CLOCKS = "'manual', 'frozen', 'auto', 'ticking', 'system'"
NAMES = ", ".join(SETTINGS)
ARGUMENTS = ", ".join(map(repr, SETTINGS))
PLUGINS = (
    "'rabbitmq_consistent_hash_exchange', 'rabbitmq_delayed_message_exchange', 'rabbitmq_event_exchange', "
    "'rabbitmq_random_exchange', 'rabbitmq_recent_history_exchange', 'rabbitmq_sharding'"
)
REFUSED = "Login was refused using authentication mechanism AMQPLAIN. For details see the broker logfile."
SHUTDOWN = "(320) CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
IN_PASSWORD = "in a password, / ? ; are written %2F %3F %3B"


def text_of(call: Callable[[], object], error: type[Exception]) -> str:
    """The text of the error that a call raises."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        yield port


class TestSettingsOfTheFixture:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ("profile='4.9'", f"profile '4.9' is unknown; choose from {PROFILES}"),
            ("profile=4.3", f"profile 4.3 is unknown; choose from {PROFILES} (in quotes)"),
            ("profile='3.1'", f"profile '3.1' is unknown; did you mean '3.10'? choose from {PROFILES}"),
            ("clock='frozzen'", f"clock 'frozzen' is unknown; did you mean 'frozen'? choose from {CLOCKS}"),
            ("clock=5", "clock takes a clock, for example ManualClock(), or None, not 5"),
            ("leftovers='explode'", "leftovers 'explode' is unknown; choose from 'ignore', 'warn', 'fail'"),
            ("profil='4.3'", f"argument 'profil' is unknown; did you mean 'profile'? choose from {ARGUMENTS}"),
            ("vhost=['shop']", f"argument 'vhost' is unknown; did you mean 'vhosts'? choose from {ARGUMENTS}"),
            (
                "plugins=['rabbitmq_shardin']",
                f"plugin 'rabbitmq_shardin' is unknown; did you mean 'rabbitmq_sharding'? choose from {PLUGINS}",
            ),
            (
                "plugins='rabbitmq_sharding'",
                "plugins takes a collection of names, for example ('rabbitmq_sharding',), not 'rabbitmq_sharding'",
            ),
            ("vhosts='shop'", "vhosts takes a collection of names, for example ('shop',), not 'shop'"),
            ("vhosts=None", "vhosts takes a collection of names, for example ('shop',), not None"),
            ("vhosts=[5]", "a name in vhosts is a text, not 5"),
            ("users='ann'", "users takes passwords by user name, for example {'guest': 'guest'}, not 'ann'"),
            ("users={'ann': None}", "the password of user 'ann' is a text, not None"),
            ("consumer_timeout='5'", "consumer_timeout takes milliseconds, 1 or more, or None for none, not '5'"),
            (
                "permit_deprecated_features=['global_qos']",
                (
                    "permit_deprecated_features takes booleans by name, "
                    "for example {'transient_nonexcl_queues': False}, not ['global_qos']"
                ),
            ),
            ("definitions=[]", "definitions takes RabbitMQ's definitions, or the path of such a file, not []"),
            ("'4.3'", f"takes keyword arguments only ({NAMES}), not '4.3'"),
        ],
    )
    def test_of_the_marker(self, pytester: pytest.Pytester, arguments: str, text: str) -> None:
        pytester.makepyfile(
            f"import pytest\n\n@pytest.mark.fakebroker({arguments})\ndef test_one(fakebroker):\n    pass\n"
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(errors=1)
        assert f"@pytest.mark.fakebroker: {text}" in result.outlines

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (
                "permit_deprecated_features={'global_qoss': False}",
                (
                    "RabbitMQ 4.3 has no deprecated feature 'global_qoss' that could be denied; it has 'global_qos', "
                    "'queue_master_locator', 'transient_nonexcl_queues'"
                ),
            ),
            ("definitions='missing.json'", "[Errno 2] No such file or directory: 'missing.json'"),
            ("definitions='test_it.py'", "RabbitMQ refuses the definitions in 'test_it.py': failed_to_parse_json"),
            (
                "definitions={'permissions': [PERMISSION | {'user': 'gest'}]}",
                """RabbitMQ refuses the definitions: {no_such_user,<<"gest">>}\n'gest': did you mean 'guest'?""",
            ),
            (
                "vhosts=['shop'], definitions={'permissions': [PERMISSION | {'vhost': 'shp'}]}",
                (
                    "RabbitMQ refuses the definitions: "
                    'Please create virtual host "shp" prior to importing definitions.\n'
                    "'shp': did you mean 'shop'?"
                ),
            ),
            (
                "definitions={'permissions': [PERMISSION | {'read': '('}]}",
                """RabbitMQ refuses the definitions: {invalid_regexp,"(",{"missing closing parenthesis",1}}""",
            ),
            (
                "definitions={'policies': [POLICY | {'definition': {'max-lenght': 1}}]}",
                (
                    "RabbitMQ refuses the definitions: Validation failed\n\n"
                    """[{<<"max-lenght">>,1}] are not recognised policy settings\n (vhost: "/" key: "p")\n"""
                    "'max-lenght': did you mean 'max-length'?"
                ),
            ),
        ],
    )
    def test_that_fit_only_with_one_another(self, pytester: pytest.Pytester, arguments: str, text: str) -> None:
        pytester.makepyfile(
            test_it=f"""
            import pytest

            PERMISSION = {{"user": "guest", "vhost": "/", "configure": "", "write": "", "read": ""}}
            POLICY = {{"name": "p", "vhost": "/", "pattern": "", "definition": {{}}}}

            @pytest.mark.fakebroker({arguments})
            def test_one(fakebroker):
                pass
            """
        )
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(errors=1)
        assert f"fakebroker: {text}" in "\n".join(result.outlines)

    def test_of_the_ini_file(self, pytester: pytest.Pytester) -> None:
        pytester.makeini("[pytest]\nfakebroker_profile = 4.9\n")
        pytester.makepyfile("def test_one(fakebroker): pass")
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(errors=1)
        assert f"ini file: profile '4.9' is unknown; choose from {PROFILES}" in result.outlines

    def test_of_the_command_line(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile("def test_one(fakebroker): pass")
        result = pytester.runpytest("--fakebroker-clock=stopped", *ALONE)
        result.assert_outcomes(errors=1)
        assert f"--fakebroker-clock: clock 'stopped' is unknown; choose from {CLOCKS}" in result.outlines

    def test_of_the_fixture_of_settings(self, pytester: pytest.Pytester) -> None:
        pytester.makeconftest(
            """
            import pytest

            @pytest.fixture(scope="session")
            def fakebroker_config():
                return {"profil": "3.10"}
            """
        )
        pytester.makepyfile("def test_one(fakebroker): pass")
        result = pytester.runpytest(*ALONE)
        result.assert_outcomes(errors=1)
        text = f"argument 'profil' is unknown; did you mean 'profile'? choose from {ARGUMENTS}"
        assert f"fakebroker_config: {text}" in result.outlines


class TestArgumentsOfABroker:
    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"profile": "4.9"}, ValueError, f"profile '4.9' is unknown; choose from {PROFILES}"),
            ({"plugins": ["x"]}, ValueError, f"plugin 'x' is unknown; choose from {PLUGINS}"),
            (
                {"limits": {"frame-max": 8192}},
                ValueError,
                (
                    "limit 'frame-max' is unknown; did you mean 'frame_max'? choose from 'channel_max', 'frame_max', "
                    "'heartbeat', 'max_message_size'"
                ),
            ),
            (
                {"plugins": "rabbitmq_sharding"},
                TypeError,
                "plugins takes a collection of names, for example ('rabbitmq_sharding',), not 'rabbitmq_sharding'",
            ),
            (
                {"vhosts": "shop"},
                TypeError,
                "vhosts takes a collection of names, for example ('shop',), not 'shop'",
            ),
            (
                {"users": ["ann"]},
                TypeError,
                "users takes passwords by user name, for example {'guest': 'guest'}, not ['ann']",
            ),
            (
                {"clock": "manual"},
                TypeError,
                "clock takes a clock, for example ManualClock(), or None, not 'manual'",
            ),
            (
                {"consumer_timeout": 0},
                ValueError,
                "consumer_timeout takes milliseconds, 1 or more, or None for none, not 0",
            ),
        ],
    )
    def test_it(self, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
        assert text_of(lambda: Broker(**arguments), error) == text


class TestOperators:
    """What ``broker.admin`` refuses. Policies have RabbitMQ's text, and a note about a key that is mistyped."""

    @pytest.fixture
    def broker(self) -> Iterator[Broker]:
        with Broker(users={"guest": "guest", "ann": "secret"}, vhosts=("/", "shop")) as broker:
            yield broker

    def test_a_user_that_is_missing(self, broker: Broker) -> None:
        text = "no user 'an'; did you mean 'ann'? there are: 'guest', 'ann'"
        assert text_of(lambda: broker.admin.set_permissions("an"), LookupError) == text
        assert text_of(lambda: broker.admin.delete_user("an"), LookupError) == text

    def test_a_virtual_host_that_is_missing(self, broker: Broker) -> None:
        text = "no vhost 'shp'; did you mean 'shop'? there are: '/', 'shop'"
        assert text_of(lambda: broker.admin.set_permissions("ann", vhost="shp"), LookupError) == text
        assert text_of(lambda: broker.admin.set_policy("p", "", {"expires": 1}, vhost="shp"), LookupError) == text

    def test_an_exchange_that_is_missing(self, broker: Broker) -> None:
        assert text_of(lambda: broker.admin.set_topic_permissions("ann", "amq.topi", "", ""), LookupError) == (
            "no exchange 'amq.topi' in vhost '/'; did you mean 'amq.topic'? there are: 'amq.direct', 'amq.fanout', "
            "'amq.headers', 'amq.match', 'amq.rabbitmq.trace', 'amq.topic'"
        )

    def test_a_policy_that_is_missing(self, broker: Broker) -> None:
        broker.admin.set_policy("limits", "", {"max-length": 1})
        text = "no policy 'limit'; did you mean 'limits'? there are: 'limits'"
        assert text_of(lambda: broker.admin.delete_policy("limit"), LookupError) == text

    def test_a_permission_that_is_no_pattern(self, broker: Broker) -> None:
        told = text_of(lambda: broker.admin.set_permissions("ann", read="("), ValueError)
        assert told == "'(' is no regular expression that can be used here: missing closing parenthesis, at byte 1"
        none: Any = None
        assert text_of(lambda: broker.admin.set_permissions("ann", read=none), TypeError) == "read is a text, not None"

    def test_tags_in_one_text(self, broker: Broker) -> None:
        text = "tags takes a collection of names, for example ('administrator',), not 'administrator'"
        assert text_of(lambda: broker.admin.add_user("bob", "secret", tags="administrator"), TypeError) == text

    def test_a_limit_that_is_missing(self, broker: Broker) -> None:
        text = "no limit 'max-queue'; there are max-connections and max-queues"
        assert text_of(lambda: broker.admin.set_vhost_limit("max-queue", 1), ValueError) == text

    def test_a_policy_that_is_mistyped(self, broker: Broker) -> None:
        with pytest.raises(InvalidPolicy) as caught:
            broker.admin.set_policy("limits", "", {"max-lenght": 1})
        text = '[{<<"max-lenght">>,1}] are not recognised policy settings'
        assert str(caught.value) == f"Validation failed\n\n{text}\n"
        assert caught.value.__notes__ == ["'max-lenght': did you mean 'max-length'?"]


class TestPorts:
    def test_one_that_is_taken(self, taken_port: int) -> None:
        text = f"cannot listen on 127.0.0.1:{taken_port}: Address already in use; port 0 takes a free one"
        with Broker() as broker:
            assert text in text_of(lambda: broker.listen(port=taken_port), OSError)

    def test_one_that_is_none(self) -> None:
        text = "port 70000 is none; choose one from 1 to 65535, or 0 for a free one"
        with Broker() as broker:
            assert text_of(lambda: broker.listen(port=70000), OverflowError) == text

    @pytest.mark.parametrize("port", [0, 5672])
    def test_a_host_that_is_elsewhere(self, port: int) -> None:
        text = (
            f"cannot listen on 203.0.113.7:{port}: Cannot assign requested address; the host is an address of this "
            "machine, such as 127.0.0.1"
        )
        with Broker() as broker:
            assert text in text_of(lambda: broker.listen("203.0.113.7", port), OSError)

    def test_of_hutch_serve(self, capsys: pytest.CaptureFixture[str], taken_port: int) -> None:
        assert main(["serve", "--port", str(taken_port)]) == 1
        assert capsys.readouterr().err == (
            f"hutch serve: cannot listen on 127.0.0.1:{taken_port}: Address already in use; another broker may run "
            "there, --port takes another port (0 a free one)\n"
        )

    def test_a_command_that_is_mistyped(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["server"]) == 2
        assert capsys.readouterr().err == (
            "hutch: no command 'server'; did you mean 'serve'? "
            "there are: 'conformance', 'definitions', 'demo', 'serve'\n"
        )

    def test_a_profile_of_hutch_serve(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["serve", "--profile", "4.9"])
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("hutch serve: error: argument --profile: invalid choice: '4.9' (choose from ")


class TestLogins:
    def test_one_that_is_refused(self, fakebroker: FakeBroker, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "hutch.fakebroker")
        url = fakebroker.url.replace("guest:guest", "guest:wrong")
        assert text_of(lambda: connect(url), Exception) == (f"Connection.start_ok: (403) ACCESS_REFUSED - {REFUSED}")
        fakebroker.wait_until(lambda: len(caplog.records) == 2)
        _, closed = caplog.messages
        assert closed.endswith(": closed: AMQPLAIN login refused: user 'guest' - invalid credentials")

    def test_one_without_a_socket(self, fakebroker: FakeBroker) -> None:
        text = text_of(lambda: fakebroker.connect(userid="ann", password="secret"), Exception)
        assert text == f"Connection.start_ok: (403) ACCESS_REFUSED - {REFUSED}"

    def test_a_virtual_host_that_is_missing(self, fakebroker: FakeBroker, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "hutch.fakebroker")
        text = text_of(lambda: connect(fakebroker.url + "shop"), Exception)
        assert text == "Connection.open: (530) NOT_ALLOWED - vhost shop not found"
        fakebroker.wait_until(lambda: len(caplog.records) == 2)
        assert caplog.messages[1].endswith(": closed: 530 NOT_ALLOWED - vhost shop not found")

    def test_a_virtual_host_that_is_asked_about(self, fakebroker: FakeBroker) -> None:
        text = text_of(lambda: fakebroker.queue("orders", vhost="shop").ready, LookupError)
        assert text == "no vhost 'shop'; there are: '/'"


class TestWaits:
    def test_nothing_is_due(self, fakebroker: FakeBroker) -> None:
        text = text_of(lambda: fakebroker.wait_until(lambda: 0, timeout=0.01), AssertionError)
        assert text == "condition still false after 0.01 s; last value: 0\nNothing is due on the broker's clock."

    def test_the_clock_stands(self, fakebroker: FakeBroker) -> None:
        channel = fakebroker.connect().channel()
        channel.queue_declare("retry", arguments={"x-message-ttl": 300_000})
        channel.basic_publish(Message("order 17"), "", "retry")
        text = text_of(lambda: fakebroker.wait_until(lambda: False, timeout=0.01), AssertionError)
        assert text == (
            "condition still false after 0.01 s; last value: False\n"
            "1 message waits in 'retry', due in 300 s of the broker's clock: call clock.advance(minutes=5)."
        )

    @pytest.mark.fakebroker(clock="frozen")
    def test_a_client_waits_while_the_clock_stands(self, fakebroker: FakeBroker) -> None:
        connection = fakebroker.connect()
        text = text_of(lambda: connection.drain_events(timeout=0.01), TimeoutError)
        assert text == (
            "timed out waiting for a method: the broker's clock stands while this client waits; "
            "clock.advance() moves it"
        )

    def test_a_client_waits_for_what_can_never_come(self, fakebroker: FakeBroker) -> None:
        text = text_of(fakebroker.connect().drain_events, TimeoutError)
        assert text == (
            "timed out waiting for a method: nothing can arrive: no timer is pending on the broker's clock, "
            "and nobody else is connected"
        )

    def test_the_broker_has_time_of_its_own_to_move(self, fakebroker: FakeBroker) -> None:
        text = text_of(lambda: fakebroker.clock.advance(-1), ValueError)
        assert text == "a clock does not go back (-1.0 s)"


class TestBrokersThatEnded:
    def test_a_closed_one(self) -> None:
        with Broker() as broker:
            connection = Connection(transport=broker.transport)
            connection.connect()
            channel = connection.channel()
        closed = "the broker is closed"
        assert text_of(lambda: channel.queue_declare("orders"), Exception) == SHUTDOWN
        assert text_of(lambda: channel.queue_declare("orders"), Exception) == (
            f"queue.declare: connection already closed, for {SHUTDOWN}"
        )
        assert text_of(Connection(transport=broker.transport).connect, OSError) == "the in-process broker is closed"
        assert text_of(broker.listen, RuntimeError) == f"{closed}; it does not listen any more"
        assert text_of(broker.admin.start, RuntimeError) == f"{closed}; it does not start again"
        assert text_of(broker.admin.stop, RuntimeError) == closed
        assert text_of(broker.snapshot, RuntimeError) == closed

    def test_a_stopped_one(self) -> None:
        with Broker() as broker:
            url = broker.listen()
            broker.admin.stop()
            text = "stopped; admin.start() starts it"
            in_process = text_of(Connection(transport=broker.transport).connect, ConnectionRefusedError)
            assert in_process == f"the in-process broker is {text}"
            assert text_of(broker.snapshot, RuntimeError) == f"the broker is {text}"
            port = url.rpartition(":")[2].rstrip("/")
            told = text_of(lambda: connect(url), ConnectionRefusedError)
            assert told.endswith(f"cannot connect to 127.0.0.1:{port}: Connection refused")

    def test_one_that_cannot_be_named_any_more(self) -> None:
        with Broker() as broker:
            url = broker.memory_url
        name = url.rpartition("@")[2].rstrip("/")
        assert text_of(lambda: connect(url), ConnectionRefusedError) == (
            f"no broker in this process is named '{name}'; an open broker's memory_url has its name"
        )

    def test_a_queue_that_is_missing(self) -> None:
        with Broker() as broker, Connection(transport=broker.transport) as connection:
            connection.channel().queue_declare("orders")
            assert (
                text_of(lambda: broker.queue("order"), LookupError)
                == "no queue 'order' in vhost '/'; did you mean 'orders'? there are: 'orders'"
            )


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("ampq://localhost/", "unknown scheme ampq://; known are amqp, amqps, memory"),
            ("localhost:5672", "no scheme; a broker's URL begins with amqp://, amqps://, memory://"),
            ("amqp://localhost:rabbit/", f"the port is not a number from 1 to 65535; {IN_PASSWORD}"),
            ("amqp://me:a/b@localhost/", f"an @ behind the host, where it is written %40; {IN_PASSWORD}"),
            ("amqp://localhost/?timeout=5", "option timeout is not supported; "),
            ("", "the URL is empty"),
        ],
    )
    def test_wrong_ones(self, url: str, text: str) -> None:
        told = text_of(lambda: connect(url), ValueError)
        assert told == text or (text.endswith("; ") and told.startswith(text))

    def test_one_for_a_host(self) -> None:
        text = "host is a URL; Connection takes 'host:port', and hutch.client.connect takes a URL"
        assert text_of(Connection("amqp://localhost").connect, ValueError) == text

    def test_a_host_with_a_wrong_port(self) -> None:
        text = "'localhost:rabbit' is not host:port: 'rabbit' is no number"
        assert text_of(Connection("localhost:rabbit").connect, ValueError) == text
