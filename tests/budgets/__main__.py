"""Count the calls of each script, print them, and write them to calls.json as the new budgets."""

from . import budget, counting
from .scripts import SCRIPTS


def main() -> None:
    reason = counting.obstacle()
    if reason is not None:
        raise SystemExit(reason)
    budgets = budget.read()
    counts = {name: counting.count(script) for name, script in SCRIPTS.items()}
    for name, count in counts.items():
        before = budgets.get(name, {})
        print(f"{name}: {count.total():,} calls, the budget was {sum(before.values()):,}\n")
        print(budget.table(before, count, unchanged=True), end="\n\n")
    budget.write({name: budget.budget_of(count) for name, count in counts.items()})
    print(f"Written to {budget.FILE}")


if __name__ == "__main__":
    main()
