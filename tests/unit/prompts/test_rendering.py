"""The renderer: one pass over the text, whatever the values are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts import prompt as prompts
from prompts.errors import (
    InconsistentPromptError,
    MissingVariableError,
    PromptTooLongError,
)
from prompts.prompt import PLACEHOLDER, content_hash, fill, slips

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
# Anything a text may hold but a placeholder; braces are what matters here.
literals = st.text(st.sampled_from("{}%$ a\n\\é\0🙂"), max_size=12).filter(
    lambda text: "{{" not in text and not text.endswith("{")
)
hostile = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["{{a}}", "{a.__class__}", r"\1\g<0>", "%(a)s", "${a}", "{{", "}}"]
    ),
)


def make(text, *, variables=None, config=None):
    """Make a prompt whose declaration fits, unless told otherwise."""
    used = tuple(dict.fromkeys(PLACEHOLDER.findall(text)))
    declared = used if variables is None else variables
    words = {"category": "c", "purpose": "p", "description": "", "system_prompt": None}
    rest = {"template_text": text, "variables": declared, "model_config": config or {}}
    return prompts.make({"name": "test", "version": 1, **words, **rest})


@given(st.lists(st.tuples(literals, names), max_size=6), literals, st.data())
def test_placeholders_are_replaced_and_nothing_else_is_touched(pieces, tail, data):
    """The text is its literals in order, with the values as they are between them."""
    text = "".join(f"{literal}{{{{{name}}}}}" for literal, name in pieces) + tail
    values = {name: data.draw(hostile, label=name) for _, name in pieces}

    filled = fill(make(text), values)

    assert (
        "".join(f"{literal}{values[name]}" for literal, name in pieces) + tail == filled
    )


@given(names, hostile)
def test_value_is_never_expanded(name, value):
    """A value goes in once, even if it names its own variable."""
    filled = fill(make(f"<{{{{{name}}}}}>"), {name: value})

    assert f"<{value}>" == filled


@given(st.lists(names, min_size=1, max_size=5, unique=True), st.data())
def test_first_missing_variable_is_named(wanted, data):
    """Whichever is missing, the error has its name."""
    missing = data.draw(st.sampled_from(wanted))
    text = " ".join(f"{{{{{name}}}}}" for name in wanted)

    with pytest.raises(MissingVariableError) as caught:
        fill(make(text), {name: "x" for name in wanted if name != missing})

    assert missing == caught.value.variable


@given(st.text(max_size=200))
def test_any_text_is_a_template(text):
    """No text is refused, and one without placeholders comes out as it went in."""
    prompt = make(text)
    values = dict.fromkeys(prompt.variables, "v")

    assert re.sub(PLACEHOLDER, "v", text) == fill(prompt, values)


def test_numbers_and_other_values_become_text():
    """What is not text is written as `str` writes it."""
    filled = fill(make("{{a}} {{b}} {{c}}"), {"a": 7, "b": 0.5, "c": ["x", "y"]})

    assert "7 0.5 ['x', 'y']" == filled


@pytest.mark.parametrize(
    ("length", "times"), [(10_000_000, 1), (200_000, 1), (2_000, 200)]
)
def test_prompt_too_long_is_refused_before_it_is_built(length, times):
    """Ten megabytes in one value, or little by little: the error says how long."""
    prompt = make("{{a}}" * times + "!")

    with pytest.raises(PromptTooLongError, match="the limit is 200000") as caught:
        fill(prompt, {"a": "x" * length})

    assert length * times + 1 == caught.value.length


@pytest.mark.parametrize(
    ("text", "variables", "told"),
    [
        ("{{a}} {{b}}", ("a",), "uses b undeclared"),
        ("{{a}}", ("a", "c"), "declares c and does not use it"),
    ],
)
def test_declaration_that_disagrees_with_the_text_is_refused(text, variables, told):
    """The error names what is undeclared or unused."""
    with pytest.raises(InconsistentPromptError, match=told):
        make(text, variables=variables)


def test_almost_placeholders_are_found():
    """A space or a capital would be sent to the model as it stands."""
    text = 'ok {{a}}, {{ a }}, {{A}}, {{1}}, {"x": {"y": 1}}, {{"a"}}'

    assert ["{{ a }}", "{{A}}", "{{1}}"] == slips(text)


def test_cached_prompt_cannot_be_changed_by_a_caller():
    """Prompts are shared between threads: the configuration is read-only."""
    config = make("x", config={"temperature": 0.1}).model_config

    with pytest.raises(TypeError):
        config["temperature"] = 2


def test_hash_tells_system_prompt_and_text_apart():
    """Moving a character across the border is another prompt."""
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash(None, "a") == content_hash("", "a")
