import ast
import importlib
import io
import pkgutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

import hutch.fakebroker
from hutch.fakebroker import inprocess
from hutch.wire.frames import method_frame
from hutch.wire.methods import BasicAck
from old_beside_new import command
from old_beside_new.adapters import AdapterError, Side
from old_beside_new.command import main, told
from old_beside_new.comparing import Difference, Said
from old_beside_new.loading import NEW, OLD, LoadingError, check_apart, extract, importable, modules
from old_beside_new.running import Outcome, run
from old_beside_new.scripts import Script, Scripts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of this checkout once more, under the name of the old."""
    folder = tmp_path_factory.mktemp("copy")
    extract(str(ROOT), folder)
    return folder


@pytest.fixture
def old(copy: Path) -> Iterator[Side]:
    with importable(copy):
        yield Side(OLD)


@pytest.fixture
def new() -> Side:
    return Side(NEW)


# Playing


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_the_code_is_like_itself(old: Side, new: Side, profile: str) -> None:
    outcome = run(old, new, profile, 500, 5)
    assert outcome.difference is None
    assert not outcome.broken
    assert outcome.played.total() >= 500
    assert told(outcome)[-1] == "no difference"


@pytest.mark.parametrize("profile", ["3.10", "4.3"])
def test_a_planted_difference_is_found_and_made_small(
    old: Side, new: Side, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = sys.modules[f"{OLD}.fakebroker"].PROFILES
    engine = profiles[profile].engine
    quorum = replace(engine.quorum, requeues_to_tail=not engine.quorum.requeues_to_tail)
    planted = replace(profiles[profile], engine=replace(engine, quorum=quorum))
    monkeypatch.setitem(profiles, profile, planted)
    outcome = run(old, new, profile, 20000, 1)
    assert outcome.difference is not None
    assert outcome.difference.old != outcome.difference.new
    assert len(outcome.difference.script) < 12, outcome.difference.report()
    assert told(outcome)[-1] == "they differ"


def test_the_machines_time_decides_nothing(old: Side, new: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader stops after 2 ms of real time. One that stopped behind each command would differ."""
    seconds = count()
    monkeypatch.setattr(inprocess, "monotonic", lambda: next(seconds))
    outcome = run(old, new, "4.3", 100, 4)
    assert outcome.difference is None, outcome.difference
    assert next(seconds) == 0, "time passed"
    assert vars(inprocess)["monotonic"]() == 1, "the clock was not put back"


def test_a_difference_of_bytes_or_of_events_alone_counts(old: Side, new: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[f"{OLD}.fakebroker"].History, "clear", lambda _: None)
    outcome = run(old, new, "4.3", 100, 1)
    assert outcome.difference is not None
    assert len(outcome.difference.script) <= 3


def test_bytes_that_read_alike_are_shown_as_they_are() -> None:
    two_ways = (method_frame(1, BasicAck(1).encode()[:-1] + flags) for flags in (b"\0", b"\2"))
    one, other = (Said([(1, data, "")]) for data in two_ways)
    assert Difference(["a step"], one, other).report().splitlines() == [
        "These operations differ in the last step:",
        "  a step",
        "There the old emulator (-) and the new one (+) say:",
        "  connection 1, channel 1: basic.ack(delivery_tag=1)",
        "- connection 1, bytes 01000100 00000d00 3c005000 00000000 00000100 ce",
        "+ connection 1, bytes 01000100 00000d00 3c005000 00000000 00000102 ce",
    ]


@pytest.mark.slow
def test_an_error_that_both_raise_is_told_of(old: Side, new: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("x")

    for package in (OLD, NEW):
        monkeypatch.setattr(sys.modules[f"{package}.fakebroker"].Administration, "restart", fail)
    outcome = run(old, new, "4.3", 2000, 1)
    assert outcome.difference is None
    (broken,) = outcome.broken
    assert broken.startswith("KeyError in ")
    assert broken.endswith(".fail")


def steps(profile: str, seed: int) -> list[str]:
    random, scripts = Random(seed), Scripts(profile)
    drawn: list[Script] = [scripts.draw(random) for _ in range(20)]
    return [line for script in drawn for line in (str(script.world), *map(str, script.steps))]


@pytest.mark.slow
def test_the_same_seed_draws_the_same_scripts() -> None:
    assert steps("4.3", 7) == steps("4.3", 7)
    assert steps("4.3", 7) != steps("4.3", 8)


def test_all_that_can_happen_is_drawn() -> None:
    random, scripts = Random(1), Scripts("3.10")
    drawn = Counter(
        kind
        for _ in range(200)
        for step in scripts.draw(random).steps
        for kind, is_so in (
            (step.operation.kind, True),
            ("joined", step.joined),
            ("cut", bool(step.cuts)),
            ("damaged", step.damaged is not None),
            ("pieces", bool(step.piece)),
        )
        if is_so
    )
    assert drawn.keys() >= {
        *("joined", "cut", "damaged", "pieces", "bad input", "handshake", "advance", "advance to what is due"),
        *("restart", "stop", "raise_alarm", "trace_on", "delete_vhost", "close_connections", "delete_user", "drop"),
        *("set_policy", "set_operator_policy", "set_permissions", "set_vhost_limit", "set_user_limit"),
        *("tx.commit", "tx.rollback", "basic.credit", "basic.nack", "basic.recover", "exchange.bind"),
    }


# Loading


def test_the_old_code_has_nothing_of_the_new(old: Side, copy: Path) -> None:
    del old
    for part in ("wire", "fakebroker"):
        package = importlib.import_module(f"{OLD}.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{OLD}.{part}."):
            importlib.import_module(module.name)  # includes modules that are usually imported late
    loaded = modules(OLD)
    assert len(loaded) > 50
    assert all(str(module.__file__).startswith(str(copy)) for module in loaded.values() if module.__file__)
    check_apart()


def test_no_source_of_the_copy_names_the_new_code(copy: Path) -> None:
    files = [path for part in ("wire", "client", "fakebroker") for path in sorted((copy / OLD / part).rglob("*.py"))]
    assert len(files) > 100
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [f"{node.module}."] if isinstance(node, ast.ImportFrom) else []
            names += [f"{alias.name}." for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                names.append(node.value)  # an import by a string, or a group of entry points
            assert not [name for name in names if name.startswith(f"{NEW}.")], path


@pytest.mark.parametrize("leak", [hutch.fakebroker, hutch.fakebroker.Broker, hutch.fakebroker.Broker.close])
def test_a_leak_is_found(old: Side, leak: object, monkeypatch: pytest.MonkeyPatch) -> None:
    del old
    monkeypatch.setattr(sys.modules[f"{OLD}.fakebroker"], "leak", leak, raising=False)
    with pytest.raises(LoadingError, match=r"old_hutch\.fakebroker\.leak is of the new emulator, hutch\.fakebroker"):
        check_apart()


SOURCE = b'from hutch.wire import x\nimport hutch.client\nNODE = "hutch@localhost"\nGROUP = "hutch.transports"\n'
RENAMED = SOURCE.replace(b"hutch.", b"old_hutch.")


def test_an_sdist_and_a_wheel_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "hutch-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hutch/wire/y.py", SOURCE)
        wheel.writestr("hutch/wire/y.so", b"")
    with tarfile.open(tmp_path / "hutch-0.1.0.tar.gz", "w:gz") as sdist:
        for name in ("hutch-0.1.0/wire/hutch/wire/y.py", "hutch-0.1.0/tests/z.py"):
            member = tarfile.TarInfo(name)
            member.size = len(SOURCE)
            sdist.addfile(member, io.BytesIO(SOURCE))
    for archive in sorted(tmp_path.iterdir()):
        folder = tmp_path / f"from {archive.name}"
        extract(str(archive), folder)
        (path,) = (each for each in folder.rglob("*") if each.is_file())
        assert path == folder / OLD / "wire" / "y.py"
        assert path.read_bytes() == RENAMED


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout")
def test_a_git_revision_is_read(tmp_path: Path) -> None:
    head = subprocess.run(["git", "log", "-1", "--format=%h"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert extract("HEAD", tmp_path).startswith(head.stdout.strip())
    assert (tmp_path / OLD / "fakebroker" / "__init__.py").exists()


# The adapter


def test_names_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("bare.fakebroker")
    package.__dict__.update(vars(hutch.fakebroker))

    class Broker:
        def __init__(self, profile: str, clock: object, seed: int, plugins: object, vhosts: object) -> None: ...

    vars(package).update(Broker=Broker, QueueView=object, Administration=object)
    monkeypatch.setitem(sys.modules, "bare", ModuleType("bare"))
    monkeypatch.setitem(sys.modules, "bare.fakebroker", package)
    with pytest.raises(AdapterError) as error:
        Side("bare")
    for name in ("Broker.transport", "QueueView.ready", "Administration.raise_alarm", "Broker(consumer_timeout=...)"):
        assert name in str(error.value)
    assert "Add one to ADAPTERS in " in str(error.value)


def test_a_broker_that_lacks_a_plugin_is_told(old: Side, new: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("plugin 'x' is unknown")

    monkeypatch.setattr(sys.modules[f"{OLD}.fakebroker"].Broker, "__init__", refuse)
    with pytest.raises(
        AdapterError, match=r"old_hutch\.fakebroker\.Broker refuses Settings\(.*: plugin 'x' is unknown"
    ):
        run(old, new, "4.3", 10, 1)


def test_a_way_in_that_lacks_a_method_is_told(old: Side, new: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[f"{OLD}.fakebroker"].Broker, "transport", lambda _: io.BytesIO())
    with pytest.raises(AdapterError, match=r"^BytesIO lacks connect, "):
        run(old, new, "4.3", 10, 1)


# The command


@pytest.mark.slow
def test_the_command_plays(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT), "--operations", "100", "--seed", "3"]) == 0
    output = capsys.readouterr().out.splitlines()
    assert output[0] == f"old: {ROOT}"
    assert output[1].startswith(f"new: {Path(hutch.fakebroker.__file__).parent}, ")
    assert output[1].endswith(" compiled")
    assert [line for line in output if line.startswith("profile ")] == [
        "profile 3.10: 100 operations, --seed 3",
        "profile 4.3: 100 operations, --seed 3",
    ]
    assert output.count("no difference") == 2
    assert not modules(OLD)


@pytest.mark.slow
def test_a_difference_is_exit_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def planting(origin: str, folder: Path) -> str:
        description = extract(origin, folder)
        with (folder / OLD / "fakebroker" / "__init__.py").open("a") as file:
            file.write("\nHistory.clear = lambda _: None\n")
        return description

    monkeypatch.setattr(command, "extract", planting)
    assert main([str(ROOT), "--operations", "100", "--profile", "4.3"]) == 1
    output = capsys.readouterr().out
    assert "These operations differ in the last step:" in output
    assert output.endswith("they differ\n")


@pytest.mark.parametrize("argv", [[], ["HEAD", "--profile", "5.0"], ["HEAD", "--operations", "many"]])
def test_wrong_usage_is_exit_status_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2


def test_what_is_not_there_is_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = tmp_path / "file"
    nothing.write_text("")
    for origin, reason in (
        ("no-such-revision", ""),
        (str(tmp_path), "has no package hutch"),
        (str(nothing), "is no folder, no sdist and no wheel"),
    ):
        assert main([origin]) == 2
        error = capsys.readouterr().err
        assert error.startswith("beside: ")
        assert reason in error


@pytest.mark.slow
def test_the_script_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "beside"), str(ROOT), "--operations", "20", "--profile", "4.3"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.endswith("no difference\n")


def test_what_a_run_came_to_is_counted() -> None:
    outcome = Outcome(Counter({"basic.get": 3, "drop": 1}), scripts=2, seconds=2.0)
    assert told(outcome) == [
        "       3 basic.get",
        "       1 drop",
        "4 operations in 2 scripts in 2.0 s, 2 a second",
        "no difference",
    ]
