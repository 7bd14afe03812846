"""The budgets in calls.json, and how a count differs from them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict

from .counting import Calls

FILE: Final = Path(__file__).with_name("calls.json")
COMMAND: Final = "python -m tests.budgets"


class Budget(TypedDict):
    """The calls of one script: all of them, those that each module makes, and each caller's."""

    total: int
    modules: dict[str, int]
    calls: dict[str, dict[str, int]]


NOTHING: Final[Budget] = {"total": 0, "modules": {}, "calls": {}}


def read() -> dict[str, Budget]:
    """The budgets by the name of the script."""
    budgets: dict[str, Budget] = json.loads(FILE.read_text())
    return budgets


def write(budgets: Mapping[str, Budget]) -> None:
    """Replace calls.json."""
    FILE.write_text(json.dumps(budgets, indent=1) + "\n")


def budget_of(calls: Calls) -> Budget:
    """A count as a budget, sorted by name."""
    by_module: dict[str, dict[str, int]] = {}
    for call in sorted(calls):
        by_module.setdefault(call.module, {})[f"{call.caller} -> {call.callee}"] = calls[call]
    modules = {module: sum(counts.values()) for module, counts in by_module.items()}
    return {"total": calls.total(), "modules": modules, "calls": by_module}


def explain(script: str, budget: Budget, now: Budget) -> str:
    """How a count differs from the budget, what to do, and the table of what changed."""
    more = now["total"] - budget["total"]
    if more > 0:
        advice = f"Remove the new calls. If they are worth their cost, run `{COMMAND}` and say why in the commit."
    elif more < 0:
        advice = f"Run `{COMMAND}` to lower the budget."
    else:
        advice = f"The total is the same, but the functions differ: run `{COMMAND}`."
    headline = f"{script}: {now['total']:,} calls, the budget is {budget['total']:,} ({more:+,}). {advice}"
    return f"{headline}\n\n{table(budget, now)}"


def table(budget: Budget, now: Budget, *, unchanged_modules: bool = False) -> str:
    """A line for each changed module, or each module, and each changed call. The largest growth comes first."""
    lines = [f"{'budget':>7} {'now':>7} {'change':>7}  module, and what its functions call"]
    for module in _by_growth(budget["modules"], now["modules"]):
        before, after = budget["calls"].get(module, {}), now["calls"].get(module, {})
        if before != after or unchanged_modules:
            lines.append(_line(module, budget["modules"], now["modules"]))
        changed = (call for call in _by_growth(before, after) if before.get(call) != after.get(call))
        lines += (_line(call, before, after, indent="    ") for call in changed)
    return "\n".join(lines)


def _by_growth(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    return sorted(before.keys() | after.keys(), key=lambda name: (before.get(name, 0) - after.get(name, 0), name))


def _line(name: str, before: Mapping[str, int], after: Mapping[str, int], indent: str = "") -> str:
    was, now = before.get(name, 0), after.get(name, 0)
    return f"{was:>7,} {now:>7,} {now - was:>+7,}  {indent}{name}"
