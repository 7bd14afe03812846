"""The modules that the compiled wheel has compiled, which pyproject.toml chooses by folders."""

import ast
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from hutch.fakebroker.amqp091 import session

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
CHOICE: dict[str, list[str]] = CONFIG["custom"]

#: Applications derive from these interfaces, so their implementations are not compiled. A typed call would save
#: nothing.
OF_THE_INTERPRETED = {
    "client/hutch/client/read_lock.py: Awaited",
    "client/hutch/client/reader.py: Peer",
}


def in_folders() -> list[str]:
    """The modules in the chosen folders, as paths below the root."""
    return sorted(
        path.relative_to(ROOT).as_posix() for each in CHOICE["folders"] for path in (ROOT / each).glob("*.py")
    )


def hot() -> list[str]:
    """The modules to compile."""
    return sorted({*in_folders(), *CHOICE["modules"]} - {*CHOICE["interpreted"]})


def test_what_is_named_is_there() -> None:
    missing = [path for path in (*CHOICE["modules"], *CHOICE["interpreted"]) if not (ROOT / path).is_file()]
    assert not missing, f"pyproject.toml names {missing}"
    assert {*CHOICE["interpreted"]} <= {*in_folders()}, "only a module of a folder needs to be left out by name"
    assert not {*CHOICE["modules"]} & {*in_folders()}, "a module of a folder needs no naming"


@pytest.mark.skipif(
    str(session.__file__).endswith(".py"),
    reason="hutch is not installed from a compiled wheel",
)
@pytest.mark.parametrize("path", hot())
def test_a_hot_module_is_compiled(path: str) -> None:
    _, _, name = path.removesuffix(".py").removesuffix("/__init__").partition("/")
    spec = find_spec(name.replace("/", "."))
    assert spec is not None
    assert not str(spec.origin).endswith(".py"), f"{name} is interpreted, and pyproject.toml does not say so"


@pytest.mark.parametrize(("base", "known"), [("Protocol", OF_THE_INTERPRETED), ("ABC", set())])
def test_interfaces_are_plain_classes(base: str, known: set[str]) -> None:
    """A call of a Protocol costs compiled code as much as interpreted code. Compiled ABCs share one memory of what
    ``isinstance`` has said.
    """
    found = {
        f"{path}: {node.name}"
        for path in hot()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.ClassDef) and any(getattr(each, "id", "") == base for each in node.bases)
    }
    assert found == known


def test_what_is_caught_has_a_name_for_each_type() -> None:
    """Compiled code gives a name one type in a function, so two ``except`` clauses for different types that share one
    fail as soon as the types are compiled, too.
    """
    found = []
    for path in hot():
        for function in ast.walk(ast.parse((ROOT / path).read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            caught: dict[str, str] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and node.name is not None and node.type is not None:
                    kind = ast.unparse(node.type)
                    if caught.setdefault(node.name, kind) != kind:
                        found.append(f"{path}:{node.lineno}: {node.name} is {caught[node.name]} and {kind}")
    assert not found
