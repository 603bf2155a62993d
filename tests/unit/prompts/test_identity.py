"""Ids that sort by time, and hashes that give no subject away."""

import itertools
import time
import uuid

from prompts.identity import BUCKETS, bucket, subject_hash, uuid7


def test_ids_are_version_7_and_sort_by_time():
    """Standard in form; a later millisecond is a greater id."""
    before = time.time_ns() // 1_000_000
    ids = []
    for _ in range(3):
        ids.append(uuid7())
        time.sleep(0.002)
    after = time.time_ns() // 1_000_000

    parsed = [uuid.UUID(text) for text in ids]

    assert {(7, uuid.RFC_4122)} == {(u.version, u.variant) for u in parsed}
    assert sorted(ids) == ids
    assert all(before <= u.int >> 80 <= after for u in parsed)


def test_ids_of_one_moment_differ():
    """Ten thousand at once are ten thousand."""
    assert 10_000 == len({uuid7() for _ in range(10_000)})


def test_subject_is_hidden_by_the_key():
    """The same subject and key give the same hash; another key gives another."""
    hashes = [subject_hash(key, "ada@example.org") for key in ("one", "one", "two")]

    assert hashes[0] == hashes[1] != hashes[2]
    assert 64 == len(hashes[0])
    assert "ada" not in hashes[0]
    assert subject_hash("one", "\ud800")  # half a character is a subject too


def test_buckets_are_even():
    """Ten tenths of the range hold a tenth of the subjects each."""
    tenths = sorted(bucket("salt", str(n)) * 10 // BUCKETS for n in range(20_000))

    counts = {tenth: len(list(g)) for tenth, g in itertools.groupby(tenths)}

    assert set(range(10)) == set(counts)
    assert all(1_800 < count < 2_200 for count in counts.values())
