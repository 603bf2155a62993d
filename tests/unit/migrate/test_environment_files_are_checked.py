"""An environment file is refused by name and line wherever it is not what it should be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.config import OPTIONS, read_environment_file
from migrate.errors import EnvironmentFileWrong, UnknownEnvironment


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Write ``environments/dev.yaml`` and stand beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "environments").mkdir()

    def write(content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "environments" / "dev.yaml").write_bytes(data)

    return write


WRONG = {
    "a typing slip": ("# dev\nengine:\n\n  wiat: 5s\n", 4, "did you mean 'wait'?"),
    "a dash": ("engine:\n  lock-timeout: 5s\n", 2, "did you mean 'lock_timeout'?"),
    "a quoted key": ('engine:\n  "shema": x\n', 2, "did you mean 'schema'?"),
    "nothing near": ("engine:\n  dir: x\n  qqqqqq: 1\n", 3, "unknown setting 'qqqqqq'"),
    "the same key elsewhere": (
        "jobs:\n  wiat: 1\nengine:\n  wiat: 2\n",
        4,
        "unknown setting 'wiat'",
    ),
    "a key that is a list": ("engine:\n  [a, b]: 1\n", 2, "is one word"),
    "a key twice": ("engine:\n  dir: a\n  dir: b\n", 3, "'dir' stands twice"),
    "a list for a value": (
        "engine:\n  dir:\n    - a\n",
        2,
        "holds a list or a mapping",
    ),
    "a mapping for a value": (
        "engine:\n  dir: {a: b}\n",
        2,
        "holds a list or a mapping",
    ),
    "a list for the section": ("engine:\n  - dir\n", 2, "engine is not a mapping"),
    "a word for the section": ("a: 1\nengine: dir\n", 2, "engine is not a mapping"),
    "a list for the file": ("# c\n- engine\n", 2, "it is not a mapping"),
    "a word for the file": ("engine\n", 1, "it is not a mapping"),
    "a tab": ("engine:\n\tdir: x\n", 2, "cannot start any token"),
    "an unclosed list": ("engine:\n  dir: [\n", 3, "expected the node content"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, "another document"),
    "bytes that are no text": (b"engine:\n  dir: caf\xe9\n", 2, "it is not YAML"),
    "a control character": ("engine:\n  dir: \x01\n", 2, "special characters"),
}


@pytest.mark.parametrize(("content", "line", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_line(environment, content, line, says):
    """The reader of the error finds the place without searching."""
    environment(content)

    with pytest.raises(EnvironmentFileWrong) as raised:
        read_environment_file("dev")

    assert says in raised.value.reason
    assert ("environments/dev.yaml", line) == (raised.value.file, raised.value.line)


EMPTY = [
    "",
    "# nothing\n",
    "engine:\n",
    "engine: {}\n",
    "jobs:\n  wiat: 1\n",
    "engine: ~\n",
]


@pytest.mark.parametrize("content", EMPTY)
def test_a_file_may_say_nothing_of_the_engine(environment, content):
    """The sections of others are theirs, and an empty section is none."""
    environment(content)

    found = read_environment_file("dev")

    assert ({}, "environments/dev.yaml") == found


def test_values_are_taken_as_they_are_written(environment):
    """YAML's guesses (90 for 1:30, True for yes) are not ours: the setting's own form is."""
    environment(
        "engine:\n  wait: 1:30\n  iam_auth: yes\n  lock_tries: 010\n  schema: ~\n"
        "  table: 'null'\n  dir: \"\"\n  database_url: 'a: b'  # comment\n"
    )

    values, _ = read_environment_file("dev")

    assert {
        "wait": "1:30",
        "iam_auth": "yes",
        "lock_tries": "010",
        "table": "null",
        "dir": "",
        "database_url": "a: b",
    } == values


@given(st.sampled_from([option.name for option in OPTIONS]), st.integers(0, 20))
def test_one_letter_too_many_is_forgiven_with_a_suggestion(name, place):
    """Whatever setting was meant, it is the one that is suggested."""
    from migrate.config import _nearest

    slip = name[:place] + "x" + name[place:]

    suggested = _nearest(slip)

    assert f"; did you mean {name!r}?" == suggested


def test_an_environment_that_is_not_there_is_named_beside_those_that_are(
    environment, tmp_path
):
    """The error lists what could have been meant."""
    environment("")
    (tmp_path / "environments" / "local.yaml").write_text("")
    (tmp_path / "environments" / "notes.txt").write_text("")

    with pytest.raises(UnknownEnvironment) as raised:
        read_environment_file("produktion")

    assert "there is no environment 'produktion' (there are: dev, local)" == str(
        raised.value
    )


def test_without_the_directory_there_are_none(tmp_path, monkeypatch):
    """The error is the same where nobody keeps environments."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UnknownEnvironment) as raised:
        read_environment_file("dev")

    assert "none" == raised.value.known
