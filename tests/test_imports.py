"""Who may import whom, and what keeps the inside pure, checked on the source of every module."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("wire", "client", "fakebroker", "pytest_plugin", "conformance")
TOOLS = "tools"  # a source root of developers' commands, outside of the namespace
LONGEST = 500  # lines of a module

#: Standard modules that do I/O, read a clock, start threads or draw random numbers.
IMPURE = frozenset(
    """
    _thread asyncio concurrent http logging multiprocessing os pathlib queue random sched secrets select selectors
    shutil signal socket socketserver ssl subprocess tempfile threading time urllib uuid
    """.split()  # noqa: SIM905  (reads better than a list)
)


@dataclass(frozen=True)
class Rule:
    """What the modules below ``prefix`` may import: parts of hutch, other distributions (``None``: any)."""

    prefix: str
    hutch: tuple[str, ...]
    others: frozenset[str] | None = frozenset()
    forbidden: frozenset[str] = frozenset()

    def __str__(self) -> str:
        text = f"{self.prefix} imports of hutch only {', '.join(self.hutch) or 'nothing'}"
        if self.others is not None:
            text += f"; of other distributions {', '.join(sorted(self.others)) or 'none'}"
        if self.forbidden:
            text += f"; and is pure: no {', '.join(sorted(self.forbidden))}"
        return text


WIRE = "hutch.wire"
ENGINE = "hutch.fakebroker.engine"
ERLANG = "hutch.fakebroker.erlang"
AMQP091 = "hutch.fakebroker.amqp091"
HISTORY = "hutch.fakebroker.history"
PLUGINS = "hutch.fakebroker.plugins"
BROKER = "hutch.fakebroker"
CLIENT = "hutch.client"  # for conformance: that module itself and the public names in it
LIVE_BROKERS = "live_brokers"  # runs with a bare Python, where hutch is not installed
#: The modules of hutch.wire that the engine may import: values only.
VALUES = ("hutch.wire.fields", "hutch.wire.interfaces", "hutch.wire.properties")
#: Modules of the engine that import one another, type imports included. docs/design.md says why.
CIRCLES = {
    frozenset(
        {
            *("bindings", "connection", "consumers", "deadletter", "deliveries", "exchanges.exchange"),
            *("exchanges.kinds", "journal", "listening", "node", "operator.policies", "queues.queue"),
            *("replies", "routing", "sinks", "vhost"),
        }
    ),
    frozenset({"queues.at_least_once", "queues.consumer_timeouts", "queues.publishers", "queues.quorum"}),
}
PYTEST = frozenset({"_pytest", "pluggy", "pytest"})
SORTED = frozenset({"sortedcontainers"})

#: A module follows the rule with the longest matching prefix.
RULES = (
    Rule(WIRE, (WIRE,), forbidden=IMPURE),
    Rule("hutch.wire.interfaces", (), others=frozenset({"mypy_extensions"}), forbidden=IMPURE),  # for mypyc alone
    Rule(CLIENT, (WIRE, CLIENT)),
    Rule("hutch.client.sasl", (WIRE, CLIENT), others=frozenset({"gssapi"})),
    Rule("hutch.client.kombu", (WIRE, CLIENT), others=frozenset({"kombu"})),
    Rule(ERLANG, (WIRE, ERLANG), forbidden=IMPURE),
    Rule(ENGINE, (*VALUES, ENGINE, ERLANG), others=SORTED, forbidden=IMPURE),
    Rule(AMQP091, (WIRE, ENGINE, ERLANG, AMQP091), forbidden=IMPURE),
    Rule(HISTORY, (ENGINE, HISTORY), forbidden=IMPURE),
    Rule(PLUGINS, (*VALUES, ENGINE, ERLANG, PLUGINS), forbidden=IMPURE),
    Rule(BROKER, (WIRE, BROKER), others=SORTED),
    Rule(f"{BROKER}.management", (WIRE, BROKER), others=frozenset({"h11"})),
    Rule("hutch.pytest_plugin", (WIRE, CLIENT, BROKER, "hutch.pytest_plugin"), others=PYTEST),
    Rule("hutch.conformance", (WIRE, "the public names of hutch.client", "hutch.conformance"), others=None),
    *(
        Rule(module, (WIRE, "the public names of hutch.client", BROKER, "hutch.conformance"), others=None)
        for module in ("hutch.conformance.targets", "hutch.conformance.differential.emulator")
    ),
    Rule(LIVE_BROKERS, (), others=frozenset({LIVE_BROKERS})),
    # It imports the emulators by computed names, so no rule here mentions them.
    Rule("old_beside_new", (WIRE, "hutch.conformance"), others=frozenset({"old_beside_new"})),
    Rule("documentation", (), others=frozenset({"documentation", "griffe"})),
)


def is_below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def rule_of(module: str) -> Rule:
    return max((rule for rule in RULES if is_below(module, rule.prefix)), key=lambda rule: len(rule.prefix))


@cache
def modules() -> dict[str, Path]:
    """The path of every module of the product and of the tools, by name."""
    found = {}
    for part in (*PARTS, TOOLS):
        for path in sorted((ROOT / part).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / part).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def public_names_of_client() -> frozenset[str]:
    path = modules().get(CLIENT)
    for statement in ast.parse(path.read_text()).body if path else ():
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return frozenset(ast.literal_eval(statement.value))
    return frozenset()


@dataclass(frozen=True)
class Import:
    line: int
    module: str
    name: str | None = None  # of the imported object; None if a module is imported


def imports(source: str, module: str, is_package: bool = False) -> Iterator[Import]:
    """All imports of a module: at its top, inside of functions, for type checkers only, by a literal name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = module.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
                origin = ".".join([*parents, *filter(None, [origin])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                if origin == "hutch" or inner in modules():
                    yield Import(node.lineno, inner)
                else:
                    yield Import(node.lineno, origin, alias.name)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in {"import_module", "__import__"}:
                yield Import(node.lineno, str(node.args[0].value))


def is_allowed(rule: Rule, wanted: Import) -> bool:
    top = wanted.module.partition(".")[0]
    if top == "hutch":
        if rule.prefix.startswith("hutch.conformance") and is_below(wanted.module, CLIENT):
            names = public_names_of_client()
            inner = wanted.module.removeprefix(CLIENT).removeprefix(".") or wanted.name
            return inner is None or inner in names or (not names and not wanted.module.removeprefix(CLIENT))
        return any(is_below(wanted.module, prefix) for prefix in rule.hutch)
    if top in sys.stdlib_module_names:
        injected = rule.prefix.startswith(ENGINE) and (wanted.module, wanted.name) == ("random", "Random")
        return top not in rule.forbidden or injected
    return rule.others is None or top in rule.others


def impure_calls(source: str) -> Iterator[tuple[int, str]]:
    """Calls that read a clock or draw from an unseeded generator without any import that would tell."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            if node.func.value.id in {"date", "datetime"} and node.func.attr in {"now", "today", "utcnow"}:
                yield node.lineno, f"{node.func.value.id}.{node.func.attr}() reads a clock"
        elif isinstance(node.func, ast.Name):
            if node.func.id == "Random" and not node.args + node.keywords:
                yield node.lineno, "Random() without a seed"
            if node.func.id in {"input", "open", "print"}:
                yield node.lineno, f"{node.func.id}() does input or output"


def violations(source: str, module: str, place: str, is_package: bool = False) -> list[str]:
    rule = rule_of(module)
    found = [
        f"{place}:{wanted.line}: imports {wanted.module}{f' ({wanted.name})' if wanted.name else ''}. The rule: {rule}"
        for wanted in imports(source, module, is_package)
        if not is_allowed(rule, wanted)
    ]
    if rule.forbidden:
        found += [f"{place}:{line}: {what}. The rule: {rule}" for line, what in impure_calls(source)]
    return found


def place_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("part", [*PARTS, TOOLS])
def test_imports_keep_the_rules(part: str) -> None:
    found = [
        violation
        for module, path in modules().items()
        if path.is_relative_to(ROOT / part / "hutch" if part in PARTS else ROOT / part)
        for violation in violations(path.read_text(), module, place_of(path), path.name == "__init__.py")
    ]
    assert not found, "\n".join(["", *found])


def circles(below: str) -> set[frozenset[str]]:
    """The sets of modules below a name that all import one another, directly or not, be it for type checkers only."""
    inside = {module: path for module, path in modules().items() if is_below(module, below)}
    wanted = {
        module: {each.module for each in imports(path.read_text(), module, path.name == "__init__.py")} & {*inside}
        for module, path in inside.items()
    }
    reached: dict[str, set[str]] = {}
    for module in inside:
        waiting, seen = [module], set[str]()
        while waiting:
            new = wanted[waiting.pop()] - seen
            seen |= new
            waiting += new
        reached[module] = seen
    return {
        frozenset(each.removeprefix(below + ".") for each in reached[module] if module in reached[each])
        for module in inside
        if module in reached[module]
    }


def test_the_engine_has_no_circles_but_those_that_the_design_defends() -> None:
    assert circles(ENGINE) == CIRCLES


@pytest.mark.parametrize("package", ["", ".access", ".exchanges", ".operator", ".queues"])
def test_packages_of_the_engine_import_nothing(package: str) -> None:
    """Who imports a module imports its packages first, which would be another way round in a circle."""
    source = modules()[ENGINE + package].read_text()
    assert not list(imports(source, ENGINE + package, is_package=True))


def test_modules_are_short() -> None:
    lengths = {place_of(path): len(path.read_text().splitlines()) for path in modules().values()}
    found = [f"{place}:{length}: the rule: a module has {LONGEST} lines at most" for place, length in lengths.items()]
    assert not [each for each, length in zip(found, lengths.values(), strict=True) if length > LONGEST]


@pytest.mark.parametrize("part", PARTS)
def test_the_namespace_has_no_init_and_its_parts_have_one(part: str) -> None:
    package = ROOT / part / "hutch" / part
    assert not (ROOT / part / "hutch" / "__init__.py").exists(), "hutch is a namespace package"
    assert (package / "py.typed").exists(), f"{part} has type annotations and says so"
    folders = {path.parent for path in package.rglob("*.py")}
    missing = [place_of(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    assert not missing, f"without __init__.py: {', '.join(missing)}"
    outside = {place_of(path) for path in (ROOT / part).rglob("*.py") if not path.is_relative_to(package)}
    # Modules outside of the package that pytest runs in a checkout.
    stray = sorted(outside - {"conformance/conftest.py", "conformance/test_conformance.py"})
    assert not stray, f"outside of {place_of(package)}: {', '.join(stray)}"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hutch.wire.frames", "import socket"),
        ("hutch.wire.frames", "from time import monotonic"),
        ("hutch.wire.frames", "def f():\n    import asyncio.events"),
        ("hutch.wire.frames", "from random import Random"),
        ("hutch.wire.frames", "from hutch.client import Connection"),
        ("hutch.wire.frames", "from hutch import client"),
        ("hutch.wire.frames", "from ...hutch.client import Connection"),
        ("hutch.wire.frames", "import importlib\nimportlib.import_module('hutch.client')"),
        ("hutch.wire.frames", "import sortedcontainers"),
        ("hutch.wire.frames", "from datetime import datetime\ndatetime.now()"),
        ("hutch.client.channel", "from hutch.fakebroker import Broker"),
        (
            "hutch.client.channel",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import hutch.fakebroker.engine",
        ),
        ("hutch.client.channel", "import kombu"),
        ("hutch.client.kombu", "import amqp"),
        ("hutch.fakebroker.engine.queues.classic", "from hutch.fakebroker.amqp091 import session"),
        ("hutch.fakebroker.engine.queues.classic", "from hutch.fakebroker.amqp091.session import Session"),
        ("hutch.fakebroker.engine.queues.classic", "import hutch.fakebroker"),
        ("hutch.fakebroker.engine.queues.classic", "from ...amqp091 import session"),
        ("hutch.fakebroker.engine.queues.classic", "import time"),
        ("hutch.fakebroker.engine.node", "from hutch.fakebroker.history import History"),
        ("hutch.fakebroker.engine.node", "from hutch.wire.methods import BasicAck"),
        ("hutch.fakebroker.engine.errors", "from hutch.wire.codes import ReplyCode"),
        ("hutch.fakebroker.engine.consumers", "from hutch.fakebroker.amqp091.channel import Channel"),
        ("hutch.fakebroker.plugins.firehose", "from hutch.wire.methods import BasicPublish"),
        ("hutch.fakebroker.engine.topology", "from hutch.wire.content import Content"),
        ("hutch.fakebroker.engine.message", "from hutch.wire import frames"),
        ("hutch.fakebroker.engine.topology", "from hutch.fakebroker.amqp091.commands import queue"),
        ("hutch.fakebroker.engine.node", "from hutch.fakebroker.plugins.firehose import Firehose"),
        ("hutch.fakebroker.engine.names", "import random"),
        ("hutch.fakebroker.engine.names", "from random import random"),
        ("hutch.fakebroker.engine.names", "from random import Random\nRandom()"),
        ("hutch.fakebroker.engine.clock", "import time"),
        ("hutch.fakebroker.inprocess", "from hutch.client import Connection"),
        ("hutch.fakebroker.inprocess", "import hypothesis"),
        ("hutch.pytest_plugin.plugin", "import hutch.conformance"),
        ("hutch.conformance.cases.queue", "import hutch.client.channel"),
        ("hutch.conformance.cases.queue", "from hutch.client.channel import Channel"),
        ("hutch.conformance.cases.queue", "from hutch.fakebroker import Broker"),
        ("hutch.conformance.cases.queue", "import hutch.pytest_plugin"),
        ("hutch.conformance.targets", "from hutch.client.channel import Channel"),
        ("live_brokers.node", "import hutch.wire"),
        ("live_brokers.node", "import trustme"),
    ],
)
def test_what_breaks_a_rule_is_found(module: str, source: str) -> None:
    (found,) = violations(source, module, "some/file.py")
    assert found.startswith(f"some/file.py:{len(source.splitlines())}: ")
    assert f"The rule: {rule_of(module)}" in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hutch.wire.frames", "import struct\nfrom hutch.wire.codes import ReplyCode\nfrom . import codes"),
        (
            "hutch.client.channel",
            "import socket, time\nfrom hutch.wire.frames import frame\nfrom .message import Message",
        ),
        ("hutch.client.kombu", "import kombu.transport"),
        ("hutch.fakebroker.clocks", "import threading, time"),
        ("hutch.fakebroker.engine.names", "from random import Random\nRandom(0)"),
        ("hutch.fakebroker.engine.queues.classic", "import sortedcontainers\nfrom ..names import Names"),
        ("hutch.fakebroker.server.listener", "import asyncio\nfrom hutch.fakebroker.amqp091.session import Session"),
        ("hutch.pytest_plugin.plugin", "import pytest\nimport hutch.client\nfrom hutch import fakebroker"),
        (
            "hutch.conformance.cases.queue",
            "import hutch.client\nfrom hutch.client import Connection\nimport hypothesis",
        ),
        ("hutch.conformance.targets", "from hutch.fakebroker import Broker\nfrom hutch.client import Connection"),
        ("live_brokers.node", "import socket\nfrom live_brokers.ports import PORT_NAMES\nfrom . import ports"),
    ],
)
def test_what_keeps_the_rules_is_let_through(module: str, source: str) -> None:
    assert violations(source, module, "some/file.py") == []
