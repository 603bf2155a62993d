"""A small HTTP server: routes by pattern, JSON in and out. Knows no service.

A handler takes a `Request` and returns an `Answer`; a `Problem` becomes Google's JSON.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from emulator.problem import HTTP, Problem


class Request(NamedTuple):
    """What was asked."""

    method: str
    path: str
    queries: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str]
    host: str

    @property
    def query(self) -> Mapping[str, str]:
        """The query, the first of each name."""
        return {name: values[0] for name, values in self.queries.items()}

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object."""
        told = json.loads(self.body) if self.body else {}
        return told if isinstance(told, dict) else {"list": told}


class Answer(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


Handler = Callable[[Request], Answer]


class Route(NamedTuple):
    """A method, a pattern of the whole path, and who answers."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler


def route(method: str, template: str, handler: Handler) -> Route:
    """A route: ``{name}`` is one segment, ``{name*}`` is the rest."""
    pattern = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", re.escape(template))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    return Route(method, re.compile(pattern), handler)


def answer(told: object, status: int = 200, **headers: str) -> Answer:
    """JSON."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(status, json.dumps(told).encode(), {**kind, **named})


def plain(text: str, kind: str = "text/plain", **headers: str) -> Answer:
    """Text of some kind."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Answer(
        200, text.encode(), {"Content-Type": f"{kind}; charset=utf-8", **named}
    )


def refused(problem: Problem) -> Answer:
    """A refusal as Google's JSON APIs write it."""
    status = HTTP.get(problem.code, 500)
    told = {
        "code": status,
        "message": problem.message,
        "status": problem.code.name,
        "errors": [{"message": problem.message, "reason": problem.code.name.lower()}],
    }
    return answer({"error": told}, status)


def serve_http(routes: Sequence[Route], host: str, port: int) -> ThreadingHTTPServer:
    """Make the server; the caller runs it."""

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            split = urlsplit(self.path)
            request = Request(
                method=self.command,
                path=split.path,
                queries=parse_qs(split.query),
                headers={k.lower(): v for k, v in self.headers.items()},
                body=self.rfile.read(length),
                parts={},
                host=self.headers.get("Host") or "",
            )
            self._send(_dispatch(routes, request))

        def _send(self, told: Answer) -> None:
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        # The names are the base class's.
        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    class Threads(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    return Threads((host, port), Server)


def _dispatch(routes: Sequence[Route], request: Request) -> Answer:
    method = "GET" if request.method == "HEAD" else request.method
    for candidate in routes:
        match = candidate.pattern.fullmatch(request.path)
        if match is None or candidate.method not in {method, "*"}:
            continue
        parts = {key: unquote(value) for key, value in match.groupdict().items()}
        try:
            return candidate.handler(request._replace(parts=parts))
        except Problem as problem:
            return refused(problem)
        except Exception as error:
            logging.getLogger("emulator").exception("%s", request.path)
            return answer({"error": {"code": 500, "message": repr(error)}}, 500)
    told = {"error": {"code": 404, "message": f"no such path: {request.path}"}}
    return answer(told, 404)
