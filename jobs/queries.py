"""Filters of Cloud Logging's query language. Pure; values are quoted, never pasted."""


def quoted(value: str) -> str:
    """Return a value between quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def of_job(job: str, region: str) -> str:
    """Return the filter for every line of a job, whichever execution."""
    return " AND ".join(
        (
            'resource.type="cloud_run_job"',
            f"resource.labels.job_name={quoted(job)}",
            f"resource.labels.location={quoted(region)}",
        )
    )


def of_execution(job: str, region: str, execution: str) -> str:
    """Return the filter for one execution; ``execution`` is its short name."""
    label = 'labels."run.googleapis.com/execution_name"'
    return f"{of_job(job, region)} AND {label}={quoted(execution)}"


def ends_of(prefix: str, region: str) -> str:
    """Return the filter for the engine's last lines in every job of an environment."""
    return " AND ".join(
        (
            'resource.type="cloud_run_job"',
            f"resource.labels.job_name=~{quoted(f'^{prefix}')}",
            f"resource.labels.location={quoted(region)}",
            'jsonPayload.event="End"',
        )
    )


def of_build(project: str, build: str) -> str:
    """Return the filter for the lines of a build."""
    return " AND ".join(
        (
            f"logName={quoted(f'projects/{project}/logs/cloudbuild')}",
            'resource.type="build"',
            f"resource.labels.build_id={quoted(build)}",
        )
    )


def either(first: str, second: str) -> str:
    """Return the filter for the lines of both."""
    return f"({first}) OR ({second})"
