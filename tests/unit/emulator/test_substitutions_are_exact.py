"""Substitutions of a build: expanded where Cloud Build does, refused where it does."""

import pytest
from google.cloud.devtools.cloudbuild_v1.types import Build, BuildOptions, BuildStep

from emulator.problem import Problem
from emulator.substitutions import substitute

BUILT_IN = {"PROJECT_ID": "p", "BUILD_ID": "b-1"}
LOOSE = BuildOptions(substitution_option="ALLOW_LOOSE")
DYNAMIC = BuildOptions(dynamic_substitutions=True)


def args(*given, options=None, **values):
    """Substitute in the arguments of one step; give them."""
    step = BuildStep(name="x", args=list(given))
    build = Build(steps=[step], substitutions=values, options=options)
    return list(substitute(build, BUILT_IN).steps[0].args)


def test_built_in_and_own_keys_are_expanded():
    """Both forms of a key, in the middle of a text."""
    assert ["p/x:b-1"] == args("$PROJECT_ID/${_NAME}:$BUILD_ID", _NAME="x")


def test_two_dollars_are_one():
    """``$$`` is how a shell gets its own dollar."""
    assert ["echo $HOME ${HOME} $p"] == args("echo $$HOME $${HOME} $$$PROJECT_ID")


def test_lower_case_is_the_shells():
    """A name in lower case is no substitution."""
    assert ["$x ${y}"] == args("$x ${y}")


def test_built_in_key_without_a_value_is_empty():
    """A manual build has no commit."""
    assert ["[]"] == args("[$COMMIT_SHA]")


def test_missing_key_is_refused():
    """A key in a template that nobody gave is an error that names it."""
    with pytest.raises(Problem, match='template "_NAME" is not matched'):
        args("${_NAME}")


def test_unused_key_is_refused():
    """A key that no template uses is an error that names it."""
    with pytest.raises(Problem, match='data "_OTHER" is not matched'):
        args("${_NAME}", _NAME="x", _OTHER="y")


def test_loose_forgives_both():
    """ALLOW_LOOSE leaves a missing key empty and an unused one alone."""
    assert ["[]"] == args("[${_NAME}]", options=LOOSE, _OTHER="y")


def test_unknown_built_in_is_refused():
    """A variable of the shell that was not doubled is an error."""
    with pytest.raises(Problem, match='"HOME" is not a valid built-in'):
        args("$HOME")


def test_key_of_a_wrong_form_is_refused():
    """Own keys begin with an underscore and are upper case."""
    with pytest.raises(Problem, match="does not respect format"):
        args("x", NAME="y")


def test_values_are_literal_unless_dynamic():
    """A value that names another key is expanded only when asked for."""
    assert ["$PROJECT_ID/x"] == args("${_NAME}", _NAME="$PROJECT_ID/x")
    assert ["p/x"] == args("${_NAME}", _NAME="$PROJECT_ID/x", options=DYNAMIC)


def test_script_is_left_alone():
    """Substitutions are not expanded in a script."""
    build = Build(steps=[BuildStep(name="x", script="echo $PROJECT_ID")])

    assert "echo $PROJECT_ID" == substitute(build, BUILT_IN).steps[0].script


def test_every_field_that_cloud_build_expands_is_expanded():
    """Names, directories, environments, images, tags and the service account."""
    build = Build(
        steps=[BuildStep(name="$PROJECT_ID", dir_="$BUILD_ID", env=["A=${_V}"])],
        images=["$PROJECT_ID/i"],
        tags=["$PROJECT_ID"],
        service_account="projects/$PROJECT_ID/serviceAccounts/a",
        substitutions={"_V": "v"},
    )

    made = substitute(build, BUILT_IN)

    step = made.steps[0]
    assert ("p", "b-1", ["A=v"]) == (step.name, step.dir_, list(step.env))
    assert (["p/i"], ["p"]) == (list(made.images), list(made.tags))
    assert "projects/p/serviceAccounts/a" == made.service_account
