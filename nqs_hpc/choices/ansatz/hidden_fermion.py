"""ansatz=hidden_fermion: determinants with rows that depend on the occupied modes (`ansatz.hidden_fermion`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._networked import Networked
from nqs_hpc.choices.ansatz.backflow import SMALL
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True, kw_only=True)
class HiddenFermion(Networked):
    examples: ClassVar[Examples] = (
        {**SMALL, "n_hidden": 2},
        {**SMALL, "n_hidden": 1, "kind": "generalised", "dtype": "complex", "net": "convolutional", "kernel": 3},
    )
    n_hidden: int = key(checks.integer(below=2**10), "hidden fermions in each determinant")

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.hidden_fermion import hidden_fermion

        features = self.network(lattice, float_dtype)
        return hidden_fermion(features=features, n_hidden=self.n_hidden, **self.determinants(basis, float_dtype))
