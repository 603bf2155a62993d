"""The judge of the splitter can convict: a wrong division of a text is always told."""

import pytest

from tests.faults.preparing import Preparing
from tests.faults.splitting import judge, split

TEXT = b"SELECT 1; /* ; */ SELECT ';';\nCREATE RULE r AS ON DELETE TO t DO (SELECT 1; SELECT 2)"


@pytest.fixture(scope="module")
def preparing(postgres_server):
    """A session that prepares."""
    with Preparing(postgres_server) as session:
        yield session


def test_the_splitters_own_division_is_acquitted(preparing, postgres_server):
    """Three statements, and nothing between them."""
    found = split(TEXT)

    assert 3 == len(found.pieces)
    assert "" == judge(TEXT, found, preparing, postgres_server)


@pytest.mark.parametrize("wrong", ["joined", "cut", "lost", "doubled", "refused"])
def test_a_wrong_division_is_convicted(preparing, postgres_server, wrong):
    """Two in one, one in two, a piece left out or moved, a good text refused."""
    found = split(TEXT)
    one, two, three = found.pieces
    half = len(three.text) - len(b"; SELECT 2)")
    first, second = three.text[:half], three.text[half:]
    divisions = {
        "joined": found._replace(
            pieces=(one._replace(text=TEXT[: two.offset + len(two.text)]), three),
            gaps=(b"", found.gaps[2], b""),
        ),
        "cut": found._replace(
            pieces=(one, two, three._replace(text=first), three._replace(text=second)),
            gaps=(*found.gaps[:3], b"", b""),
        ),
        "lost": found._replace(
            pieces=(one, three),
            gaps=(b"", TEXT[len(one.text) : three.offset], b""),
        ),
        "doubled": found._replace(pieces=(one, one, three)),
        "refused": found._replace(refused="a.sql:1:1: no reason"),
    }

    assert judge(TEXT, divisions[wrong], preparing, postgres_server)
