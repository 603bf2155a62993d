"""Make an empty project ready for its first launch: print the commands, or run them."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a bare checkout

from jobs import bootstrap, cli, config, provision


def main() -> int:
    """Print or carry out the steps of one environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("env", help="reads environments/ENV.yaml")
    parser.add_argument("--apply", action="store_true", help="run them with gcloud")
    for who in ("launcher", "approver", "rotator"):
        how = {"action": "append", "default": [], "metavar": "MEMBER"}
        parser.add_argument(f"--{who}", dest=f"{who}s", **how)  # type: ignore[arg-type]
    for name in ("github", "subnet_range", "connector_range"):
        default = bootstrap.Wishes._field_defaults[name]
        parser.add_argument(f"--{name.replace('_', '-')}", default=default)
    given = parser.parse_args()
    fields = {name: getattr(given, name) for name in bootstrap.Wishes._fields}

    def work() -> int:
        target = config.load(given.env)
        steps = bootstrap.steps(target, bootstrap.Wishes(**fields))
        if given.apply:
            provision.carry_out(target, steps, typed=provision.typed, tell=print)
        else:
            sys.stdout.write(bootstrap.script(target, steps))
        return 0

    return cli.explained(work)


sys.exit(main())
