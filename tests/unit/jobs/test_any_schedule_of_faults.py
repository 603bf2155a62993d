"""Whatever fails, and whenever: no job is left unsaid, nothing runs twice, lines come once.

A thousand schedules are tried by ``HYPOTHESIS_PROFILE=nightly``; the same promises are
kept against the emulator, where the answers are real.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import events, orchestrator
from jobs.errors import Denied, LaunchError, NoAnswer, QuotaExceeded, Unavailable
from jobs.lifecycle import Ending, Task
from tests.scripted_cloud import Script, a_line, an_end
from tests.stories import WHO, launch, means
from tests.unit.jobs.test_requests_on_the_wire import IMAGE, TARGET

CALLS = (
    "jobs.create",
    "jobs.get",
    "jobs.list",
    "jobs.run",
    "jobs.delete",
    "jobs.executions",
    "jobs.execution",
    "jobs.cancel",
    "jobs.tasks",
    "logs.list",
    "builds.list",
    "builds.get",
    "builds.create",
    "builds.cancel",
    "source.upload",
)
WORDS = {"call": "x", "reason": "y"}
FAULTS = st.one_of(
    st.none(),
    st.builds(lambda: Unavailable(**WORDS)),
    st.builds(lambda: NoAnswer(**WORDS)),
    st.builds(lambda: QuotaExceeded(**WORDS)),
    st.builds(lambda: Denied(**WORDS)),
    st.builds(KeyboardInterrupt),
)
SCHEDULES = st.dictionaries(
    st.sampled_from([*CALLS, *(f"+{name}" for name in CALLS)]),
    st.lists(FAULTS, min_size=1, max_size=4),
    max_size=5,
)
ENDS = st.sampled_from(
    [(0, {"succeeded": 1}), (7, {"failed": 1}), (None, {"cancelled": 1})]
)


def a_script(schedule, end, lost, *, tail):
    """Make a script with these faults, this end and a log with holes."""
    code, counts = end
    script = Script()
    script.before = {name: list(faults) for name, faults in schedule.items()}
    script.counts = counts
    script.task = Task(0, code)
    lines = [a_line(n) for n in range(1, 6) if n not in lost]
    script.entries = [*lines, an_end(6, exit_code=code)] if code is not None else lines
    script.tail_works = tail
    return script


def lines_and_gaps(told):
    """Return every number that was told or announced as missing."""
    found = []
    for event in told:
        if isinstance(event, events.LogLine):
            found.append(event.seq)
        elif isinstance(event, events.LogGap):
            found += range(event.first, event.last + 1)
    return found


@given(SCHEDULES, ENDS, st.sets(st.integers(1, 5), max_size=2), st.booleans())
def test_a_run_keeps_its_promises(schedule, end, lost, tail):
    """The job alone, on a machine or in the build's third step."""
    script = a_script(schedule, end, lost, tail=tail)
    given_means, told = means(script)
    ended = None

    try:
        ended = orchestrator.run(given_means, TARGET, IMAGE, WHO, note=lambda *_: None)
    except LaunchError as error:
        assert error.code  # noqa: PT017 - a foreseen error may end it; no other
    except KeyboardInterrupt:
        assert not any(isinstance(e, events.JobCreated) for e in told)

    assert len(script.started) <= 1
    assert not script.jobs or any(isinstance(e, events.CleanupFailed) for e in told)
    numbers = lines_and_gaps(told)
    assert sorted(numbers) == sorted(set(numbers))
    if ended is not None and ended.verdict.ending is Ending.SUCCEEDED:
        assert 0 == end[0]
    if ended is not None and ended.exit_code == 7:
        assert 7 == end[0]


@given(SCHEDULES)
def test_a_launch_keeps_its_promises(schedule):
    """Through Cloud Build: one build at most, and none goes on unsaid."""
    script = a_script(schedule, (0, {"succeeded": 1}), set(), tail=True)
    said = []

    try:
        ended, told = launch(script)
        said = [e for e in told if isinstance(e, events.CleanupFailed)]
        assert ended.exit_code in {0, 24, 25}
    except (LaunchError, KeyboardInterrupt) as error:
        said = getattr(error, "__notes__", [])

    script.before = {}
    active = [b for b in script.cloud().builds.list("", ("migration",)) if b.active]
    assert len(script.builds) <= 1
    assert not active or said


@pytest.mark.parametrize("tail", [True, False])
def test_without_faults_every_line_is_told(tail):
    """The tests above are no use if nothing is ever told."""
    script = a_script({}, (0, {"succeeded": 1}), {2}, tail=tail)
    given_means, told = means(script)

    orchestrator.run(given_means, TARGET, IMAGE, WHO, note=lambda *_: None)

    assert [1, 2, 3, 4, 5, 6] == sorted(lines_and_gaps(told))
