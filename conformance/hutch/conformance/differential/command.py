"""``hutch conformance --differential``: a run, told in lines."""

from hutch.conformance.differential.machine import Arena, Outcome, run
from hutch.conformance.targets import Target


def play(target: Target, operations: int, number: int) -> int:
    """Play ``operations`` on the emulator of the target's profile and on the target, seeded by ``number``; 1 if they
    differ, or something is left on the target.
    """
    print(f"{target.name} and the emulator: {operations} operations, --seed {number}", flush=True)
    with target.site() as site:
        outcome = run(Arena(site, target.profile), operations, number)
    for line in told(outcome):
        print(line)
    left = target.left_behind()
    for line in left:
        print(f"LEFT BEHIND: {line}")
    return int(bool(left) or outcome.difference is not None)


def told(outcome: Outcome) -> list[str]:
    """What a run came to."""
    lines = [f"not seen again in the same operations, and so not counted:\n{each}" for each in outcome.unrepeated]
    if outcome.difference is not None:
        lines.append(str(outcome.difference))
    lines += [f"{count:8} {kind}" for kind, count in sorted(outcome.played.items())]
    played, seconds = outcome.played.total(), outcome.seconds
    lines.append(
        f"{played} operations in {outcome.scripts} scripts in {seconds:.1f} s, {played / seconds:.0f} a second; "
        f"{outcome.inconclusive} scripts left off, undetermined"
    )
    lines.append("no difference" if outcome.difference is None else "they differ")
    return lines
