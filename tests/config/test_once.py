"""Work that is done once for each object."""

from callboard.config.once import once


def test_it_is_done_once_for_each_object_and_equal_objects_are_two():
    done: list[list[int]] = []

    @once
    def work(given: list[int]) -> int:
        done.append(given)
        return sum(given)

    one, other = [1, 2], [1, 2]
    assert [work(one), work(one), work(other), work(one)] == [3, 3, 3, 3]
    assert [each is one for each in done] == [True, False]


def test_of_many_objects_it_forgets_and_still_says_what_is_true():
    asked = 0

    @once
    def work(given: list[int]) -> int:
        nonlocal asked
        asked += 1
        return given[0]

    for number in range(1_000):
        assert work([number]) == number
    assert asked == 1_000
