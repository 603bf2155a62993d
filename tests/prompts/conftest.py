"""Databases with the shipped schema, and services on them, for the tests of this ring."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prompts import cli
from prompts.service import PromptTemplateService
from tests.fix_cli import Finished
from tests.fix_postgres import Database, a_database


@pytest.fixture
def database(postgres_server, shipped, request) -> Iterator[Database]:
    """Give a database with the shipped schema and seeds."""
    yield from a_database(postgres_server, request, template=shipped)


@pytest.fixture
def a_service() -> Iterator[Callable[..., PromptTemplateService]]:
    """Make services on any address; they are closed in the end."""
    made: list[PromptTemplateService] = []

    def build(database: str, **changes: object) -> PromptTemplateService:
        given = {"secret_key": "a key for tests", **changes}
        made.append(PromptTemplateService(database, **given))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for service in made:
        service.close()


@pytest.fixture
def service(database, a_service) -> PromptTemplateService:
    """Give a service on the database, as an application has it."""
    given: PromptTemplateService = a_service(database.dsn)
    return given


@pytest.fixture
def prompts(database, monkeypatch, capfd) -> Callable[..., Finished]:
    """Run a command on the database, inside this process: a start costs a fifth of a second."""
    monkeypatch.setenv("DATABASE_URL", database.dsn)

    def call(*args: object, input: str = "") -> Finished:  # noqa: A002 - as subprocess says
        monkeypatch.setattr("sys.stdin", io.StringIO(input))
        capfd.readouterr()
        try:
            code = cli.main([str(argument) for argument in args])
        except SystemExit as exit_:  # argparse, of a wrong argument
            code = int(exit_.code or 0)
        return Finished(code, *capfd.readouterr())

    return call


@pytest.fixture
def told(prompts) -> Callable[..., Any]:
    """Run a command that must succeed; give its JSON."""

    def told(*args: object, **more: str) -> Any:
        finished = prompts("--output", "json", *args, **more)
        assert 0 == finished.exit, finished.err
        return json.loads(finished.out)

    return told
