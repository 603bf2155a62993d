"""``python -m jobs`` before it talks to anybody: quick help, and errors with exit codes."""

import http.server
import json
import re
import subprocess
import sys
import threading
import time

import pytest

from tests.fix_cli import process_environment

NEVER_AT_START = {"google", "grpc", "yaml", "requests", "psycopg2"}


def jobs(directory, *arguments, options=()):
    """Run the command line."""
    return subprocess.run(
        [sys.executable, *options, "-m", "jobs", *arguments],
        cwd=directory,
        env=process_environment(directory, {}),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def seconds(directory, *arguments):
    """Return how long Python takes with these arguments."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=process_environment(directory, {}),
        capture_output=True,
        check=True,
    )
    return time.monotonic() - began


def test_help_is_quick_and_loads_nothing_of_google(tmp_path):
    """Little more than Python itself takes: the best of a few, the machine may be busy."""
    spent, bare = [], []
    for _ in range(4):
        spent.append(seconds(tmp_path, "-m", "jobs", "--help"))
        bare.append(seconds(tmp_path, "-c", "import argparse"))
    loaded = jobs(tmp_path, "--help", options=("-X", "importtime")).stderr
    names = set(re.findall(r"\| +([\w.]+)$", loaded, flags=re.MULTILINE))

    assert min(spent) - min(bare) < 0.1
    assert "jobs.cli" in names
    assert set() == {name.split(".")[0] for name in names} & NEVER_AT_START


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("launch", "nowhere"), 2, "there is no environment 'nowhere'"),
        (("launch",), 2, "the following arguments are required: ENV"),
        (("lanch", "dev"), 2, "invalid choice: 'lanch'"),
        (("run", "dev"), 2, "one of the arguments --image --image-file is required"),
    ],
)
def test_a_wrong_command_says_so(tmp_path, arguments, code, says):
    """With exit code 2: nothing was contacted."""
    ran = jobs(tmp_path, *arguments)

    assert code == ran.returncode
    assert says in ran.stderr


def test_an_error_is_also_json_for_programs(tmp_path):
    """One object on stdout; the words are on stderr."""
    ran = jobs(tmp_path, "launch", "nowhere", "--output", "json")

    assert '"error": "unknown-target"' in ran.stdout
    assert "error: there is no environment" in ran.stderr


class Expired(http.server.BaseHTTPRequestHandler):
    """A token server that knows nobody any more."""

    def do_POST(self):
        """Refuse."""
        told = b'{"error": "invalid_grant", "error_description": "Token has been expired."}'
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_args):
        """Stay silent."""


def test_credentials_that_have_expired_name_the_cure(tmp_path, monkeypatch):
    """The same two commands as without any, and what Google said."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from jobs.errors import NoCredentials
    from jobs.gcp.cloud import connect

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    server = http.server.HTTPServer(("127.0.0.1", 0), Expired)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    account = {
        "type": "service_account",
        "client_email": "somebody@acme-dev.iam.gserviceaccount.com",
        "private_key": pem,
        "private_key_id": "k",
        "token_uri": f"http://127.0.0.1:{server.server_port}/token",
        "project_id": "acme-dev",
    }
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    with pytest.raises(NoCredentials, match="expired") as caught:
        connect("acme-dev", "us-central1", "", {}).projects.number("acme-dev")
    server.shutdown()
    server.server_close()

    assert 6 == caught.value.exit_code
    assert 2 == caught.value.advice().count("gcloud auth application-default")
