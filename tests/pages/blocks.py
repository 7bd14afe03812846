"""The blocks of code of a Markdown page.

A fence names the block's language, one of :data:`LANGUAGES`. ``title="FILE"`` behind it makes the block a file. A
comment above a fence says why its block does not run: ``<!-- not run: needs a live RabbitMQ -->``. A page whose code
imports what ``pip install '.[test]'`` does not bring says so in a comment: ``<!-- needs: django, node:amqplib -->``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
#: Every page whose code is run.
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
#: ``python`` is run. ``console`` has commands after ``$`` and their output. The others are only shown.
LANGUAGES: Final = ("python", "console", "text", "dockerfile", "yaml", "toml", "ini", "javascript", "html", "json")

_FENCE: Final = re.compile(
    r"(?P<above>^<!-- not run: (?P<reason>[^>]*) -->\n+)?"
    r'^(?P<indent> *)```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^(?P=indent)```$',
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A block of code. ``line`` is the number of the line before its first one. ``title`` is the name of the file that
    it makes, or None. ``not_run`` is why it does not run, or None.
    """

    language: str
    title: str | None
    code: str
    line: int
    not_run: str | None


def read(text: str) -> list[Block]:
    """The blocks of a page, in order."""
    return list(_blocks(text))


def needed(text: str) -> list[str]:
    """The modules and commands that a page needs, beside what the tests need anyhow."""
    return [
        name.strip()
        for names in re.findall(r"^<!-- needs: ([^>]*) -->$", text, re.MULTILINE)
        for name in names.split(",")
    ]


def read_page(name: str) -> list[Block]:
    """The blocks of a page, by its path in the repository."""
    return read((ROOT / name).read_text())


def _blocks(text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        indent, code = match["indent"], match["code"]
        if indent:
            code = re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("code"))
        yield Block(match["language"], match["title"], code, line, match["reason"])
