"""Whether two brokers were seen to do the same in a step."""

import re
from typing import Final

from hutch.conformance.differential.observation import Seen
from hutch.conformance.differential.operations import Place

#: Observations, by connection number and channel number.
AllSeen = dict[tuple[int, int], Seen]

#: The consumer tag in the text of a delivery.
_CONSUMER: Final = re.compile(r"consumer_tag='[^']*', ")


def same(expected: AllSeen, seen: AllSeen) -> bool:
    """Whether it was the same."""
    return expected.keys() == seen.keys() and all(expected[key].same(seen[key]) for key in expected)


def overtaken(expected: AllSeen, seen: AllSeen) -> bool:
    """Whether dead letters and other messages of a quorum queue or a stream came in another order, and nothing else
    differs: they got there from several processes. Or so did what the consumers of a channel that was closed gave back:
    their tags give the order, and some are made up.
    """
    if expected.keys() != seen.keys():
        return False
    closed = any("channel.close(" in line for one in expected.values() for line in one.streams.get("answered", ()))
    mixed: tuple[list[str], list[str]] = [], []
    for key, one in expected.items():
        other = seen[key].streams
        if one.streams.keys() != other.keys() or one.confirmed != seen[key].confirmed:
            return False
        for row, lines in one.streams.items():
            if lines != other[row]:
                if ", consumer " not in row or len(lines) != len(other[row]):
                    return False
                mixed[0].extend(lines)
                mixed[1].extend(other[row])
    if not closed and not any("x-death=" in line for line in mixed[0]):
        return False
    by_emulator, by_live = (sorted(_CONSUMER.sub("", line) for line in lines) for lines in mixed)
    return bool(by_emulator) and by_emulator == by_live


def told(seen: AllSeen, counts: dict[str, str]) -> list[str]:
    """What was seen, and what the queues came to, in lines."""
    lines = [f"{Place(*key)} {line}" for key in sorted(seen) for line in seen[key].lines()]
    return lines + [f"queue {queue}: {count}" for queue, count in counts.items()]
