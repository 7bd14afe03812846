"""Running cases on a target."""

import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from hutch.conformance.case import Case
from hutch.conformance.rabbit import Rabbit
from hutch.conformance.site import Inapplicable
from hutch.conformance.targets import Target

#: Timeout of a case, in seconds. Restarts of a busy live broker take longest.
CASE_DEADLINE: Final = 50.0
#: Seconds that a timed-out case may take to clean up.
_CLEAN_UP: Final = 5.0
#: Seconds for the clean-up after an interrupt. A broker that the case stopped has to start again.
_LAST_CLEAN_UP: Final = 60.0


class Outcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Result:
    """One case on one target. ``message`` says why it failed, does not apply, or passed at the second try alone;
    ``seconds`` is how long it took.
    """

    case: Case
    target: str
    outcome: Outcome
    message: str = ""
    seconds: float = 0.0
    error: BaseException | None = field(default=None, compare=False, repr=False)


def run(cases: Iterable[Case], target: Target, deadline: float = CASE_DEADLINE) -> Iterator[Result]:
    """Run cases one after the other, in the order given; each result as soon as it is there.

    A live broker does some things behind its answers, and may be slow. There a case that fails is played once more;
    if it passes then, its message tells how it failed at first.
    """
    for case in cases:
        result = run_case(case, target, deadline)
        if result.outcome is Outcome.FAILED and target.is_live:
            again = run_case(case, target, deadline)
            if again.outcome is Outcome.PASSED:
                result = replace(again, message=f"passed when played again; at first: {result.message}")
        yield result


def run_case(case: Case, target: Target, deadline: float = CASE_DEADLINE) -> Result:
    """Run one case. It fails when it takes longer than ``deadline`` seconds, and its connections are cut.

    A KeyboardInterrupt cuts them too. It goes on when what the case has made is removed.
    """
    if reason := case.inapplicable(target.profile):
        return Result(case, target.name, Outcome.NOT_APPLICABLE, reason)
    play = _Play(case, target)
    began = time.monotonic()
    try:
        play.start()  # an interrupt may raise here although the case already runs
        play.ended.wait(deadline)
    except KeyboardInterrupt:
        play.abandon()
        play.ended.wait(_LAST_CLEAN_UP)
        raise
    message, error = play.message, play.error
    if not play.ended.is_set():
        message = f"no end after {deadline:g} s{_whereabouts(play)}"
        error = TimeoutError(message)
        play.abandon()
        play.ended.wait(_CLEAN_UP)
    if isinstance(error, Inapplicable):
        return Result(case, target.name, Outcome.NOT_APPLICABLE, str(error), time.monotonic() - began)
    outcome = Outcome.FAILED if error else Outcome.PASSED
    return Result(case, target.name, outcome, message, time.monotonic() - began, error)


class _Play(threading.Thread):
    """A case at work, in a thread of its own so that one that hangs can be given up."""

    def __init__(self, case: Case, target: Target) -> None:
        super().__init__(name=case.name, daemon=True)
        self._case = case
        self._target = target
        self._rabbit: Rabbit | None = None
        self.error: BaseException | None = None
        self.message = ""
        #: Set at the end. In some Python versions, an interrupted join() marks a running thread as ended.
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            with self._target.site() as site:
                rabbit = self._rabbit = Rabbit(site)
                try:
                    self._case.play(rabbit)
                finally:
                    rabbit.close()
        except BaseException as error:
            self.error = error
            self.message = _explain(error)
        finally:
            self.ended.set()

    def abandon(self) -> None:
        if self._rabbit is not None:
            self._rabbit.abandon()


def _explain(error: BaseException) -> str:
    """What went wrong, and in which line of the case."""
    kind = "" if type(error) is AssertionError else f"{type(error).__name__}: "
    lines = [entry for entry in traceback.extract_tb(error.__traceback__) if _is_case(entry.filename)]
    if not lines:
        lines = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({entry.filename.rpartition('/')[2]}:{entry.lineno})" for entry in lines[-1:])
    return f"{kind}{error}{where}"


def _whereabouts(thread: threading.Thread) -> str:
    """The line that a case stands at."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  (how the standard library offers it)
    lines = [entry for entry in traceback.extract_stack(frame) if _is_case(entry.filename)] if frame else []
    return "".join(f", in {entry.filename.rpartition('/')[2]}:{entry.lineno}" for entry in lines[-1:])


def _is_case(filename: str) -> bool:
    return "/conformance/cases/" in filename.replace("\\", "/")
