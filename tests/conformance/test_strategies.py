from collections import Counter
from random import Random

from hutch.conformance.differential import strategies as st


def drawn(strategy: st.Strategy[st.T], count: int = 1000) -> list[st.T]:
    random = Random(1)
    return [strategy.draw(random) for _ in range(count)]


def test_all_values_come_up() -> None:
    assert set(drawn(st.integers(3, 5))) == {3, 4, 5}
    assert set(drawn(st.sampled_from("ab"))) == {"a", "b"}
    assert set(drawn(st.one_of(st.just(1), st.none(), st.booleans()))) == {1, None, False}  # True equals 1
    assert set(drawn(st.text("a", max_size=2))) == {"", "a", "aa"}


def test_lists_have_their_sizes_and_unique_ones_no_value_twice() -> None:
    assert {len(values) for values in drawn(st.lists(st.just(1), min_size=1, max_size=3))} == {1, 2, 3}
    assert {tuple(values) for values in drawn(st.lists(st.integers(1, 2), max_size=2, unique=True))} == {
        *((), (1,), (2,), (1, 2), (2, 1)),
    }


def test_dictionaries_have_what_is_needed_and_half_of_what_is_optional() -> None:
    counts = Counter(
        key
        for values in drawn(st.fixed_dictionaries({"a": st.just(1)}, optional={"b": st.just(1), "c": st.just(1)}))
        for key in values
    )
    assert counts["a"] == 1000
    assert all(400 < counts[key] < 600 for key in "bc")


def test_values_are_made_of_others() -> None:
    assert drawn(st.builds(complex, st.just(1), imag=st.just(2)), 1) == [1 + 2j]
    assert drawn(st.tuples(st.just(1), st.just("a")).map(list), 1) == [[1, "a"]]
    assert set(drawn(st.integers(1, 2).flatmap(lambda number: st.just(str(number))))) == {"1", "2"}
