"""Count the calls of each script, print them, and write them to calls.json as the new budgets."""

from . import budget, counting
from .scripts import SCRIPTS


def main() -> None:
    reason = counting.obstacle()
    if reason is not None:
        raise SystemExit(reason)
    budgets = budget.read()
    counts = {name: budget.budget_of(counting.count(script)) for name, script in SCRIPTS.items()}
    for name, count in counts.items():
        before = budgets.get(name, budget.NOTHING)
        print(f"{name}: {count['total']:,} calls, the budget was {before['total']:,}\n")
        print(budget.table(before, count, unchanged_modules=True), end="\n\n")
    budget.write(counts)
    print(f"Written to {budget.FILE}")


if __name__ == "__main__":
    main()
