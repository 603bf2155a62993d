"""The emulator's own door, under ``/_emulator``: faults, fixtures, docker, the state.

For tests and for the page; nothing of Google's is here.
"""

import json

from emulator.data import load_data
from emulator.entries import severity_name, text_of
from emulator.faults import BadScript, parse_faults
from emulator.filters import compile_filter
from emulator.moments import moment, text
from emulator.problem import invalid, not_found
from emulator.rest.http import Answer, Request, Route, answer, plain, route
from emulator.rest.page import PAGE
from emulator.world import World

MOST_LINES = 2000
#: gRPC's own "no deadline" is a very late one.
A_YEAR = 31_536_000.0


class Admin:
    """The routes of the door; the page only when it was asked for."""

    def __init__(self, world: World, *, page: bool) -> None:
        self._world, self._page = world, page

    def routes(self) -> list[Route]:
        """Every route."""
        found = [
            route("POST", "/_emulator/faults", self._faults),
            route("POST", "/_emulator/policy", self._policy),
            route("POST", "/_emulator/data", self._data),
            route("POST", "/_emulator/docker", self._docker),
            route("POST", "/_emulator/reset", self._reset),
            route("GET", "/_emulator/state", self._state),
            route("GET", "/_emulator/log", self._log),
        ]
        if self._page:
            found.insert(0, route("GET", "/", self._show))
        return found

    def _faults(self, request: Request) -> Answer:
        try:
            script = parse_faults(json.loads(request.body or b"[]"))
        except (BadScript, ValueError) as error:
            raise invalid(str(error)) from error
        self._world.faults.load(script)
        return answer({"faults": len(script)})

    def _policy(self, request: Request) -> Answer:
        told = request.json()
        try:
            self._world.policy.load(told)
        except (TypeError, ValueError, KeyError) as error:
            raise invalid(str(error)) from error
        # An empty object puts an end to enforcement.
        self._world.policy.enforced = bool(told)
        return answer({"enforced": self._world.policy.enforced})

    def _data(self, request: Request) -> Answer:
        try:
            load_data(self._world, request.json())
        except (TypeError, ValueError, KeyError) as error:
            raise invalid(str(error)) from error
        return answer({})

    def _reset(self, _request: Request) -> Answer:
        """Stop and forget builds, jobs, executions and logs; keep what was given."""
        world = self._world
        for stop in list(world.stoppers.values()):
            stop()
        with world.lock:
            for table in (world.jobs, world.executions, world.tasks, world.builds):
                table.clear()
        world.logs.delete(lambda _entry: False)
        return answer({})

    def _docker(self, request: Request) -> Answer:
        told = request.json()
        engine = self._world.engines.get(str(told["build"]))
        if engine is None:
            raise not_found("no such build")
        done = engine.docker([str(word) for word in told["argv"]], str(told["cwd"]))
        return answer({"exit": done.exit, "out": done.out, "err": done.err})

    def _state(self, _request: Request) -> Answer:
        world = self._world
        with world.lock:
            builds = [
                {
                    "id": build.id,
                    "status": build.status.name,
                    "detail": build.status_detail,
                    "created": text(build.create_time),
                    "tags": list(build.tags),
                    "steps": [
                        {"id": step.id or step.name, "status": step.status.name}
                        for step in build.steps
                    ],
                }
                for build in reversed(world.builds.values())
            ]
            executions = [
                {
                    "name": execution.name,
                    "job": execution.job,
                    "created": text(execution.create_time),
                    "running": execution.running_count,
                    "succeeded": execution.succeeded_count,
                    "failed": execution.failed_count,
                    "cancelled": execution.cancelled_count,
                    "done": bool(execution.completion_time),
                }
                for execution in reversed(world.executions.values())
            ]
            jobs = sorted(world.jobs)
        images = [
            {"name": name, "digest": image.digest, "tags": tags}
            for name, image, tags in world.registry.images()
        ]
        told = {
            "project": world.setting.project,
            "region": world.setting.region,
            "jobs": jobs,
            "builds": builds,
            "executions": executions,
            "started": list(world.started),
            "images": images,
            "tails": world.logs.open_tails(),
            "tails_asked": world.logs.tails_asked,
            "held": list(world.faults.held),
            "deadlines": {
                name: seconds if seconds < A_YEAR else None
                for name, seconds in sorted(world.patience.items())
            },
        }
        return answer(told)

    def _log(self, request: Request) -> Answer:
        wanted = compile_filter(request.query.get("filter", ""))
        start = int(request.query.get("from", 0))
        entries = self._world.logs.select(wanted)[start : start + MOST_LINES]
        lines = [
            {
                "time": text(moment(entry.timestamp)),
                "severity": severity_name(entry.severity),
                "text": text_of(entry),
            }
            for entry in entries
        ]
        return answer({"next": start + len(lines), "lines": lines})

    def _show(self, _request: Request) -> Answer:
        return plain(PAGE, "text/html", Metadata_Flavor="Google")
