"""ansatz=resnet: a residual convolutional network (`ansatz.resnet`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.ansatz._residual import Residual


@dataclass(frozen=True)
class Resnet(Residual):
    skip: ClassVar[bool] = True
