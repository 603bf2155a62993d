"""google.longrunning: the operations of Cloud Run and of Cloud Build."""

from google.longrunning import operations_pb2 as messages
from google.protobuf.empty_pb2 import Empty

from emulator.calls import Call, paged
from emulator.problem import Code, Problem
from emulator.world import World

LONGEST_WAIT = 60.0


class Operations:
    """google.longrunning.Operations. Cancelling is not offered: Cloud Run has none."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_operation(
        self, request: messages.GetOperationRequest, _call: Call
    ) -> messages.Operation:
        """One operation."""
        return self._world.operations.get(request.name)

    def wait_operation(
        self, request: messages.WaitOperationRequest, call: Call
    ) -> messages.Operation:
        """Wait for the end; the answer may still be pending when the time is over."""
        asked = request.timeout.seconds + request.timeout.nanos / 1e9
        longest = min(asked or LONGEST_WAIT, max(0.0, call.seconds - 0.2))
        return self._world.operations.wait(request.name, longest)

    def list_operations(
        self, request: messages.ListOperationsRequest, _call: Call
    ) -> messages.ListOperationsResponse:
        """The operations below a name."""
        found = self._world.operations.list(request.name)
        page, token = paged(found, request.page_size, request.page_token)
        return messages.ListOperationsResponse(operations=page, next_page_token=token)

    def delete_operation(
        self, request: messages.DeleteOperationRequest, _call: Call
    ) -> Empty:
        """Forget an operation."""
        self._world.operations.delete(request.name)
        return Empty()

    def cancel_operation(
        self, _request: messages.CancelOperationRequest, _call: Call
    ) -> Empty:
        """Refuse: executions are cancelled through their own method."""
        raise Problem(Code.UNIMPLEMENTED, "Operation is not implemented, or supported.")
