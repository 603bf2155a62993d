"""The arguments of the verbs around a launch: doctor, history, secret, trigger, approve.

Read by `verbs`. Light: it loads nothing that ``--help`` does not need.
"""

import argparse

_MEANS = ("private-ip", "socket", "connector")


def doctor(verb: argparse.ArgumentParser) -> None:
    """Take what ``doctor`` takes."""
    verb.add_argument("env", metavar="ENV", help="reads environments/ENV.yaml")
    verb.add_argument(
        "--print-grants",
        action="store_true",
        help="print the least roles as gcloud commands, and look at nothing else",
    )


def history(verb: argparse.ArgumentParser) -> None:
    """Take what ``history`` takes."""
    verb.add_argument("env", metavar="ENV", help="reads environments/ENV.yaml")
    verb.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many (default 20)"
    )
    verb.add_argument(
        "--no-database",
        action="store_true",
        help="do not ask the history table, where it can be reached from here",
    )


def secret(verb: argparse.ArgumentParser) -> None:
    """Take what the three actions on the secret take; a password is never an argument."""
    verb.add_argument(
        "action",
        choices=("show", "set-url", "rotate"),
        help="show it without its password, rebuild it, or give it another password",
    )
    verb.add_argument("env", metavar="ENV", help="reads environments/ENV.yaml")
    verb.add_argument(
        "--connection",
        choices=_MEANS,
        metavar="HOW",
        help="set-url: private-ip, socket or connector (default: as ENV's network says)",
    )
    verb.add_argument("--host", default="", help="set-url: the private IP address")
    verb.add_argument("--port", default="5432", help="set-url: default 5432")
    verb.add_argument(
        "--instance",
        default="",
        metavar="P:R:I",
        help="set-url: the Cloud SQL instance",
    )
    verb.add_argument("--database", default="", help="set-url: another database")
    verb.add_argument(
        "--new",
        action="store_true",
        help="set-url: take the whole address from standard input, not the present one",
    )
    verb.add_argument(
        "--connect",
        action="store_true",
        help="connect from here with the new version, before any is disabled",
    )
    verb.add_argument(
        "--disable-previous",
        action="store_true",
        help="disable the version before, once the new one is proven enabled",
    )


def trigger(verb: argparse.ArgumentParser) -> None:
    """Take what ``trigger`` takes."""
    verb.add_argument(
        "action", choices=("show", "apply"), help="print it, or make it so"
    )
    verb.add_argument(
        "env", metavar="ENV", help="reads triggers/ENV.yaml and environments/ENV.yaml"
    )


def approve(verb: argparse.ArgumentParser) -> None:
    """Take what ``approve`` takes."""
    verb.add_argument(
        "build", metavar="BUILD", help="its id, or projects/P/locations/L/builds/B"
    )
    verb.add_argument("--env", metavar="ENV", help="whose build; for an id alone")
    verb.add_argument("--reject", action="store_true", help="refuse it instead")
    verb.add_argument("--comment", default="", help="kept with the decision")
