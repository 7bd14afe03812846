"""Nothing on a page escapes: each block says what it is, and each that does not run says why."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hutch.pytest_plugin import FakeBroker
from hutch.pytest_plugin.asking import Question
from tests.pages.blocks import LANGUAGES, PAGES, ROOT, read
from tests.pages.playing import Mismatch, commands, matches, play

#: The README's commands that need a clone. The gate runs them.
IN_A_CLONE = {"pip install . && hutch demo", "pip install '.[test]' && pytest"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page: Path) -> None:
    text = page.read_text()
    blocks = read(text)
    assert len(blocks) == text.count("```") // 2
    assert {block.language for block in blocks} <= set(LANGUAGES)
    for block in blocks:
        assert block.language == "console" or not block.code.startswith("$ ")
    for block in blocks:
        text = text.replace(block.code, "")
    loose = {line.strip() for line in re.findall(r"^ {4}(?:\$ |pip |pytest|hutch |python ).*", text, re.MULTILINE)}
    assert loose <= IN_A_CLONE, "a command stands outside of a fence, so that it does not run"


def test_the_readme_has_the_commands_for_a_clone() -> None:
    assert all(f"\n    {command}\n" in PAGES[0].read_text() for command in IN_A_CLONE)


def test_pages_have_links_that_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r'(?:\]\(|src="|srcset=")(?!https?:|#)([^)#"]+)', page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_links_to_other_sites_are_well_formed() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((\w+:[^)]*)\)", page.read_text()):
            parts = urlsplit(link)
            assert parts.scheme == "https", f"{page.relative_to(ROOT)}: {link}"
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{page.relative_to(ROOT)}: {link}"
            assert not re.search(r"[\s<>\"]", link), f"{page.relative_to(ROOT)}: {link}"


def test_each_question_is_asked_on_its_page() -> None:
    code = "".join(block.code for block in read((ROOT / "docs/assertions.md").read_text()) if not block.not_run)
    with FakeBroker() as broker:
        questions = {name for name, value in vars(broker).items() if isinstance(value, Question)}
    assert len(questions) == 8
    assert {name for name in questions if f"fakebroker.{name}(" not in code} == set()
    assert {name for name in questions if f"fakebroker.{name}.never(" not in code} == set()


def test_blocks_are_found() -> None:
    page = 'Text\n\n```python title="a.py"\na = 1\n```\n\n<!-- not run: a reason -->\n```console\n$ b\n```\n'
    first, second = read(page)
    assert (first.language, first.title, first.code, first.line, first.not_run) == (
        "python",
        "a.py",
        "a = 1\n",
        3,
        None,
    )
    assert (second.language, second.not_run) == ("console", "a reason")


def test_commands_and_their_output() -> None:
    (block,) = read("```console\n$ first \\\n  more\nout\n\nput\n$ second\n```\n")
    first, second = commands(block)
    assert (first.text, first.output, first.line) == ("first \\\n  more\n", "out\n\nput\n", 2)
    assert (second.text, second.output) == ("second\n", "")


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [("a\n", "a  \n\n", True), ("a ... c", "a b\nb c", True), ("a\n...\n", "b", False), ("a", "a b", False)],
)
def test_matching(expected: str, actual: str, same: bool) -> None:
    assert matches(expected, actual) is same


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("$ echo one\ntwo", "the page shows\ntwo\n--- it printed\none"),
        ("$ exit 3", "exit status 3"),
        ("$ hutch serve --profile 9\nhutch serves ...", "invalid choice: '9'"),
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, command: str, told: str) -> None:
    with pytest.raises(Mismatch, match=re.escape(told)):
        play(read(f"```console\n{command}\n```\n"), tmp_path)


@pytest.mark.slow  # runs pytest in a process of its own
def test_pytest_runs_the_blocks_of_a_page() -> None:
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "--collect-only", "docs/kombu.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50)
    assert "docs/kombu.md::line-" in done.stdout
