"""Every choice of the groups that have equations stands on its page, with what a reader has to know to choose it."""

import re
from pathlib import Path

import pytest

from nqs_hpc.choices import names

PAGES = sorted((Path(__file__).parents[1] / "docs" / "equations").glob("*.md"))
WORDS = ["When.", "Cost.", "Limits.", "Source."]


def test_every_group_with_equations_has_a_page():
    groups = ["ansatz", "hamiltonian", "integrator", "observable", "optimizer", "sampler", "task"]
    assert [page.stem for page in PAGES] == groups


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_choice_has_its_equation(page):
    _, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [section.partition("\n")[0] for section in sections] == sorted(names(page.stem))
    for section in sections:
        name = section.partition("\n")[0]
        assert len(re.findall(r"^\$\$$", section, flags=re.MULTILINE)) in (2, 4, 6), f"{name}: its equation"
        assert re.findall(r"^\*\*(.*?)\*\*", section, flags=re.MULTILINE) == WORDS, f"{name}: in this order, each once"
        source = section.split("**Source.**")[1]
        assert re.search(r"\b(1[789]|20)\d\d\b", source) or "Definition" in source, f"{name}: who and when"
