"""Settings: flag before variable before environment file before default."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.config import OPTIONS, PLATFORM, Output, load
from migrate.errors import BadSetting, NoDatabaseUrl

#: For each setting four good texts, and the values they stand for.
GOOD: dict[str, dict[str, Any]] = {
    "database_url": {
        "postgresql://a": "postgresql://a",
        "host=b": "host=b",
        "host=c": "host=c",
    },
    "dir": {"one": "one", "two": "two", "three": "three"},
    "output": {"json": Output.JSON, "text": Output.TEXT},
    "wait": {"1s": 1000, "2s": 2000, "3min": 180_000},
    "lock_wait": {"0": 0, "2s": 2000, "3h": 10_800_000},
    "lock_timeout": {"100ms": 100, "2s": 2000, "0": 0},
    "lock_tries": {"1": 1, "2": 2, "30": 30},
    "statement_timeout": {"1.5s": 1500, "0": 0, "3s": 3000},
    "idle_timeout": {"1s": 1000, "2s": 2000, "3s": 3000},
    "schema": {"one": "one", "Two Words": "Two Words", "x" * 63: "x" * 63},
    "table": {"one": "one", '"': '"', "é" * 31: "é" * 31},
    "iam_auth": {"true": True, "NO": False, "1": True, "off": False, "yes": True},
    "metadata_url": {"http://a": "http://a", "http://b": "http://b", "x": "x"},
}
A_TIME = "a number with a unit"
A_NAME = "1 to 63 bytes"
BAD = [
    *(("output", text, "text or json") for text in ("", "TEXT", "yaml")),
    *(
        (name, text, A_TIME)
        for name in (
            "wait",
            "lock_wait",
            "lock_timeout",
            "statement_timeout",
            "idle_timeout",
        )
        for text in ("", "5", "soon", "-1s")
    ),
    ("wait", "25000000min", "24 days"),
    *(
        ("lock_tries", text, "at least 1")
        for text in ("", "0", "-1", "1.5", "²", "many")
    ),
    *(
        (name, text, A_NAME)
        for name in ("schema", "table")
        for text in ("", "x" * 64, "é" * 32, "a\0b")
    ),
    *(("iam_auth", text, "true or false") for text in ("maybe", "2", "tru")),
]
FLAGS = dict.fromkeys((option.name for option in OPTIONS), None)


def in_file(monkeypatch, tmp_path, name, text):
    """Stand in a checkout whose environment ``dev`` says this."""
    (tmp_path / "environments").mkdir()
    quoted = text.replace("'", "''")
    content = f"engine:\n  {name}: '{quoted}'\n"
    (tmp_path / "environments" / "dev.yaml").write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_exemplified():
    """A new setting needs its good values here, or this fails."""
    names = [option.name for option in OPTIONS]

    assert list(GOOD) == names


def test_names_flags_and_variables_are_one_name():
    """Whoever knows the flag knows the variable and the key in the file."""
    for option in OPTIONS:
        upper = option.name.upper()

        assert "--" + option.name.replace("_", "-") == option.flag
        assert option.variable in {upper, f"MIGRATE_{upper}"}


def test_the_defaults_are_these():
    """Nothing said: what the reference page promises."""
    settings = load({}, {}, None)

    assert {
        "database_url": None,
        "dir": "migrations",
        "output": Output.TEXT,
        "wait": 60_000,
        "lock_wait": 60_000,
        "lock_timeout": 5000,
        "lock_tries": 10,
        "statement_timeout": 0,
        "idle_timeout": 300_000,
        "schema": "public",
        "table": "schema_migrations",
        "iam_auth": False,
        "metadata_url": "http://metadata.google.internal",
    } == {option.name: getattr(settings, option.name) for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_order_of_authority(option, monkeypatch, tmp_path):
    """A flag wins over a variable, a variable over the file, the file over the default."""
    texts = [*GOOD[option.name]][:3]
    flag, variable, file = (texts * 2)[:3]
    value = GOOD[option.name]
    in_file(monkeypatch, tmp_path, option.name, file)
    flags = {**FLAGS, option.name: flag}
    variables = {option.variable: variable}

    by_flag = load(flags, variables, "dev")
    by_variable = load(FLAGS, variables, "dev")
    by_file = load(FLAGS, {option.variable: ""}, "dev")
    by_default = load(FLAGS, {}, None)

    found = [getattr(s, option.name) for s in (by_flag, by_variable, by_file)]
    assert [value[flag], value[variable], value[file]] == found
    assert getattr(load({}, {}, None), option.name) == getattr(by_default, option.name)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts]
)
def test_a_good_value_is_read(name, text):
    """Each form a setting may have stands for its value."""
    settings = load({name: text}, {}, None)

    assert GOOD[name][text] == getattr(settings, name)


@pytest.mark.parametrize(("name", "text", "says"), BAD)
def test_a_bad_value_is_refused_by_name(name, text, says):
    """The error says which flag, which value and which form is expected."""
    option = next(option for option in OPTIONS if option.name == name)

    with pytest.raises(BadSetting) as raised:
        load({name: text}, {}, None)

    assert option.flag == raised.value.origin
    assert text == raised.value.value
    assert says in raised.value.reason


@pytest.mark.parametrize("name", sorted({name for name, _, _ in BAD}))
def test_a_bad_value_says_where_it_came_from(name, monkeypatch, tmp_path):
    """A variable's value is not blamed on a flag, nor a file's on a variable."""
    option = next(option for option in OPTIONS if option.name == name)
    text = next(bad for one, bad, _ in BAD if one == name and bad and "\0" not in bad)
    in_file(monkeypatch, tmp_path, name, text)

    with pytest.raises(BadSetting) as by_variable:
        load({}, {option.variable: text}, "dev")
    with pytest.raises(BadSetting) as by_file:
        load({}, {}, "dev")

    assert option.variable == by_variable.value.origin
    assert f"{name} in environments/dev.yaml" == by_file.value.origin


@given(st.sampled_from(OPTIONS), st.text())
def test_any_text_is_a_value_or_a_bad_setting(option, text):
    """No text of a flag makes the reader itself fail."""
    found = None

    with contextlib.suppress(BadSetting):
        found = load({option.name: text}, {}, None)

    assert found is None or hasattr(found, option.name)


def test_the_environment_can_be_named_by_variable(monkeypatch, tmp_path):
    """MIGRATE_ENV does what --env does, and --env wins."""
    in_file(monkeypatch, tmp_path, "dir", "sql")
    (tmp_path / "environments" / "other.yaml").write_text("engine:\n  dir: else\n")

    by_variable = load({}, {"MIGRATE_ENV": "dev"}, None)
    by_flag = load({}, {"MIGRATE_ENV": "dev"}, "other")

    assert "sql" == by_variable.dir
    assert "else" == by_flag.dir


@pytest.mark.parametrize("field", PLATFORM)
def test_the_platform_is_read_from_its_variables(field):
    """The platform's own variable wins; ours stands in; an empty one says nothing."""
    theirs, ours = PLATFORM[field]

    both = load({}, {theirs: "theirs", ours: "ours"}, None)
    one = load({}, {theirs: "", ours: "ours"}, None)
    none = load({}, {}, None)

    assert "theirs" == getattr(both.platform, field)
    assert "ours" == getattr(one.platform, field)
    assert getattr(none.platform, field) is None


def test_the_address_is_completed_from_libpqs_variables():
    """PGPASSWORD beside DATABASE_URL is what psql would take too."""
    environment = {"DATABASE_URL": "postgresql://app@h/d", "PGPASSWORD": "pw"}

    dsn = load({}, environment, None).dsn()

    assert "pw" == dsn.password
    assert "app@h:5432/d" == str(dsn)


@pytest.mark.parametrize("variable", ["PGHOST", "PGSERVICE", "PGDATABASE"])
def test_libpqs_variables_alone_can_name_the_database(variable):
    """Where psql without arguments would connect on purpose, so do we."""
    dsn = load({}, {variable: "x"}, None).dsn()

    assert ["x"] == list(dsn.parameters.values())


def test_without_any_address_nothing_is_guessed():
    """A user's name alone is no database: libpq's local default would be a surprise."""
    settings = load({}, {"PGUSER": "app"}, None)

    with pytest.raises(NoDatabaseUrl):
        settings.dsn()
