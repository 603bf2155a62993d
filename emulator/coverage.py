"""The coverage table of the documentation: which RPC is carried out, which is not.

Called by docs/reference/emulator-coverage.md through cog. Reads the table of RPCs only.
"""

from emulator.serving import covered
from emulator.table import rpcs


def coverage() -> str:
    """A row for each service, and below it what is carried out."""
    services: dict[str, list[tuple[str, bool]]] = {}
    for rpc in rpcs():
        services.setdefault(rpc.service, []).append((rpc.method, covered(rpc)))
    lines = ["| service | carried out | methods |", "|---|--:|---|"]
    for service, methods in services.items():
        done = [method for method, there in methods if there]
        if done:
            names = ", ".join(f"`{name}`" for name in done)
            lines.append(f"| `{service}` | {len(done)} of {len(methods)} | {names} |")
    return "\n".join(lines) + "\n"
