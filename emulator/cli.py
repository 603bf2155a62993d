"""``python -m emulator``: read the options, make the world, serve until stopped.

Prints one line of JSON with the addresses once both servers listen. The only module that
reads files of the user's choice and prints.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from emulator.artifacts import Artifacts
from emulator.builder import Builder
from emulator.calls import Gate
from emulator.container_mode import ContainerMode
from emulator.data import load_data
from emulator.dockerd import Dockerd, NoEngine
from emulator.faults import BadScript, parse_faults
from emulator.grpc_server import serve_grpc
from emulator.process_mode import ProcessMode
from emulator.rest.admin import Admin
from emulator.rest.http import serve_http
from emulator.rest.lookups import Lookups
from emulator.rest.storage import Storage
from emulator.rest.transcoding import Transcoder
from emulator.serving import bind
from emulator.world import Addresses, Setting, World

_USAGE = 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m emulator",
        description="Google Cloud on a laptop: real protocols, real processes.",
    )
    made.add_argument("--host", default="127.0.0.1", help="where to listen")
    made.add_argument("--port", type=int, default=0, help="port for gRPC; 0 picks one")
    made.add_argument("--rest-port", type=int, default=0, help="port for plain HTTP")
    made.add_argument("--project", default="rehearsal", help="id of the project")
    made.add_argument(
        "--region", default="europe-west1", help="the region things are in"
    )
    made.add_argument("--data", type=Path, help="YAML: what is there at the start")
    made.add_argument("--policy", type=Path, help="YAML: who may do what")
    made.add_argument("--faults", type=Path, help="YAML: what goes wrong, and when")
    made.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="REF=DIR",
        help="put an image made from a directory into the registry",
    )
    made.add_argument(
        "--checkout",
        action="append",
        default=[],
        metavar="REPOSITORY=DIR",
        help="the directory that stands for a trigger's repository (a pattern; * is all)",
    )
    made.add_argument(
        "--mode",
        choices=[ProcessMode.name, ContainerMode.name],
        default=ProcessMode.name,
        help="how containers are run; container: by the engine that DOCKER_HOST names",
    )
    made.add_argument(
        "--stand-in",
        action="append",
        default=[],
        metavar="NAME=IMAGE",
        help="container mode: an image of the engine's in the place of a public one",
    )
    made.add_argument(
        "--build-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="container mode: an argument for every docker build that gives none",
    )
    made.add_argument(
        "--registry",
        metavar="HOST:PORT",
        help="container mode: a registry on loopback that runs; absent: start one",
    )
    made.add_argument(
        "--registry-data",
        type=Path,
        metavar="DIR",
        help="container mode: where the registry keeps its images; absent: nowhere",
    )
    made.add_argument(
        "--cloudsql",
        action="append",
        default=[],
        metavar="INSTANCE=DIR",
        help="the directory with the socket of a server that stands for an instance",
    )
    made.add_argument(
        "--state-page", action="store_true", help="serve a read-only page over HTTP"
    )
    return made


def _yaml(path: Path | None) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path else None


def make_world(given: argparse.Namespace) -> World:
    """The world that the options describe."""
    world = World(Setting(project=given.project, region=given.region))
    if given.mode == ContainerMode.name:
        world.mode = container_mode(world, given)
    else:
        world.mode = ProcessMode(world)
    load_data(world, _yaml(given.data) or {})
    policy = _yaml(given.policy)
    if policy is not None:
        world.policy.load(policy)
    world.faults.load(parse_faults(_yaml(given.faults)))
    for pair in given.image:
        name, _, directory = pair.rpartition("=")
        world.mode.add_image(name, {"directory": directory})
    for pair in given.checkout:
        pattern, _, directory = pair.partition("=")
        world.checkouts[pattern] = Path(directory)
    for pair in given.cloudsql:
        instance, _, directory = pair.partition("=")
        world.instances[instance] = Path(directory).absolute()
    return world


def container_mode(world: World, given: argparse.Namespace) -> ContainerMode:
    """The engine, a registry to push to, and what stands in for what."""
    engine = Dockerd.of(os.environ)
    builder = Builder(
        engine,
        world.scratch,
        dict(pair.rpartition("=")[::2] for pair in given.stand_in),
        dict(pair.partition("=")[::2] for pair in given.build_arg),
    )
    artifacts = Artifacts(given.registry) if given.registry else None
    kept = given.registry_data or world.scratch / "registry"
    artifacts = artifacts or Artifacts.start(kept.absolute())
    return ContainerMode(world, engine, artifacts, builder)


def serve(world: World, given: argparse.Namespace) -> None:
    """Serve until a signal comes, then stop what still runs."""
    gate = Gate(world)
    bindings = bind(world, gate)
    routes = [
        *Admin(world, page=given.state_page).routes(),
        *Storage(world, gate).routes(),
        *Lookups(world, gate).routes(),
        *Transcoder(world, gate, bindings).routes(),
    ]
    http = serve_http(routes, given.host, given.rest_port)
    rest = f"{given.host}:{http.server_address[1]}"
    server, port = serve_grpc(bindings, f"{given.host}:{given.port}")
    world.addresses = Addresses(grpc=f"{given.host}:{port}", rest=rest)
    threading.Thread(target=http.serve_forever, args=(0.1,), daemon=True).start()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(json.dumps(announcement(world, given)), flush=True)
    stop.wait()
    world.faults.load(())  # nothing is held any longer
    server.stop(0)
    http.shutdown()
    for halt in list(world.stoppers.values()):
        halt()
    world.mode.close()
    with contextlib.suppress(OSError):
        shutil.rmtree(world.scratch)


def announcement(world: World, given: argparse.Namespace) -> dict[str, object]:
    """The line that says where to find what."""
    grpc, rest = world.addresses
    told: dict[str, object] = {
        "grpc": grpc,
        "rest": f"http://{rest}",
        "project": given.project,
        "region": given.region,
        "mode": given.mode,
        "environment": {
            "GOOGLE_CLOUD_EMULATOR": grpc,
            "STORAGE_EMULATOR_HOST": f"http://{rest}",
        },
    }
    if given.state_page:
        told["page"] = f"http://{rest}/"
    return told


def main(argv: Sequence[str] | None = None) -> None:
    """Run the emulator."""
    given = parser().parse_args(argv)
    try:
        world = make_world(given)
    except (
        OSError,
        yaml.YAMLError,
        BadScript,
        TypeError,
        ValueError,
        KeyError,
        NoEngine,
    ) as error:
        print(f"emulator: {error}", file=sys.stderr)
        sys.exit(_USAGE)
    serve(world, given)
