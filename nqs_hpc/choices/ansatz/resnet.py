"""ansatz=resnet: a residual convolutional network (`ansatz.resnet`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._residual import Residual
from nqs_hpc.choices.keys import Examples


@dataclass(frozen=True)
class Resnet(Residual):
    examples: ClassVar[Examples] = ({"layers": 2, "features": 3},)
    skip: ClassVar[bool] = True
