"""A refusal as Google's services spell it: a canonical code and a sentence.

Raised anywhere below the servers, which turn it into a gRPC status or an HTTP answer.
Never logged as a fault of the emulator: a refusal is an answer.
"""

import enum


class Code(enum.IntEnum):
    """The canonical codes (google.rpc.Code)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 412,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 416,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


class Problem(Exception):
    """The service says no."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Problem:
    """The request itself is wrong."""
    return Problem(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> Problem:
    """There is no such thing."""
    return Problem(Code.NOT_FOUND, message)


def exists(message: str) -> Problem:
    """There is one already."""
    return Problem(Code.ALREADY_EXISTS, message)


def failed_precondition(message: str) -> Problem:
    """The thing is not in the state that this call needs."""
    return Problem(Code.FAILED_PRECONDITION, message)


def denied(message: str) -> Problem:
    """The caller may not."""
    return Problem(Code.PERMISSION_DENIED, message)
