"""Long-running operations: started, finished or failed, and waited for.

Made by the services; read by clients through google.longrunning.Operations.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from google.longrunning.operations_pb2 import Operation
from google.protobuf.any_pb2 import Any as Packed

from emulator.problem import Code, not_found

Finished = Callable[[], object]


def raw(message: Any) -> Any:
    """The protobuf message behind a proto-plus one; others as they are."""
    kind = type(message)
    return kind.pb(message) if hasattr(kind, "pb") else message


def pack(message: Any) -> Packed:
    """A message as `Any`."""
    packed = Packed()
    packed.Pack(raw(message))
    return packed


class Operations:
    """Every operation of the emulated world by name."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._operations: dict[str, Operation] = {}

    def start(self, name: str, metadata: Any) -> Operation:
        """Begin an operation; its metadata can be read at once."""
        operation = Operation(name=name, metadata=pack(metadata))
        with self._changed:
            self._operations[name] = operation
        return self._copy(operation)

    def describe(self, name: str, metadata: Any) -> None:
        """Renew the metadata."""
        with self._changed:
            if name in self._operations:
                self._operations[name].metadata.CopyFrom(pack(metadata))

    def finish(self, name: str, response: Any) -> Operation:
        """The operation is done, with this answer."""
        with self._changed:
            operation = self._operations[name]
            operation.response.CopyFrom(pack(response))
            operation.done = True
            self._changed.notify_all()
            return self._copy(operation)

    def fail(self, name: str, code: Code, message: str) -> Operation:
        """The operation is done, with this error."""
        with self._changed:
            operation = self._operations[name]
            operation.error.code = int(code)
            operation.error.message = message
            operation.done = True
            self._changed.notify_all()
            return self._copy(operation)

    def get(self, name: str) -> Operation:
        """One operation."""
        with self._changed:
            operation = self._operations.get(name)
            if operation is None:
                raise not_found(f"Requested entity was not found: {name}")
            return self._copy(operation)

    def list(self, prefix: str) -> list[Operation]:
        """The operations below a name."""
        with self._changed:
            return [
                self._copy(operation)
                for name, operation in self._operations.items()
                if name.startswith(prefix)
            ]

    def delete(self, name: str) -> None:
        """Forget an operation; what it does goes on."""
        self.get(name)
        with self._changed:
            self._operations.pop(name, None)

    def wait(self, name: str, seconds: float) -> Operation:
        """Wait for the end, at most this long; the answer may still be pending."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self.get(name).done:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self.get(name)

    @staticmethod
    def _copy(operation: Operation) -> Operation:
        copy = Operation()
        copy.CopyFrom(operation)
        return copy
