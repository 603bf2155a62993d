"""Between Google's messages and plain values: JSON in, JSON and seconds out.

Used by the adapters. A request is JSON until the last moment, so that what a golden file
shows is what is sent; a zero that is set stays set.
"""

from collections.abc import Mapping
from typing import Any

from jobs.errors import BadName


def from_json(kind: Any, body: Mapping[str, Any]) -> Any:
    """Return a message of ``kind`` from its REST JSON; an unknown field is refused."""
    from google.protobuf import json_format  # noqa: PLC0415

    message = kind.pb(kind())
    try:
        json_format.ParseDict(dict(body), message)
    except json_format.ParseError as error:
        what = f"request {kind.__name__}"
        raise BadName(
            what=what, value=str(body.get("name", "")), reason=str(error)
        ) from (error)
    return kind.wrap(message)


def to_json(kind: Any, message: Any) -> Mapping[str, Any]:
    """Return a message's REST JSON."""
    from google.protobuf import json_format  # noqa: PLC0415

    found: Mapping[str, Any] = json_format.MessageToDict(kind.pb(message))
    return found


def seconds(moment: Any) -> float | None:
    """Return a timestamp as seconds of the epoch; one that is not set is None."""
    if not moment:
        return None
    found = float(moment.timestamp())
    return found if found > 0 else None
