"""Quantities of memory and processors, in every form that Cloud Run writes."""

import pytest

from emulator.limits import cpus_of, memory_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("512Mi", 512 << 20), ("2Gi", 2 << 30), ("1G", 10**9), ("4096", 4096)],
)
def test_memory_is_read_in_bytes(text, size):
    """With the units of two and of ten, or none."""
    assert size == memory_of(text)


def test_a_size_without_meaning_is_refused():
    """Not taken for something else."""
    with pytest.raises(ValueError, match="not a size of memory: 5 apples"):
        memory_of("5 apples")


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), ("1000m", 1.0), ("500m", 0.5)]
)
def test_processors_are_read_whole_or_in_thousandths(text, number):
    """Cloud Run's default is 1000m."""
    assert number == cpus_of(text)
