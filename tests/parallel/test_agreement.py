"""Ranks that differ are named, with what they have and what rank 0 has."""

from nqs_hpc.parallel.agreement import SETTINGS, disagreement, settings
from nqs_hpc.parallel.world import World


def found(*facts):
    """What a world whose ranks have these facts says on each of them."""
    hosts = [f"n{rank}" for rank in range(len(facts))]
    lines = set()
    for rank in range(len(facts)):
        every = list(zip(hosts, facts, strict=True))
        fixed = (rank, len(facts), 0, 1, None, None, lambda own, every=every: every, None, None, None, "by hand")
        lines.add(disagreement(facts[rank], World(*fixed)))
    (line,) = lines
    return line


def test_equal_ranks_agree():
    assert found({"jax": "0.10.2", "XLA_FLAGS": ""}, {"jax": "0.10.2", "XLA_FLAGS": ""}) == ""


def test_each_odd_rank_is_named_with_what_differs():
    ours = {"jax": "0.10.2", "h5py": "3.11", "XLA_FLAGS": ""}
    line = found(ours, ours | {"jax": "0.10.1", "XLA_FLAGS": "--x"}, ours, ours | {"h5py": None})
    assert line.startswith(
        "rank 1 on n1 has XLA_FLAGS --x instead of (none), jax 0.10.1 instead of 0.10.2; rank 3 on n3"
    )
    assert "rank 3 on n3 has h5py (none) instead of 3.11 (rank 0 on n0)" in line and "rank 2" not in line


def test_settings_are_those_of_this_process(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert settings()["JAX_ENABLE_X64"] == "0" and settings()["XLA_FLAGS"] == "" and set(settings()) == set(SETTINGS)
