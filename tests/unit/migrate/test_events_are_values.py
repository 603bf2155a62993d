"""An event is a value: made whole, compared by its fields, never changed."""

import pytest

from migrate.events import Notice, Progress, Resolving


def test_fields_are_given_by_place_or_by_name():
    """Both make the same event, which says how it is made."""
    by_place = Progress("statements", 1, 2)

    assert by_place == Progress("statements", total=2, done=1)
    assert {"what": "statements", "done": 1, "total": 2} == by_place._asdict()
    assert "Progress(what='statements', done=1, total=2)" == repr(by_place)
    assert 1 == len({by_place, Progress("statements", 1, 2)})


def test_another_kind_or_another_value_is_another_event():
    """Two kinds may have the same fields, or fields of the same words."""
    assert Progress("statements", 1, 2) != Progress("statements", 2, 2)
    assert Notice("a.sql", "gone") != Resolving("a.sql", "gone")
    assert Notice("a.sql", "gone") != ("a.sql", "gone")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        (("a.sql",), {}),
        (("a.sql", "said", "more"), {}),
        (("a.sql",), {"file": "a.sql"}),
        (("a.sql", "said"), {"more": 1}),
        ((), {"file": "a.sql", "test": "said"}),
    ],
)
def test_a_field_too_few_or_too_many_is_a_mistake(values, named):
    """It is said where the event is made."""
    with pytest.raises(TypeError, match="Notice is made of"):
        Notice(*values, **named)


def test_an_event_does_not_change():
    """Whoever was told of it may keep it."""
    event = Notice("a.sql", "said")

    with pytest.raises(AttributeError, match="cannot be set"):
        event.text = "unsaid"  # type: ignore[misc]

    assert "said" == event.text
