"""The budgets in calls.json, and how a count differs from them."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .counting import Calls

FILE: Final = Path(__file__).with_name("calls.json")
COMMAND: Final = "python -m tests.budgets"

#: The number of calls in one script, by the calling module.
Budget = Mapping[str, int]


def read() -> dict[str, Budget]:
    """The budgets by the name of the script."""
    budgets: dict[str, Budget] = json.loads(FILE.read_text())
    return budgets


def write(budgets: Mapping[str, Budget]) -> None:
    """Replace calls.json."""
    FILE.write_text(json.dumps(budgets, indent=1) + "\n")


def budget_of(calls: Calls) -> Budget:
    """A count as a budget, sorted by module."""
    modules: Counter[str] = Counter()
    for call in sorted(calls):
        modules[call.module] += calls[call]
    return modules


def explain(script: str, budget: Budget, calls: Calls) -> str:
    """How a count differs from the budget, what to do, and the table of what changed."""
    now = calls.total()
    allowed = sum(budget.values())
    if now > allowed:
        advice = f"Remove the new calls. If they are worth their cost, run `{COMMAND}` and say why in the commit."
    else:
        advice = f"Run `{COMMAND}` to lower the budget."
    headline = f"{script}: {now:,} calls, the budget is {allowed:,} ({now - allowed:+,}). {advice}"
    return f"{headline}\n\n{table(budget, calls)}"


def table(budget: Budget, calls: Calls, *, unchanged: bool = False) -> str:
    """A line for each module that changed, or for each module. The largest growth comes first.

    Below a module that grew stand the calls that it makes now.
    """
    lines = [f"{'budget':>7} {'now':>7} {'change':>7}  module, and what its functions call"]
    modules = budget_of(calls)
    growth = {name: modules.get(name, 0) - budget.get(name, 0) for name in budget.keys() | modules.keys()}
    for module in sorted(growth, key=lambda name: (-growth[name], name)):
        if growth[module] or unchanged:
            was, now = budget.get(module, 0), modules.get(module, 0)
            lines.append(f"{was:>7,} {now:>7,} {now - was:>+7,}  {module}")
        if growth[module] > 0:
            made = sorted(call for call in calls if call.module == module)
            lines += [f"{'':>7} {calls[call]:>7,} {'':>7}      {call.caller} -> {call.callee}" for call in made]
    return "\n".join(lines)
