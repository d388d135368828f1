"""When a checkpoint is due: by steps, by seconds, and under 2 % of the time unless numbers were given."""

import time

import pytest

from nqs_hpc.job.pace import SHARE, pace


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def simulate(clock, saves, *, steps, step_seconds, save_seconds):
    """The steps at which a run saves, and the share of its time that takes."""
    begun, at, spent = clock[0], [], 0.0
    for step in range(1, steps + 1):
        clock[0] += step_seconds
        if saves.due(step):
            clock[0] += save_seconds
            saves.saved(save_seconds)
            at.append(step)
            spent += save_seconds
    return at, spent / (clock[0] - begun)


def test_numbers_are_obeyed(clock):
    at, share = simulate(clock, pace(5, None, started=1000.0), steps=20, step_seconds=0.01, save_seconds=1.0)
    assert at == [5, 10, 15, 20] and share > 0.9
    at, _ = simulate(clock, pace(None, 3.0, started=clock[0]), steps=10, step_seconds=1.0, save_seconds=0.5)
    assert at == [3, 6, 9]
    assert simulate(clock, pace(None, None, started=0.0), steps=100, step_seconds=9.0, save_seconds=0.0)[0] == []


def test_auto_is_fifty_steps_or_five_minutes_where_saving_is_cheap(clock):
    at, _ = simulate(clock, pace("auto", "auto", started=1000.0), steps=200, step_seconds=1.0, save_seconds=0.01)
    assert at == [50, 100, 150, 200]
    at, _ = simulate(clock, pace("auto", "auto", started=clock[0]), steps=12, step_seconds=60.0, save_seconds=0.1)
    assert at == [5, 10]


@pytest.mark.parametrize(("step_seconds", "save_seconds"), [(0.005, 0.05), (0.1, 2.0), (30.0, 60.0)])
def test_auto_keeps_below_its_share_where_saving_is_dear(clock, step_seconds, save_seconds):
    saves = pace("auto", "auto", started=1000.0)
    # the first save comes before its cost is known
    at, share = simulate(clock, saves, steps=20_000, step_seconds=step_seconds, save_seconds=save_seconds)
    assert share <= SHARE and len(at) > 10 and saves.excess(final=True) == ""
    assert share > 0.8 * SHARE or step_seconds == 30.0  # and it does not save less than it may


def test_what_numbers_cost_is_said_once(clock):
    saves = pace(10, None, started=1000.0)
    simulate(clock, saves, steps=10, step_seconds=1.0, save_seconds=1.0)
    assert saves.excess() == ""  # the first minute is no measure
    simulate(clock, saves, steps=60, step_seconds=1.0, save_seconds=1.0)
    assert saves.excess().startswith("saving takes 9.1 % of the time (7 checkpoints in 77.0 s, 1 s the longest)")
    assert saves.spent() == (7, 7.0)
    assert saves.excess() == "" and saves.excess(final=True) == ""
