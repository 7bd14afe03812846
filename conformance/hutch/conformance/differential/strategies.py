"""Strategies draw values from random numbers. They have the names that Hypothesis gives them.

Hypothesis itself draws fifty times slower, and each version of it draws other values for a seed. The machine needs no
more of it than this: :mod:`~hutch.conformance.differential.shrinking` makes scripts smaller.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")


class Strategy(Generic[T_co]):
    """A way to draw a value. ``draw`` takes the source of random numbers; the same numbers give the same value."""

    def __init__(self, draw: Callable[[Random], T_co]) -> None:
        self.draw: Final = draw

    def map(self, function: Callable[[T_co], T]) -> "Strategy[T]":
        """What ``function`` makes of a value."""
        draw = self.draw
        return Strategy(lambda random: function(draw(random)))

    def flatmap(self, function: "Callable[[T_co], Strategy[T]]") -> "Strategy[T]":
        """A value of the strategy that ``function`` makes of a value."""
        draw = self.draw
        return Strategy(lambda random: function(draw(random)).draw(random))


def just(value: T) -> Strategy[T]:
    """That value."""
    return Strategy(lambda _: value)


def none() -> Strategy[None]:
    """``None``."""
    return just(None)


def booleans() -> Strategy[bool]:
    """Either."""
    return Strategy(lambda random: random.random() < 0.5)


def integers(first: int, last: int) -> Strategy[int]:
    """A number from ``first`` to ``last``, both included."""
    return Strategy(lambda random: first + _below(random, last - first + 1))


def sampled_from(values: Sequence[T]) -> Strategy[T]:
    """One of the values, all of them equally often."""
    count = len(values)
    return Strategy(lambda random: values[int(random.random() * count)])


def one_of(*strategies: Strategy[T]) -> Strategy[T]:
    """A value of one of the strategies, all of them equally often."""
    draws, count = [strategy.draw for strategy in strategies], len(strategies)
    return Strategy(lambda random: draws[int(random.random() * count)](random))


def tuples(*strategies: Strategy[Any]) -> Strategy[tuple[Any, ...]]:
    """A value of each strategy."""
    draws = [strategy.draw for strategy in strategies]
    return Strategy(lambda random: tuple([draw(random) for draw in draws]))


def lists(elements: Strategy[T], *, min_size: int = 0, max_size: int, unique: bool = False) -> Strategy[list[T]]:
    """Values of one strategy, from ``min_size`` to ``max_size`` of them. What is drawn twice stands but once in a
    ``unique`` list, which is shorter then.
    """
    draw, sizes = elements.draw, max_size - min_size + 1

    def drawn(random: Random) -> list[T]:
        values = [draw(random) for _ in range(min_size + _below(random, sizes))]
        return list(dict.fromkeys(values)) if unique else values

    return Strategy(drawn)


def text(alphabet: str, *, max_size: int) -> Strategy[str]:
    """Letters of an alphabet, up to ``max_size`` of them."""
    return lists(sampled_from(alphabet), max_size=max_size).map("".join)


def fixed_dictionaries(
    needed: Mapping[K, Strategy[T]], *, optional: Mapping[K, Strategy[T]] | None = None
) -> Strategy[dict[K, T]]:
    """A dictionary with a value for each key that is ``needed``, and for half of those that are ``optional``."""
    always = [(key, strategy.draw) for key, strategy in needed.items()]
    sometimes = [(key, strategy.draw) for key, strategy in (optional or {}).items()]

    def drawn(random: Random) -> dict[K, T]:
        values = {key: draw(random) for key, draw in always}
        values.update({key: draw(random) for key, draw in sometimes if random.random() < 0.5})
        return values

    return Strategy(drawn)


def builds(target: Callable[..., T], *args: Strategy[Any], **kwargs: Strategy[Any]) -> Strategy[T]:
    """What ``target`` makes of a value of each strategy."""
    positional = [strategy.draw for strategy in args]
    named = [(name, strategy.draw) for name, strategy in kwargs.items()]

    def drawn(random: Random) -> T:
        return target(*[draw(random) for draw in positional], **{name: draw(random) for name, draw in named})

    return Strategy(drawn)


def _below(random: Random, count: int) -> int:
    return int(random.random() * count)
