"""What a start says of the one before."""

import yaml

from nqs_hpc.config.compose import checked
from nqs_hpc.parts.plan import Plan
from nqs_hpc.run.record import config_text
from nqs_hpc.run.resume import changes_since


def test_keys_that_an_older_version_had_not_are_no_change(tmp_path):
    config = checked(["lattice=square", "lattice.extent=[2,3]"], 1)
    plan = Plan(*[None] * len(Plan._fields))
    (tmp_path / "config.yaml").write_text(config_text(config, plan))
    assert changes_since(tmp_path, config, plan) == ([], [])
    old = yaml.safe_load(config_text(config, plan))
    del old["lattice"]["double_bonds"], old["init_from"]
    old["seed"] = 7
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    assert changes_since(tmp_path, config, plan).lines == ["seed: 7 -> 0"]
