"""ansatz=cnn: a convolutional network (`ansatz.resnet`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._residual import Residual
from nqs_hpc.choices.keys import Examples


@dataclass(frozen=True)
class Cnn(Residual):
    examples: ClassVar[Examples] = ({"features": 3, "kernel": 2},)
    skip: ClassVar[bool] = False
