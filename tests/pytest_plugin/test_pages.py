"""The pages about tests: their code runs."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from .runs import OTHERS, without

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^( *)```(python|ini)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
#: How many tests a page has; scripts are not among them.
PAGES = {"looking": 3, "assertions": 1, "time": 3, "settings": 3, "without-pytest": 1, "interception": 2}


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str, pytester: pytest.Pytester) -> None:
    files = []
    for number, (_, language, code) in enumerate(BLOCK.findall((DOCS / f"{page}.md").read_text())):
        text = dedent(code)
        if language == "ini":
            name = "pytest.ini"
        elif text.startswith("# conftest.py"):
            name = "conftest.py"
        else:
            name = f"test_block_{number}.py"
            files.append(name)
        (pytester.path / name).write_text(text)
    assert files
    options = without(*(name for name in OTHERS if name != "anyio"))
    pytester.runpytest_subprocess("-W", "error", *options, *files).assert_outcomes(passed=PAGES[page])
