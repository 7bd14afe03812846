"""pytest collects pages: ``pytest docs/kombu.md`` runs the code of that page.

- A block of Python that defines tests is a test module: its fixtures and marks work as in a file.
- Any other block of Python is a script. ``localhost:5672`` in it is the emulator, as each profile.
- A page with commands or files is played from top to bottom (:mod:`tests.pages.playing`).
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hutch.fakebroker import Broker
from tests.pages import playing
from tests.pages.blocks import PAGES, Block, needed, read
from tests.pages.stand_ins import at_broker, needs_broker


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Page | None":
    """Take README.md and the pages of docs/."""
    return Page.from_parent(parent, path=file_path) if file_path in PAGES else None


class Page(pytest.File):
    """A page of Markdown."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """What of it runs."""
        text = self.path.read_text()
        blocks = [block for block in read(text) if block.not_run is None]
        if missing := [name for name in needed(text) if not _is_there(name)]:
            yield Missing.from_parent(self, name="needs", missing=missing)
            return
        if any(block.language == "console" or block.title for block in blocks):
            played = Played.from_parent(self, name="played", blocks=blocks)
            if self.path != PAGES[0]:
                played.add_marker("slow")  # each command is a program and takes about a second
            played.add_marker(pytest.mark.timeout(240))
            yield played
        for block in blocks:
            if block.language == "python" and block.title is None:
                name = f"line-{block.line}"
                yield Code.from_parent(self, path=self.path, nodeid=f"{self.nodeid}::{name}", name=name, block=block)


@cache
def _is_there(name: str) -> bool:
    """Whether a Python module can be imported, or one of Node (``node:amqplib``)."""
    runtime, _, module = name.rpartition(":")
    if not runtime:
        return importlib.util.find_spec(name) is not None
    if shutil.which(runtime) is None:
        return False
    done = subprocess.run([runtime, "-e", f"require('{module}')"], capture_output=True, timeout=30, check=False)
    return done.returncode == 0


class Missing(pytest.Item):
    """A page whose code needs what is not installed: skipped, and failed in CI."""

    def __init__(self, missing: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._missing = missing

    def runtest(self) -> None:
        """Say what is missing."""
        libraries = ", ".join(self._missing)
        reason = f"{libraries} is not there; pip install '.[docs]' and npm bring the libraries of the pages"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands."""
        return self.path, None, self.path.name


class Code(pytest.Module):
    """A block of Python."""

    def __init__(self, block: Block, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._block = block

    def _getobj(self) -> ModuleType:
        # Celery names tasks after their modules. In an application, each block would be a module.
        page = re.sub(r"\W", "_", str(self.path.relative_to(self.config.rootpath)))
        module = ModuleType(f"{page}_{self._block.line}")
        sys.modules[module.__name__] = module  # libraries look here for decorated functions
        module.__dict__["after_each_test"] = pytest.fixture(autouse=True)(_after_each_test)
        # Line numbers are those of the page, so that tracebacks show them.
        code = "\n" * self._block.line + self._block.code
        if re.search(r"^\s*(async )?def test_", code, re.MULTILINE):
            exec(compile(code, str(self.path), "exec"), module.__dict__)
        else:
            module.__dict__["test_script"] = _script(code, str(self.path), module.__name__)
        return module


def _after_each_test() -> Iterator[None]:
    yield
    if "kombu.pools" in sys.modules:
        sys.modules["kombu.pools"].reset()


def _script(code: str, page: str, name: str) -> Callable[..., None]:
    """A test that runs the code."""

    def alone() -> None:
        _run(code, page, name)

    @pytest.mark.parametrize("profile", ["3.10", "4.3"])
    def on_emulator(profile: str, tmp_path: Path) -> None:
        with Broker(profile) as broker:
            _run(at_broker(code, broker, tmp_path), page, name)

    return on_emulator if needs_broker(code) else alone


def _run(code: str, page: str, name: str) -> None:
    if "sys.modules" not in code:
        exec(compile(code, page, "exec"), {"__name__": name})
        return
    # The block changes the whole program, so it runs in a process of its own.
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


class Played(pytest.Item):
    """The files and commands of a page."""

    def __init__(self, blocks: list[Block], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._blocks = blocks

    def runtest(self) -> None:
        """Write the files and run the commands, in order."""
        folder = self.config._tmp_path_factory.mktemp("page")  # type: ignore[attr-defined]  # what tmp_path takes
        playing.play(self._blocks, folder)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was expected and what came."""
        if isinstance(excinfo.value, playing.Mismatch):
            return f"{self.path}, {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands."""
        return self.path, None, f"{self.path.name} played"
