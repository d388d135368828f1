"""Schedules of optax by name: values by optax itself and by closed forms, and what is refused."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.choices.optimizer.base import step_schedule
from nqs_hpc.inputs.checks import InputError, apply
from nqs_hpc.inputs.schedules import OPTIONAL, SCHEDULES, lowest, schedule
from nqs_hpc.update.step_size import value

WARM = {"init_value": 0.01, "peak_value": 0.1, "warmup_steps": 5, "decay_steps": 20, "end_value": 0.02, "exponent": 2.0}
DECAY = {"transition_steps": 10, "decay_rate": 0.5, "transition_begin": 3, "staircase": True, "end_value": 0.03}
SCALES = {10: 0.5, 25: 0.2}
ONE = {"transition_steps": 40, "peak_value": 0.2, "pct_start": 0.2, "div_factor": 4.0, "final_div_factor": 10.0}

# kind -> optax's function and its arguments, every optional one among them
OPTAX = {
    "constant": (optax.constant_schedule, {"value": 0.2}),
    "linear": (
        optax.linear_schedule,
        {"init_value": 0.1, "end_value": 0.01, "transition_steps": 30, "transition_begin": 5},
    ),
    "polynomial": (
        optax.polynomial_schedule,
        {"init_value": 0.1, "end_value": 0.01, "power": 2.0, "transition_steps": 30, "transition_begin": 5},
    ),
    "exponential": (optax.exponential_decay, {"init_value": 0.1, **DECAY}),
    "cosine": (optax.cosine_decay_schedule, {"init_value": 0.1, "decay_steps": 40, "alpha": 0.1, "exponent": 1.5}),
    "piecewise_constant": (
        optax.piecewise_constant_schedule,
        {"init_value": 0.1, "boundaries_and_scales": SCALES},
    ),
    "piecewise_interpolate": (
        optax.piecewise_interpolate_schedule,
        {"interpolate_type": "cosine", "init_value": 0.1, "boundaries_and_scales": SCALES},
    ),
    "warmup_constant": (
        optax.warmup_constant_schedule,
        {"init_value": 0.01, "peak_value": 0.1, "warmup_steps": 7},
    ),
    "warmup_cosine": (optax.warmup_cosine_decay_schedule, WARM),
    "warmup_exponential": (
        optax.warmup_exponential_decay_schedule,
        {"init_value": 0.01, "peak_value": 0.1, "warmup_steps": 7, **DECAY},
    ),
    "linear_onecycle": (optax.linear_onecycle_schedule, {**ONE, "pct_final": 0.7}),
    "cosine_onecycle": (optax.cosine_onecycle_schedule, ONE),
    "sgdr": (optax.sgdr_schedule, {"cosine_kwargs": [WARM, {**WARM, "peak_value": 0.05, "decay_steps": 15}]}),
}
STEPS = np.arange(60)


def read(given, **options):
    return apply(schedule(**options), "rate", given)


def values(given):
    rate = step_schedule(read(given))
    return np.asarray(jax.vmap(lambda step: value(rate, step))(jnp.asarray(STEPS)))


def test_all_are_tried():
    assert {*OPTAX, "join"} == set(SCHEDULES)
    for kind, (_, arguments) in OPTAX.items():
        assert set(arguments) == set(SCHEDULES[kind]) and OPTIONAL.get(kind, set()) < set(arguments)


@pytest.mark.parametrize("kind", OPTAX)
def test_values_are_those_of_optax(kind):
    """At every step, in float64; the same once it has been written to JSON and read again."""
    function, arguments = OPTAX[kind]
    direct = function(**arguments)
    expected = [float(direct(jnp.float64(step))) for step in STEPS]
    given = {"schedule": kind, **arguments}
    found = values(given)
    assert found.dtype == np.float64 and np.allclose(found, expected, rtol=1e-14, atol=0)
    again = read(json.loads(json.dumps(read(given).plain())))
    assert again == read(given) and hash(again) == hash(read(given))
    assert lowest(again) <= found.min() * (1 + 1e-12)


def test_join_counts_from_where_a_part_begins():
    decay = {"schedule": "exponential", "init_value": 0.3, "transition_steps": 10, "decay_rate": 0.5}
    given = {"schedule": "join", "schedules": [0.1, decay, 0], "boundaries": [5, 40]}
    expected = np.where(STEPS < 5, 0.1, np.where(STEPS < 40, 0.3 * 0.5 ** ((STEPS - 5) / 10), 0.0))
    assert np.allclose(values(given), expected, rtol=1e-14)
    assert lowest(read(given)) == 0 and read(read(given).plain()) == read(given)


def test_closed_forms():
    """Independent of optax: scales multiply up, and a staircase goes down at once, to its floor."""
    given = {"schedule": "piecewise_constant", "init_value": 0.1, "boundaries_and_scales": SCALES}
    expected = np.select([STEPS < 10, STEPS < 25], [0.1, 0.05], 0.01)
    assert np.allclose(values(given), expected) and math.isclose(lowest(read(given)), 0.01)
    given = {"schedule": "exponential", "init_value": 0.1, **DECAY}
    assert np.allclose(values(given), np.maximum(0.1 * 0.5 ** np.maximum((STEPS - 3) // 10, 0), 0.03))


def cycle(**other):
    return {"schedule": "sgdr", "cosine_kwargs": [WARM, {**WARM, **other}]}


@pytest.mark.parametrize(
    ("given", "key", "shown", "valid"),
    [
        ({"schedule": "join", "schedules": [1, 2], "boundaries": [3, 4]}, "boundaries", "[3, 4]", "the 1 steps"),
        ({"schedule": "join", "schedules": [1, 2, 3], "boundaries": [4, 4]}, "boundaries", "[4, 4]", "rising"),
        (
            {"schedule": "join", "schedules": [1, {"schedule": "linear"}], "boundaries": [3]},
            "schedules.init_value",
            "null",
            "schedule linear needs it",
        ),
        ({"schedule": "join", "schedules": [0, 0], "boundaries": [3]}, "", "", "not 0 throughout"),
        (cycle(decay_steps=5), "cosine_kwargs.decay_steps", "5", "above warmup_steps"),
        (cycle(peak=1), "cosine_kwargs.peak", "1", "for schedule warmup_cosine: init_value"),
        (
            {"schedule": "piecewise_constant", "init_value": 1, "boundaries_and_scales": {0: 2}},
            "boundaries_and_scales",
            "{0: 2}",
            "from 1 on",
        ),
        (
            {"schedule": "piecewise_constant", "init_value": 1, "boundaries_and_scales": {4: 2, "4": 3}},
            "boundaries_and_scales",
            "{4: 2, 4: 3}",
            "each once",
        ),
        (
            {
                "schedule": "piecewise_interpolate",
                "interpolate_type": "cubic",
                "init_value": 1,
                "boundaries_and_scales": {4: 2},
            },
            "interpolate_type",
            "cubic",
            "linear, cosine",
        ),
        ({"schedule": "cosine_onecycle", "transition_steps": 2, "peak_value": 1}, "transition_steps", "2", "a step"),
        ({"schedule": "linear_onecycle", "transition_steps": 4, "peak_value": 1, "pct_final": 0.2}, "", "", "a step"),
        ({"schedule": "exponential", "init_value": 1, **DECAY, "staircase": 1}, "staircase", "1", "true or false"),
    ],
)
def test_refused(given, key, shown, valid):
    with pytest.raises(InputError) as error:
        read(given)
    assert valid in str(error.value) and "\n" not in str(error.value)
    if key:
        assert str(error.value).startswith(f"rate.{key}={shown} is not valid")
