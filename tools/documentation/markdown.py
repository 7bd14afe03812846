"""Docstrings as Markdown: ``:meth:`connect``` becomes `connect`, ``::`` before an example becomes a plain colon."""

import re
from typing import Final

_ROLE: Final = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(?:[^`<]*<)?~?([\w.]+)>?`")


def as_markdown(text: str) -> str:
    """The docstring in Markdown."""
    text = _ROLE.sub(lambda match: f"`{match[1].removeprefix('hutch.')}`", text)
    text = text.replace("``", "`")
    return re.sub(r"(?<=\S)::\n", ":\n", re.sub(r"^::\n", "", text, flags=re.MULTILINE))
