"""gRPC on loopback, without TLS: the bound RPCs behind a server.

A row of the table that nothing carries out answers UNIMPLEMENTED. Knows nothing about
what a service does.
"""

import logging
import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from emulator.problem import Problem
from emulator.serving import Binding

LARGEST = 64 * 1024 * 1024
_THREADS = 96
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def _metadata(context: grpc.ServicerContext) -> dict[str, str]:
    return {
        item.key: item.value
        for item in context.invocation_metadata() or ()
        if isinstance(item.value, str)
    }


class _Handler:
    """One RPC for gRPC."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def _noted(self, context: grpc.ServicerContext) -> float:
        """How long the caller waits; it is kept, for whoever asks that all have an end."""
        left = context.time_remaining()
        seconds = math.inf if left is None else left
        self._binding.note(seconds)
        return seconds

    def unary(self, request: Any, context: grpc.ServicerContext) -> bytes:
        """One request, one answer."""
        left = self._noted(context)
        try:
            return self._binding.answer(
                request,
                _metadata(context),
                left,
                lambda told: told.SerializeToString(),
                lambda: not context.is_active(),
            )
        except Problem as problem:
            context.abort(_STATUS[int(problem.code)], problem.message)
        except Exception as error:
            logging.getLogger("emulator").exception("%s", self._binding.name)
            context.abort(grpc.StatusCode.INTERNAL, f"emulator: {error!r}")
        raise AssertionError

    def stream(
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Requests in, answers out, until either side ends it."""
        self._noted(context)
        ended = threading.Event()
        context.add_callback(ended.set)
        try:
            yield from self._binding.answers(requests, _metadata(context), ended)
        except Problem as problem:
            context.abort(_STATUS[int(problem.code)], problem.message)


def _as_it_is(data: bytes) -> bytes:
    return data


def serve_grpc(bindings: Sequence[Binding], address: str) -> tuple[grpc.Server, int]:
    """Start the server; gives it and the port it listens on."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.max_send_message_length", LARGEST),
            ("grpc.so_reuseport", 0),
        ],
    )
    handlers: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for binding in bindings:
        handler, rpc = _Handler(binding), binding.rpc
        handlers.setdefault(rpc.service, {})[rpc.method] = (
            grpc.stream_stream_rpc_method_handler(
                handler.stream, binding.parse, _as_it_is
            )
            if rpc.kind == "bidi"
            else grpc.unary_unary_rpc_method_handler(
                handler.unary, binding.parse, _as_it_is
            )
        )
    for service, methods in handlers.items():
        generic = grpc.method_handlers_generic_handler(service, methods)
        server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port(address)
    server.start()
    return server, port
