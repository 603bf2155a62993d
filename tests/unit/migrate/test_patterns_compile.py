"""Every pattern is one on this Python, however it repeats what it may not give back."""

import inspect

import pytest

from migrate import patterns

CACHED = {
    name: function
    for name, function in vars(patterns).items()
    if hasattr(function, "cache_clear")
}


@pytest.mark.parametrize("name", CACHED)
@pytest.mark.parametrize("standard", [True, False])
def test_each_is_compiled_anew_to_the_same(name, standard):
    """Made again, not remembered, it is what the splitter uses."""
    function = CACHED[name]
    takes = inspect.signature(function).parameters
    given = {"standard": standard} if "standard" in takes else {}

    again, used = function.__wrapped__(**given), function(**given)

    whole = getattr(again, "__self__", again)
    assert whole == getattr(used, "__self__", used)
