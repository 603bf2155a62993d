"""The least that must happen: a bare psycopg2 script, its own process, no safety at all.

Started by `contenders` as ``python minimum.py HOW DIRECTORY`` with DATABASE_URL set; it is
what ours is compared with. Reads what it is given, decides nothing, checks nothing.

separate: one message and one commit per migration, its history row inside.
together: every migration in one transaction, one message each.
batched:  several statements a message, one transaction, lines that end in ``;``.
history:  connect and read the history.
copy:     one COPY with the data that follow it in the file.
"""

import os
import sys

import psycopg2

HISTORY = (
    "CREATE TABLE IF NOT EXISTS history (version text PRIMARY KEY, at timestamptz)"
)
_BATCH = 1 << 18


def _row(file: str) -> bytes:
    version = file.partition("_")[0]
    return f"INSERT INTO history VALUES ('{version}', now());".encode()


def main(how: str, directory: str) -> None:
    """Apply the directory, or read the history."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    cursor = connection.cursor()
    if how == "history":
        cursor.execute("SELECT version, at FROM history")
        cursor.fetchall()
        return
    cursor.execute(HISTORY)
    if how != "separate":
        cursor.execute("BEGIN")
    for file in sorted(os.listdir(directory)):  # noqa: PTH208 - pathlib takes 6 ms
        with open(f"{directory}/{file}", "rb") as stream:  # noqa: PTH123
            if how == "separate":
                cursor.execute(b"BEGIN;" + stream.read() + _row(file) + b"COMMIT")
            elif how == "together":
                cursor.execute(stream.read() + _row(file))
            elif how == "batched":
                while batch := stream.readlines(_BATCH):
                    cursor.execute(b"".join(batch))
                cursor.execute(_row(file))
            else:
                cursor.execute(stream.readline())
                cursor.copy_expert(stream.readline().decode(), stream, size=_BATCH)
                cursor.execute(_row(file))
    if how != "separate":
        cursor.execute("COMMIT")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
