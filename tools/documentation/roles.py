"""Docstrings in the reference: ``:meth:`connect``` becomes `connect`, ``::`` before an example becomes a block of code.

A griffe extension, which mkdocs.yml names. Python's readers of docstrings know both from Sphinx; Markdown does not.
"""

import re
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(?:[^`<]*<)?~?([\w.]+)>?`")


def as_markdown(text: str) -> str:
    """The docstring in Markdown."""
    text = _ROLE.sub(lambda match: f"`{match[1].removeprefix('hutch.')}`", text)
    text = text.replace("``", "`")
    return re.sub(r"(?<=\S)::\n", ":\n", re.sub(r"^::\n", "", text, flags=re.MULTILINE))


class Roles(griffe.Extension):
    """Rewrites each docstring when it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take one object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
