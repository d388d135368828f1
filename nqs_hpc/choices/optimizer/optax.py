"""optimizer=optax: any first-order rule of optax by its name, with its arguments (`update.rules`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, nearest, unknown
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm

_decay, _small = checks.number(least=0, below=1), checks.number(least=0)
# the check of each argument, for all rules
ARGUMENTS: dict[str, Check] = {
    **dict.fromkeys(("b1", "b2", "b3", "decay", "rho", "decay_rate", "adam_b1", "adam_b2"), _decay),
    **dict.fromkeys(("eps", "eps_root", "weight_decay", "initial_scale", "initial_accumulator_value"), _small),
    **dict.fromkeys(("adam_eps_root", "adam_weight_decay"), _small),
    **dict.fromkeys(("alpha", "beta", "threshold", "trust_coefficient"), checks.positive),
    **dict.fromkeys(
        ("nesterov", "centered", "bias_correction", "factored", "multiply_by_parameter_scale", "use_clipping"),
        checks.boolean,
    ),
    "momentum": checks.optional(_decay),
    "clipping_threshold": checks.optional(checks.positive),
    **dict.fromkeys(("min_dim_size_to_factor", "ns_steps"), checks.integer(least=1)),
    "consistent_rms": checks.optional(checks.positive),
}
_ADAM = ("b1", "b2", "eps", "eps_root")
# Not available: rules that need the energy along the step or differences of exact gradients (lbfgs, polyak_sgd), that
# draw noise (noisy_sgd, dpsgd), that compare signs of two gradients, which noise can flip, or whose step does not scale
# with the learning rate (rprop for both reasons, fromage).
RULES: dict[str, tuple[str, ...]] = {
    "adabelief": _ADAM,
    "adadelta": ("rho", "eps", "weight_decay"),
    "adafactor": (
        "min_dim_size_to_factor",
        "decay_rate",
        "multiply_by_parameter_scale",
        "clipping_threshold",
        "momentum",
        "eps",
        "factored",
    ),
    "adagrad": ("initial_accumulator_value", "eps"),
    "adam": (*_ADAM, "nesterov"),
    "adamax": ("b1", "b2", "eps"),
    "adamaxw": ("b1", "b2", "eps", "weight_decay"),
    "adamw": (*_ADAM, "weight_decay", "nesterov"),
    "adan": ("b1", "b2", "b3", "eps", "eps_root", "weight_decay"),
    "ademamix": ("b1", "b2", "b3", "alpha", "eps", "eps_root", "weight_decay"),
    "adopt": ("b1", "b2", "eps", "nesterov", "use_clipping"),
    "amsgrad": _ADAM,
    "lamb": (*_ADAM, "weight_decay"),
    "lars": ("weight_decay", "trust_coefficient", "eps", "momentum", "nesterov"),
    "lion": ("b1", "b2", "weight_decay"),
    "muon": (
        *("beta", "ns_steps", "eps", "weight_decay", "nesterov", "consistent_rms"),
        *("adam_b1", "adam_b2", "adam_eps_root", "adam_weight_decay"),
    ),
    "nadam": _ADAM,
    "nadamw": (*_ADAM, "weight_decay"),
    "novograd": (*_ADAM, "weight_decay"),
    "optimistic_adam_v2": (*_ADAM, "alpha", "beta", "nesterov"),
    "optimistic_gradient_descent": ("alpha", "beta"),
    "radam": (*_ADAM, "threshold", "nesterov"),
    "rmsprop": ("decay", "eps", "initial_scale", "centered", "momentum", "nesterov", "bias_correction"),
    "sgd": ("momentum", "nesterov"),
    "sign_sgd": (),
    "sm3": ("momentum",),
    "yogi": ("b1", "b2", "eps"),
}
NEEDED = {"lars": ("momentum",), "sm3": ("momentum",)}  # a number is required; other rules also allow null
DECAYS = {"muon": ("beta",)}  # below 1; other rules allow any number above 0
OF_MATRICES = ("muon",)  # rules that differ for parameters that are not real matrices


def _arguments(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Invalid
    found = {}
    for name, value in given.items():
        if name not in ARGUMENTS:
            raise Invalid(str(name), value, f"for names {', '.join(ARGUMENTS)}", nearest(name, tuple(ARGUMENTS)))
        try:
            found[name] = ARGUMENTS[name].read(value)
        except Invalid:
            raise Invalid(name, value, ARGUMENTS[name].valid) from None
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Optax(Optimizer):
    by_coupling: ClassVar[bool] = True
    examples: ClassVar[Examples] = ({"rule": "adamw", "arguments": {"weight_decay": 0.01}},)
    rule: str = key(checks.choice(*RULES), "the rule of optax by its name: " + ", ".join(RULES))
    arguments: dict[str, Any] = key(
        Check("a mapping {NAME: value} of arguments that the rule has in optax", _arguments),
        "arguments of the rule with their names in optax; others have optax's defaults",
    )

    def check(self, context: Context) -> None:
        super().check(context)
        for name, value in self.arguments.items():
            if name not in RULES[self.rule]:
                where, owner = f"optimizer.arguments.{name}", f"optimizer.rule={self.rule}"
                raise unknown(where, value, name, owner, RULES[self.rule])
            if value is None and name in NEEDED.get(self.rule, ()):
                valid = f"{_decay.valid} with optimizer.rule={self.rule}"
                raise checks.bad(f"optimizer.arguments.{name}", value, valid)
            if name in DECAYS.get(self.rule, ()) and value >= 1:
                raise checks.bad(f"optimizer.arguments.{name}", value, f"below 1 with optimizer.rule={self.rule}")

    def make(
        self,
        ansatz: Ansatz,
        comm: Comm,
        *,
        solver: str | None,
        blocks: int | None,
        chunk: int | None,
        chain_length: int,
        solve_dtype: Float,
    ) -> Update:
        from nqs_hpc.update.first_order import first_order
        from nqs_hpc.update.rules import by_name, has_matrices

        if self.rule in OF_MATRICES and not has_matrices(ansatz):
            valid = "another rule: no array of the parameters is a real matrix, and of others it is adamw"
            raise checks.bad("optimizer.rule", self.rule, valid)
        rule = by_name(self.rule, self.arguments)
        return self.clipped(first_order(ansatz, comm, rule, by_leaf=True, **self.common(chunk)))
