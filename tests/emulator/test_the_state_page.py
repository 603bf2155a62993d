"""The page for people: a whole document, whose script finds what it asks for."""

import re
import urllib.request
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
#: Their end may be left out where the next one begins.
OPTIONAL = {"th", "td", "li"}


class Document(HTMLParser):
    """Reads a document as strictly as it can: what is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.ids, self.script = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        """Open an element; one whose end may be left out ends here."""
        if self.open and self.open[-1] in OPTIONAL and tag in OPTIONAL:
            self.open.pop()
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the element that is open, and no other."""
        if self.open and self.open[-1] in OPTIONAL and tag not in OPTIONAL:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        """Keep the script."""
        if self.open and self.open[-1] == "script":
            self.script += data


def test_the_page_is_whole_and_its_script_finds_its_places(emulator):
    """Nothing is left open, no id is there twice, and each that is asked for is there."""
    with urllib.request.urlopen(emulator.told["page"], timeout=10) as answer:
        text = answer.read().decode()
    document = Document()
    document.feed(text)
    document.close()
    asked = set(re.findall(r"\$\('(\w+)'\)", document.script))
    asked |= set(re.findall(r"fill\('(\w+)'", document.script))
    paths = set(re.findall(r"'(/_emulator/\w+)", document.script))

    assert text.startswith("<!doctype html>")
    assert ([], []) == (document.open, document.wrong)
    assert len(document.ids) == len(set(document.ids))
    assert asked == set(document.ids)
    assert {"/_emulator/state", "/_emulator/log"} == paths
    assert "http" not in document.script


def test_what_the_page_reads_is_what_the_door_tells(emulator, google):
    """Every field of builds, executions and lines that its script names."""
    from google.cloud.devtools import cloudbuild_v1 as cloudbuild

    google.build(cloudbuild.BuildStep(name="b", entrypoint="true", id="one"))
    google.run(google.job(google.python("print('seen')")))
    state = emulator.state()
    told = emulator.get("/_emulator/log?filter=textPayload%3D%22seen%22")

    build, execution, line = (
        state["builds"][0],
        state["executions"][0],
        told["lines"][0],
    )
    assert {"id", "status", "detail", "created", "steps"} <= set(build)
    assert {"id", "status"} == set(build["steps"][0])
    assert {"name", "created", "done", "cancelled", "failed"} <= set(execution)
    assert {"time", "severity", "text"} == set(line)
    assert {"project", "region", "jobs"} <= set(state)
