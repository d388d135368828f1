"""The help page and the tables of keys name everything that exists."""

import dataclasses

from nqs_hpc.config import choices
from nqs_hpc.schema import CHOICES
from nqs_hpc.usage import WIDTH, help_text, key_table


def test_help_is_complete_and_narrow():
    page = help_text()
    assert max(len(line) for line in page.splitlines()) <= WIDTH
    for group, members in CHOICES.items():
        for name, cls in members.items():
            assert f"{group}={name} " in page
            for field in dataclasses.fields(cls):
                if "check" in field.metadata:
                    assert f"  {group.replace('/', '.')}.{field.name}=" in page
    for name in choices("experiment"):
        assert f"experiment={name} " in page
    for key in ("seed=0", "sector=auto", "precision.solve=float64", "checkpoint.keep=3", "log.progress=auto"):
        assert f"  {key} " in page
    assert "optimizer.learning_rate=0.05, 0.001 (adam)" in page and "  85  " in page


def test_key_table():
    lines = key_table().splitlines()
    assert "| `lattice` | **chain**, square, cubic, triangular, honeycomb, kagome, edges, points |" in lines
    assert (
        "| `optimizer.momentum` | `null` | SPRING's mu (Goldshlager et al. 2024, arXiv:2401.10190) (minsr) |" in lines
    )
    cells = [line.replace("\\|", "").count("|") for line in lines if line]
    assert set(cells) == {3, 4}
