"""From a trigger to the build it asks for. Reads the build file of a checkout.

Called by RunBuildTrigger. The checkout is a directory that stands for the repository.
"""

import hashlib
import json
from pathlib import Path

import yaml
from google.cloud.devtools.cloudbuild_v1 import types
from google.protobuf.json_format import ParseDict, ParseError

from emulator.problem import failed_precondition, invalid


def build_from_yaml(text: str) -> types.Build:
    """Read a build file as Cloud Build does."""
    try:
        # Through JSON, so that a date or a set of YAML's cannot slip in.
        told = json.loads(json.dumps(yaml.safe_load(text), default=str))
        told["substitutions"] = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in (told.get("substitutions") or {}).items()
        }
        build = types.Build()
        ParseDict(told, types.Build.pb(build))
    except (yaml.YAMLError, ParseError, TypeError, AttributeError) as error:
        raise invalid(f"failed unmarshalling build config: {error}") from error
    return build


def build_of_trigger(
    trigger: types.BuildTrigger, source: types.RepoSource, checkout: Path | None
) -> types.Build:
    """The build that a trigger starts for a revision."""
    filename = trigger.filename or trigger.git_file_source.path
    if filename:
        if checkout is None:
            raise failed_precondition(
                "Repository mapping does not exist. Please connect the repository."
            )
        file = checkout / filename
        if not file.is_file():
            raise invalid(f"couldn't read build config: {filename} does not exist")
        build = build_from_yaml(file.read_text(encoding="utf-8"))
    else:
        build = types.Build(trigger.build)
    branch, commit = source.branch_name, source.commit_sha
    if not commit and checkout is not None:
        # The directory has no commits of its own; the same one always has this.
        named = f"{checkout}@{branch or source.tag_name}".encode()
        commit = hashlib.sha1(named, usedforsecurity=False).hexdigest()
    build.substitutions = {
        **dict(build.substitutions),
        **dict(trigger.substitutions),
        **dict(source.substitutions),
        "TRIGGER_NAME": trigger.name,
        "BRANCH_NAME": branch,
        "TAG_NAME": source.tag_name,
        "REF_NAME": branch or source.tag_name,
        "COMMIT_SHA": commit,
        "REVISION_ID": commit,
        "SHORT_SHA": commit[:7],
        "TRIGGER_BUILD_CONFIG_PATH": filename,
    }
    build.build_trigger_id = trigger.id
    build.tags = [*build.tags, *trigger.tags, f"trigger-{trigger.id}"]
    build.service_account = trigger.service_account or build.service_account
    return build
