"""The help page and the tables of keys name everything that exists."""

import dataclasses

from nqs_hpc.choices import choice, groups, names
from nqs_hpc.config.defaults import choices
from nqs_hpc.config.usage import WIDTH, help_text, place_of


def test_help_is_complete_and_narrow():
    page = help_text()
    assert max(len(line) for line in page.splitlines()) <= WIDTH
    for group in groups():
        for name in names(group):
            cls = choice(group, name)
            assert f"{place_of(group)}={name} " in page
            for field in dataclasses.fields(cls):
                if "check" in field.metadata:
                    assert f"  {place_of(group).replace('/', '.')}.{field.name}=" in page
    for name in choices("experiment"):
        assert f"experiment={name} " in page
    for key in ("seed=0", "sector=auto", "precision.solve=float64", "checkpoint.keep=3", "log.progress=auto"):
        assert f"  {key} " in page
    assert "optimizer.learning_rate=0.05, 0.001 (adam)" in page and "  85  " in page
