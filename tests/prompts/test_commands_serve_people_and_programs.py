"""The command line, as a person and a program use it."""

import json
import subprocess
import sys

import pytest

from prompts.builtin import PROMPTS
from prompts.cli import COMMANDS
from tests.fix_cli import CHECKOUT
from tests.prompts.payload import NLU, VALUES, add_version, run

WORDS = {word for command in COMMANDS for word in command.usage.split()}
TEXT = "Topics in {{user_input}} for grade {{grade_level}}?\n"


def test_version_is_created_compared_activated_and_taken_back(database, prompts, told):
    """The life of a version, in six commands."""
    made = told(
        "--actor", "ada", "create", NLU, "--file", "-", "--note", "shorter", input=TEXT
    )
    diff = prompts("diff", NLU, 1, 2)
    moved = prompts("--actor", "ada", "activate", NLU, 2)
    shown = told("show", NLU)
    listed = prompts("list")
    back = told("rollback", NLU)

    assert {"name": NLU, "version": 2, "active": False} == made
    assert "+Topics in {{user_input}} for grade {{grade_level}}?" in diff.out.split(
        "\n"
    )
    assert f"{NLU} v2 is active; caches follow in a minute\n" == moved.out
    assert (2, "nlu", "shorter", ["ada"]) == (
        shown["version"],
        shown["category"],
        shown["change_note"],
        [entry["by"] for entry in shown["activation_log"]],
    )
    assert ["user_input", "grade_level"] == shown["variables"]
    served = [line.split() for line in listed.out.split("\n") if f"{NLU} " in line]
    assert [("1", "no"), ("2", "yes")] == [(row[1], row[4]) for row in served]
    assert "differs" == served[1][-1]
    assert {"name": NLU, "version": 1} == back


def test_rollback_passes_over_what_was_never_served(database, prompts, told):
    """Back to what was active before, and once more; then there is nothing left."""
    for version in (2, 3, 4):
        add_version(database, version, active=version != 3)

    back = [told("rollback", NLU)["version"] for _ in range(2)]

    assert [2, 1] == back
    assert "has no earlier version" in prompts("rollback", NLU).err


def test_kill_switch(database, prompts, service):
    """Deactivated: the code's own prompt is served, and a second time is refused."""
    first, second = (prompts("deactivate", NLU) for _ in range(2))

    assert (0, 3) == (first.exit, second.exit)
    assert f"prompts: prompt '{NLU}' has no active version\n" == second.err
    assert PROMPTS[NLU] == service.resolve(NLU)


def test_new_prompt_is_created_and_served(database, prompts, service):
    """The first custom prompt: what a new name needs is asked for."""
    lacking = prompts("create", "summary", "--file", "-", input="Sum up {{text}}.")
    made = prompts(
        *("create", "summary", "--file", "-", "--activate"),
        *("--category", "content", "--purpose", "summary"),
        *("--model-config", '{"temperature": 0.2}'),
        input="Sum up {{text}}.",
    )

    assert "prompts: a new prompt needs category and purpose\n" == lacking.err
    assert "created summary v1, active\n" == made.out
    call = service.render("summary", {"text": "it"})
    assert ("Sum up it.", 0.2) == (call.text, call.prompt.model_config["temperature"])


NEW = ("--file", "-", "--category", "c", "--purpose", "p")
REFUSED = [
    (("show", "nothing"), 3, "there is not an active version of prompt 'nothing'"),
    (("activate", NLU, 9), 3, f"there is not version 9 of prompt '{NLU}'"),
    (("activate", NLU, 5), 3, "its text uses surprise undeclared"),
    (("rollback", NLU), 3, "has no earlier version that was active"),
    (("diff", NLU, 1, 9), 3, "version 9"),
    (("guardrails", "set", "nothing", "warn"), 3, "there is no guardrail 'nothing'"),
    (("experiment", "stop", "nothing"), 3, "there is no live experiment 'nothing'"),
    (("experiment", "report", "nothing"), 3, "there is no experiment 'nothing'"),
    (("create", NLU, "--file", "absent.txt"), 3, "cannot read absent.txt"),
    (("export", NLU, 1, "--dir", "absent"), 3, "absent is no directory"),
    (("export", NLU, 1, "--dir", "/proc"), 3, "cannot write /proc/0001_prompt"),
    (("activate", NLU, "x"), 2, "invalid int value"),
    (("activate", NLU, 2**40), 3, f"there is not version {2**40} of"),
    (("create", "Bad-Name", *NEW), 3, "a name is made of a to z"),
    (("create", NLU, "--file", "/dev/null"), 3, "a text has 1 to 200,000 characters"),
    (("create", NLU, *NEW, "--model-config", "[1]"), 3, "is a JSON object"),
    (("create", NLU, *NEW, "--model-config", "{x"), 2, "argument --model-config"),
    (
        ("guardrails", "rehearse", "pii_detection_basic", "--days", -1),
        3,
        "a day at least",
    ),
    (("guardrails", "rehearse", "pii_detection_basic", "--days", 2**40), 7, "integer"),
    (
        ("guardrails", "set", "pii_detection_basic", "shout"),
        2,
        "invalid choice: 'shout'",
    ),
    (("experiment",), 2, "the following arguments are required: COMMAND"),
]


def test_refusal_is_one_line_with_its_reason(database, prompts):
    """What cannot be done is said in a line, and the exit code says which kind."""
    run(
        database,
        "INSERT INTO prompt_templates (name, version, category, purpose, template_text)"
        f" VALUES ('{NLU}', 5, 'nlu', 'x', '{{{{surprise}}}}')",
    )

    for args, code, told in REFUSED:
        finished = prompts(*args, input="a text")

        assert (code, "") == (finished.exit, finished.out), args
        assert told in finished.err
        if code != 2:  # of a call that makes no sense nothing is known, nor its output
            as_json = prompts(*args, "--output", "json", input="a text")
            assert finished.err == f"prompts: {json.loads(as_json.out)['error']}\n"


def test_text_with_a_slip_in_it_is_refused(prompts):
    """A placeholder that is nearly one would be sent as it stands."""
    finished = prompts("create", NLU, "--file", "-", input="Hello {{ user_input }}")

    assert 3 == finished.exit
    assert "{{ user_input }} is no placeholder: write {{name}}" in finished.err


def test_line_ends_of_another_system_are_ours(prompts, told):
    """Whoever wrote the file where lines end otherwise: it is the same prompt."""
    for text in (TEXT + "x\n", TEXT.replace("\n", "\r\n") + "x\r\n"):
        prompts("create", NLU, "--file", "-", input=text)

    texts = [told("show", NLU, version)["template_text"] for version in (2, 3)]

    assert texts == [TEXT + "x"] * 2


def test_text_the_database_cannot_hold_is_refused(prompts):
    """A zero byte, half a character: the server's words, no traceback."""
    for text in ("a\0 {{user_input}} {{grade_level}}", "\ud800"):
        finished = prompts("create", NLU, "--file", "-", input=text)

        assert 7 == finished.exit
        assert "This is no text" in finished.err


def test_no_connection_is_told_without_the_password(run_migrate):
    """Exit 6, in text and in JSON."""
    url = "postgresql://ada:s3cret@127.0.0.1:1/db"
    for output in ("text", "json"):
        finished = run_migrate(
            *("--output", output, "list"), module="prompts", env={"DATABASE_URL": url}
        )

        assert 6 == finished.exit
        assert (
            "host 127.0.0.1, port 1, dbname db, user ada" in finished.err + finished.out
        )
        assert "s3cret" not in finished.err + finished.out


@pytest.mark.parametrize(
    "words", [("{}",), ("list", "{}"), ("list", "--output", "{}"), ("show", "{}")]
)
def test_address_in_the_wrong_place_is_told_without_its_password(run_migrate, words):
    """Typed where a command, an option or a name belongs."""
    typed = [word.replace("{}", "postgresql://app:s3cret@h/d") for word in words]

    ran = run_migrate(
        *typed, module="prompts", env={"DATABASE_URL": "postgresql://127.0.0.1:1/d"}
    )

    assert ran.exit in {2, 6}, ran.err
    assert "s3cret" not in ran.out + ran.err


def test_database_without_the_schema_is_told(blank_database, run_migrate):
    """Exit 7, and the server's words."""
    env = {"DATABASE_URL": blank_database.url}

    finished = run_migrate("list", module="prompts", env=env)

    assert (7, "") == (finished.exit, finished.out)
    assert 'relation "public.prompt_templates" does not exist' in finished.err


def test_address_is_asked_for(run_migrate):
    """Without an address: usage."""
    finished = run_migrate("list", module="prompts")

    assert 2 == finished.exit
    assert "give --database-url or set DATABASE_URL" in finished.err


EVERY = """
list
show {nlu}
show {nlu} 1
diff {nlu} 1 2
create {nlu} --file - --note {mode}
activate {nlu} 2
rollback {nlu}
deactivate {nlu}
guardrails
guardrails rehearse toxic_content_filter --days 3
guardrails set toxic_content_filter block
experiment start {mode} {nlu} --control 1 --treatment 2
experiment report {mode}
experiment stop {mode} --winner none
export {nlu} 2 --dir {directory}
stats
"""


def test_every_command_answers_in_text_and_in_json(prompts, service, tmp_path):
    """For a person and for a program: the same facts, whatever the command."""
    prompts("create", NLU, "--file", "-", input=TEXT)
    service.log(service.render(NLU, VALUES), status="error")
    lines = EVERY.strip().splitlines()
    met = set()

    for mode in ("text", "json"):
        (tmp_path / mode).mkdir()
        for line in lines:
            told = line.format(nlu=NLU, mode=mode, directory=tmp_path / mode)
            finished = prompts(*told.split(), "--output", mode, input=TEXT)

            assert (0, "") == (finished.exit, finished.err), told
            if mode == "json":
                assert json.loads(finished.out, parse_constant=pytest.fail), told
            else:
                assert finished.out.strip()
                assert not finished.out.startswith(("{", "[")), told
            met.add(" ".join(word for word in line.split() if word in WORDS))

    assert {
        " ".join(w for w in c.usage.split() if w.islower()) for c in COMMANDS
    } == met


def test_answer_that_could_not_be_written_was_not_given(database):
    """A full disk and a closed stream are failures; a reader that has left is none."""
    command = f"{sys.executable} -m prompts list --database-url {database.url} {{}}"
    ends = {
        redirection: subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.format(redirection)],
            cwd=CHECKOUT,
            check=False,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for redirection in (">/dev/full", ">&-", "| true")
    }

    assert [1, 1, 0] == [end.returncode for end in ends.values()]
    assert "could not be written: [Errno 28]" in ends[">/dev/full"].stderr
    assert "Traceback" not in "".join(end.stderr for end in ends.values())


def test_command_runs_as_a_process(database, run_migrate):
    """``python -m prompts``, with the address from the environment."""
    finished = run_migrate(
        "guardrails", module="prompts", env={"DATABASE_URL": database.url}
    )

    assert (0, "") == (finished.exit, finished.err)
    assert "pii_detection_basic" in finished.out
