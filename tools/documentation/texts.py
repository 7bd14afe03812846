"""What the program's source says to people, as Markdown for the prose linter: help texts, or docstrings.

    python -m documentation.texts FILE.md PATH ...                help texts of argparse and of pytest's options
    python -m documentation.texts --docstrings FILE.md PATH ...   docstrings

A path is a file or a folder. Each text stands under a heading that names its file and line. Examples, tables and the
names of behaviours are left out.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from documentation.markdown import as_markdown

#: The keywords whose strings a command's help prints.
_HELP: Final = frozenset({"help", "description", "epilog"})
#: A section of a docstring, whose items are indented.
_SECTION: Final = re.compile(r"(?:Args|Returns|Raises|Yields|Attributes):")
#: Behaviours and groups of them: "DLX-14", "CONN-BLOCK-04", "EXCH-BIND", "(QOS)".
_BEHAVIOUR: Final = re.compile(r"\b[A-Z]+(?:-[A-Z]+)*-\d+\b|\b[A-Z]+(?:-[A-Z]+)+\b|\([A-Z]+\)")
#: A table, from its first line of "=====" to its last.
_TABLE: Final = re.compile(r"^=====.*^=====[= ]*$", re.MULTILINE | re.DOTALL)
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def help_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each help text: strings of ``help=``, ``description=`` and ``epilog=``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _HELP:
            parts = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            text = "".join(part for part in parts if isinstance(part, str))
            if text:
                yield node.value.lineno, text.replace("%%", "%")


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node)) is not None:
            yield node.body[0].lineno, _without_examples(as_markdown(text))


def _without_examples(text: str) -> str:
    """The sentences of a docstring. The indented lines of a section such as ``Args:`` become items of a list."""
    kept = []
    in_section = False
    for line in _TABLE.sub("", _BEHAVIOUR.sub("", text)).splitlines():
        if _SECTION.fullmatch(line):
            in_section = True
        elif line and not line.startswith(" "):
            in_section = False
        if in_section and re.match(r" {4}\S", line):
            kept.append(f"- {line.strip()}")
        elif in_section or not line.startswith("    "):
            kept.append(line.strip() if in_section else line)
    return "\n".join(kept)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file. Returns 1 if there is no text at all."""
    parser = argparse.ArgumentParser(prog="documentation.texts", description="Collect texts for the prose linter.")
    parser.add_argument("--docstrings", action="store_true", help="collect docstrings instead of help texts")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("paths", type=Path, nargs="+", help="files, and folders to search for Python files")
    options = parser.parse_args(argv)
    texts = docstrings if options.docstrings else help_texts
    sections = [
        f"## `{path}:{line}`\n\n{text}\n"
        for named in options.paths
        for path in (sorted(named.rglob("*.py")) if named.is_dir() else [named])
        for line, text in texts(ast.parse(path.read_text()))
    ]
    options.file.write_text("\n".join(sections))
    return 0 if sections else 1


if __name__ == "__main__":
    sys.exit(main())
