"""The feed tracker: whatever happens to live messages, each comes out once, in the order of the stream."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.guards.sidecar import tracker
from callboard.guards.sidecar.tracker import FeedTracker

streams = st.lists(st.integers(1, 3), max_size=30).map(lambda steps: [sum(steps[: n + 1]) for n in range(len(steps))])
"""The sequences that a stream has: mostly contiguous, with purged ones in between."""


def read_all(feed, stream, page):
    """What a shell does: pages, until the feed is not behind."""
    out = []
    while feed.behind:
        rest = [sequence for sequence in stream if sequence > feed.seen]
        found = rest[:page]
        upto = found[-1] if len(found) < len(rest) else max(rest, default=feed.end)
        out += feed.read([(sequence, sequence) for sequence in found], upto=max(upto, feed.seen))
        if not rest:
            out += feed.read((), upto=feed.end)
    return out


@given(streams, st.data(), st.integers(1, 5))
def test_every_interleaving_of_loss_repetition_and_reordering_gives_every_sequence_once_in_order(stream, data, page):
    feed, out = FeedTracker[int](0), []
    live = data.draw(st.lists(st.sampled_from(stream), max_size=60)) if stream else []
    for sequence in live:
        out += feed.live(sequence, sequence)
        if data.draw(st.booleans()):
            out += read_all(feed, stream, page)
    feed.tail(stream[-1] if stream else 0)
    out += read_all(feed, stream, page)
    assert out == stream
    assert not feed.behind
    assert not feed._waiting


@given(st.integers(0, 5), st.integers(1, 50))
def test_messages_in_order_come_out_at_once_and_nothing_is_read(start, count):
    feed = FeedTracker[int](start)
    for sequence in range(start + 1, start + count + 1):
        assert list(feed.live(sequence, sequence)) == [sequence]
        assert not feed.behind


def test_a_live_message_that_comes_while_a_gap_is_read_waits_for_its_turn():
    feed = FeedTracker[str](4)
    assert not feed.live(7, "seven")
    assert feed.behind
    assert not feed.live(8, "eight")
    assert list(feed.read([(5, "five"), (6, "six")], upto=6)) == ["five", "six", "seven", "eight"]
    assert not feed.behind


def test_what_does_not_fit_among_the_waiting_is_read_from_the_stream(monkeypatch):
    monkeypatch.setattr(tracker, "KEPT", 2)
    feed = FeedTracker[int](0)
    for sequence in range(2, 10):
        assert not feed.live(sequence, sequence)
    assert list(feed.read([(1, 1)], upto=1)) == [1, 2, 3]
    assert feed.behind
    assert list(feed.read([(n, n) for n in range(4, 10)], upto=9)) == [4, 5, 6, 7, 8, 9]
    assert not feed.behind


def test_what_came_meanwhile_is_not_read_a_second_time():
    feed = FeedTracker[int](0)
    assert list(feed.live(1, 1)) == [1]
    assert list(feed.read([(1, 1), (2, 2)], upto=2)) == [2]
