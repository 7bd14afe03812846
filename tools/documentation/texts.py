"""What the program's source says to people, as Markdown for the prose linter: help texts, or docstrings.

    python -m documentation.texts FILE.md FOLDER ...                help texts of argparse and of pytest's options
    python -m documentation.texts --docstrings FILE.md FOLDER ...   docstrings

Each text stands under a heading that names its file and line. What stands in code or as an example is left out.
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
    """The text without indented examples. The indented lines of a section such as ``Args:`` become items of a list."""
    kept = []
    in_section = False
    for line in text.splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Yields|Attributes):", line):
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
    parser.add_argument("folders", type=Path, nargs="+", help="folders to search")
    options = parser.parse_args(argv)
    texts = docstrings if options.docstrings else help_texts
    sections = [
        f"## {path}:{line}\n\n{text}\n"
        for folder in options.folders
        for path in sorted(folder.rglob("*.py"))
        for line, text in texts(ast.parse(path.read_text()))
    ]
    options.file.write_text("\n".join(sections))
    return 0 if sections else 1


if __name__ == "__main__":
    sys.exit(main())
