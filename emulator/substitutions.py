"""Substitutions of Cloud Build: which are known, which are missing, which are unused.

`substitute(build, builtins)` gives the build as it will run, or refuses it in Cloud
Build's words. Pure: works on plain messages and touches nothing else.
"""

import re
from collections.abc import Callable, Mapping

from google.cloud.devtools.cloudbuild_v1.types import Build, BuildOptions

from emulator.problem import invalid

_KEY = re.compile(r"^_[A-Z0-9_]+$")
_TEMPLATE = re.compile(r"\$\$|\$\{([A-Z_][A-Z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)")
BUILT_IN = frozenset({
    "PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "TRIGGER_NAME",
    "COMMIT_SHA", "SHORT_SHA", "REVISION_ID", "REPO_NAME", "REPO_FULL_NAME",
    "BRANCH_NAME", "TAG_NAME", "REF_NAME", "TRIGGER_BUILD_CONFIG_PATH",
    "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL",
})  # fmt: skip
MOST = 200
LONGEST_KEY, LONGEST_VALUE = 100, 4000


class _Expander:
    """Expands templates and remembers which keys were met."""

    def __init__(
        self, values: Mapping[str, str], *, loose: bool, dynamic: bool
    ) -> None:
        self._values, self._loose, self._dynamic = values, loose, dynamic
        self.met: set[str] = set()

    def __call__(self, text: str) -> str:
        return _TEMPLATE.sub(self._one, text)

    def _one(self, match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name is None:
            return "$"
        self.met.add(name)
        if name in self._values:
            value = self._values[name]
            return _TEMPLATE.sub(self._inner, value) if self._dynamic else value
        if self._loose or name in BUILT_IN:
            return ""
        if name.startswith("_"):
            raise invalid(
                f'generic::invalid_argument: key in the template "{name}" is not matched '
                "in the substitution data"
            )
        raise invalid(
            "generic::invalid_argument: invalid value for 'build.substitutions': key in "
            f'the template "{name}" is not a valid built-in substitution'
        )

    def _inner(self, match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2) or ""
        self.met.add(name)
        return self._values.get(name, "" if name in BUILT_IN else match.group(0))


def check_keys(given: Mapping[str, str]) -> None:
    """Refuse keys and values that may not be."""
    if len(given) > MOST:
        raise invalid(f"number of substitutions {len(given)} exceeds the limit {MOST}")
    for key, value in given.items():
        if key not in BUILT_IN and not _KEY.match(key):
            raise invalid(
                "generic::invalid_argument: invalid value for 'build.substitutions': "
                f'substitution key "{key}" does not respect format '
                '"^_[A-Z0-9_]+$" and is not an overridable built-in substitution'
            )
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            raise invalid(f'substitution "{key}" is too long')


def substitute(
    build: Build, builtins: Mapping[str, str], *, loose: bool = False
) -> Build:
    """Expand every template of a build."""
    option = build.options.substitution_option
    loose = loose or option == BuildOptions.SubstitutionOption.ALLOW_LOOSE
    given = dict(build.substitutions)
    check_keys(given)
    dynamic = loose or build.options.dynamic_substitutions
    expand = _Expander({**builtins, **given}, loose=loose, dynamic=dynamic)
    made = Build(build)
    _expand_build(made, expand)
    automapped = build.options.automap_substitutions or any(
        step.automap_substitutions for step in build.steps
    )
    if not loose and not automapped:
        unused = sorted(key for key in given if key not in expand.met)
        if unused:
            raise invalid(
                "generic::invalid_argument: key in the substitution data "
                f'"{unused[0]}" is not matched in the template'
            )
    return made


def _expand_build(build: Build, expand: Callable[[str], str]) -> None:
    def every(texts: object) -> list[str]:
        return [expand(str(text)) for text in texts]  # type: ignore[attr-defined]

    for step in build.steps:
        step.name, step.dir_ = expand(step.name), expand(step.dir_)
        step.id, step.entrypoint = expand(step.id), expand(step.entrypoint)
        step.args, step.env = every(step.args), every(step.env)
        step.wait_for = every(step.wait_for)
    build.images = every(build.images)
    build.tags = every(build.tags)
    build.service_account = expand(build.service_account)
    build.options.env = every(build.options.env)
    for secret in build.available_secrets.secret_manager:
        secret.version_name = expand(secret.version_name)
