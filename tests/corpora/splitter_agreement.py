"""Compares our splitter with psql: ``python -m tests.corpora.splitter_agreement DIR…``.

Each DIR is a project's directory of .sql files; one line of a Markdown table is printed
for each, and every difference on the error stream. Run by a person; the database tests
use `heard` and `compare`. Third-party SQL is never executed: what psql sends passes a
recorder, and the server receives an empty query in its place.

psql's own commands are taken out of a script for both sides, as nothing of ours runs
them, and its own variables are unset, as nothing of ours expands them. psql runs in
restricted mode: a command that was missed is refused, not obeyed.
"""

import argparse
import contextlib
import io
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # run by path
    sys.path.insert(0, str(ROOT))

from migrate.errors import NotUtf8, UnterminatedText  # noqa: E402
from migrate.misfits import BackslashCommand, NulByte  # noqa: E402
from migrate.statements import Splitter  # noqa: E402
from tests.postgres_process import Server, running  # noqa: E402

HEAD = """\
| project | scripts | statements | scripts agreeing | explained | different |
|---|--:|--:|--:|---|--:|"""

COPY = re.compile(rb"copy\b.*\bfrom\s+(?:stdin|stdout)\b", re.IGNORECASE | re.DOTALL)
SINK = b"COPY pg_temp.sink FROM STDIN (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
# What decides how psql lexes on is executed after all.
HARMLESS = re.compile(
    rb"(?:(?:re)?set\b[^;]*\b(?:standard_conforming_strings|all)"
    rb"|select\s+(?:pg_catalog\.)?set_config\s*\(\s*'standard_conforming_strings')\b",
    re.IGNORECASE,
)
SENDS = re.compile(r"\\(?:g|gx|gset|gexec|gdesc|crosstabview|watch|bind|parse)")
KEY = "agreement"
VARIABLES = "DBNAME USER HOST PORT ENCODING LAST_ERROR_MESSAGE"  # psql's own


class Sent(NamedTuple):
    """One statement and the COPY data that went with it."""

    text: bytes
    data: bytes


class Recorder:
    """Stands between one psql and a server and keeps what psql sends."""

    def __init__(self, server: Server, *, execute: bool) -> None:
        self.sent: list[Sent] = []
        self._execute = execute
        self._server = server
        self._door = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._start(self._listen)

    @property
    def port(self) -> int:
        """Where psql connects."""
        return int(self._door.getsockname()[1])

    def close(self) -> None:
        """Wait until all that psql sent was recorded."""
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, run, *given) -> None:
        thread = threading.Thread(target=run, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            psql, _ = self._door.accept()
            server = socket.create_connection((self._server.host, self._server.port))
            self._start(self._answers, server, psql)
            with psql, server:
                self._questions(psql, server)

    @staticmethod
    def _answers(server: socket.socket, psql: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(1 << 16):
                psql.sendall(block)

    def _questions(self, psql: socket.socket, server: socket.socket) -> None:
        stream = psql.makefile("rb")
        size = stream.read(4)
        server.sendall(size + stream.read(int.from_bytes(size, "big") - 4))
        while kind := stream.read(1):
            body = stream.read(int.from_bytes(stream.read(4), "big") - 4)
            if kind == b"Q":
                self.sent.append(Sent(body[:-1], b""))
                body = self._allowed(body[:-1]) + b"\0"
            elif kind == b"d":
                last = self.sent[-1]
                self.sent[-1] = last._replace(data=last.data + body)
            server.sendall(kind + (len(body) + 4).to_bytes(4, "big") + body)

    def _allowed(self, query: bytes) -> bytes:
        bare = uncommented(query)
        if self._execute or len(self.sent) == 1 or HARMLESS.match(bare):
            return query
        return SINK if COPY.match(bare) else b""


def uncommented(text: bytes) -> bytes:
    """Return the text without the white space and comments it begins with."""
    while text:
        text = text.lstrip(b" \t\n\r\f\v")
        if text.startswith(b"--"):
            text = re.sub(rb"\A[^\r\n]*", b"", text)
        elif text.startswith(b"/*"):
            depth, at = 1, 2
            while depth:
                edge = re.compile(rb"/\*|\*/").search(text, at)
                if not edge:
                    return text
                depth += 1 if edge.group() == b"/*" else -1
                at = edge.end()
            text = text[at:]
        else:
            break
    return text


def heard(
    server: Server, script: bytes, *, database: str = "postgres", execute: bool = False
) -> list[Sent]:
    """Return what psql sends for a script, without the empty statements."""
    recorder = Recorder(server, execute=execute)
    place = f"host=127.0.0.1 port={recorder.port} user=postgres dbname={database}"
    options = "sslmode=disable gssencmode=disable client_encoding=UTF8"
    with tempfile.NamedTemporaryFile(suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [str(server.program("psql")), "-X", "-q", "-d", f"{place} {options}"]
        command += ["-c", "CREATE TEMP TABLE sink (line text)"]
        for name in VARIABLES.split():
            command += ["-c", rf"\unset {name}"]
        command += ["-c", rf"\restrict {KEY}", "-f", file.name]
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
    recorder.close()
    sent = [
        # Before version 17 psql sends the line that ends the data, too.
        Sent(uncommented(text), re.sub(rb"^\\\.\r?\n\Z", b"", data, flags=re.MULTILINE))
        for text, data in recorder.sent[1:]
    ]
    return [one for one in sent if one.text not in {b"", b";"}]


def found(script: bytes) -> Iterator[Sent]:
    """Yield what our splitter finds."""
    splitter = Splitter(io.BytesIO(script), "script.sql")
    for statement in splitter:
        parts = []
        if statement.copy:
            copy = splitter.copy_data()
            while part := copy.read(1 << 20):
                parts.append(part)
        yield Sent(statement.text, b"".join(parts))


def neutral(script: bytes) -> bytes:
    """Return the script without psql commands, and without its test of variables."""
    script = script.replace(b":{?", b": {?")  # psql puts TRUE or FALSE in its place
    while True:
        try:
            for _ in found(script):
                pass
        except BackslashCommand as error:
            lines = script.split(b"\n")
            line = lines[error.line - 1].decode()
            start = line[: error.column - 1]
            if error.command in {r"\;", r"\:"}:
                line = start + line[error.column + 1 :]
            else:
                line = start + (";" if SENDS.match(error.command) else "")
            lines[error.line - 1] = line.encode()
            script = b"\n".join(lines)
        except (NotUtf8, NulByte, UnterminatedText):
            return script
        else:
            return script


def compare(theirs: Sequence[Sent], script: bytes) -> tuple[int, str, str]:
    """Return how many statements agree, why the rest does not, and the difference."""
    ours: list[Sent] = []
    reason = ""
    try:
        ours.extend(found(script))
    except UnterminatedText as error:
        reason = f"{error.what.split(' $')[0]} never closed"
    except (NotUtf8, NulByte):
        reason = "not UTF-8"
    for index, one in enumerate(ours):
        if index >= len(theirs) or not alike(one, theirs[index]):
            other = theirs[index] if index < len(theirs) else None
            return index, "", f"ours {one}\npsql {other}"
    rest = theirs[len(ours) :]
    if rest and not reason:
        return len(ours), "", f"ours nothing\npsql {rest[0]}"
    return len(ours), reason, ""


def alike(ours: Sent, theirs: Sent) -> bool:
    """Whether they differ in blank lines, or a comment at the end, at most."""
    mine = b"".join(ours.text.split())
    black = [match.end() for match in re.finditer(rb"\S", theirs.text)]
    if len(black) < len(mine):
        return False
    end = black[len(mine) - 1]
    other, tail = b"".join(theirs.text[:end].split()), theirs.text[end:]
    return mine == other and not uncommented(tail) and ours.data == theirs.data


def project(server: Server, directory: Path) -> str:
    """Compare every script of one project and return its line of the table."""
    scripts = statements = agreeing = different = 0
    reasons: dict[str, int] = {}
    for path in sorted(directory.rglob("*.sql")):
        script = neutral(path.read_bytes())
        count, reason, difference = compare(heard(server, script), script)
        scripts += 1
        statements += count
        agreeing += not (reason or difference)
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
        if difference:
            different += 1
            print(f"{path}, statement {count + 1}:\n{difference}\n", file=sys.stderr)
    explained = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    cells = [directory.name, scripts, statements, agreeing, explained, different]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpora.splitter_agreement", description=__doc__
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--version", type=int, default=18, help="of server and psql")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as records,
        running(asked.version, Path(records)) as server,
    ):
        print(HEAD)
        lines = [project(server, directory) for directory in asked.directories]
        print(*lines, sep="\n")
    return int(any(not line.endswith(" 0 |") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
