"""Pages of Google's console, so that a person can look for themselves. Pure."""

from urllib.parse import quote

from jobs.names import BuildName, ExecutionName, JobName

_CONSOLE = "https://console.cloud.google.com"


def build_page(name: BuildName) -> str:
    """Return the page of a build."""
    where = f"{name.region}/{name.build}"
    return f"{_CONSOLE}/cloud-build/builds;region={where}?project={name.project}"


def job_page(name: JobName) -> str:
    """Return the page of a job."""
    where = f"{name.region}/{name.job}"
    return f"{_CONSOLE}/run/jobs/details/{where}/executions?project={name.project}"


def execution_page(name: ExecutionName) -> str:
    """Return the page of an execution."""
    where = f"{name.region}/{name.execution}"
    return f"{_CONSOLE}/run/jobs/executions/details/{where}?project={name.project}"


def log_page(project: str, query: str) -> str:
    """Return the Logs Explorer with a query."""
    return f"{_CONSOLE}/logs/query;query={quote(query, safe='')}?project={project}"
