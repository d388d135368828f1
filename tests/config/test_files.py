"""What a line says of a run or checkpoint that is not there, and of one that lacks something."""

from pathlib import Path

import pytest

from nqs_hpc.config.files import check_source
from nqs_hpc.config.lower import plain_config
from nqs_hpc.inputs.checks import InputError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("void", "begun", "whole", "half"):
        (tmp_path / folder / "checkpoints").mkdir(parents=True)
    for folder in ("begun", "whole"):
        (tmp_path / folder / "config.yaml").write_text("seed: 1\n", encoding="utf-8")
    for folder in ("whole", "half"):
        (tmp_path / folder / "checkpoints" / "step_00000001.h5").touch()
    (tmp_path / "other.h5").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "link").symlink_to("gone")
    return tmp_path


LACKS = {
    "nowhere": "it does not exist",
    "nowhere/step_00000001.h5": "it does not exist",
    "link": "it is a link to nothing",
    "notes.txt": "it is a file, and not a checkpoint",
    "void": "it is not the folder of a run: it has neither config.yaml nor checkpoints",
}


@pytest.mark.parametrize(("given", "lacks"), [*LACKS.items(), ("begun", "this run has no checkpoints")])
@pytest.mark.parametrize("key", ["init_from", "task.run", "task.below"])
def test_line_of_a_start_says_what_is_missing(here: Path, key: str, given: str, lacks: str) -> None:
    with pytest.raises(InputError) as caught:
        check_source(key, given)
    line = str(caught.value)
    assert line.startswith(f"{key}={given} is not valid: {lacks}") and "; valid: " in line and "\n" not in line
    assert ("null, or" in line) == (key == "init_from")


def test_whole_runs_and_checkpoints_are_taken(here: Path) -> None:
    check_source("init_from", "whole")
    check_source("task.run", "whole/checkpoints/step_00000001.h5")
    assert plain_config("task.run", "whole") == {"seed": 1}
    assert plain_config("task.run", "begun") == {"seed": 1}  # whether it has checkpoints is asked later


@pytest.mark.parametrize(
    ("given", "lacks"),
    [*LACKS.items(), ("half", "it has no config.yaml"), ("other.h5", "it does not lie in the folder checkpoints")],
)
def test_line_of_a_configuration_says_what_is_missing(here: Path, given: str, lacks: str) -> None:
    with pytest.raises(InputError) as caught:
        plain_config("task.run", given)
    assert f"task.run={given} is not valid: {lacks}" in str(caught.value)
