"""Checks of values that are mappings: tables by size, weights, ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nqs_hpc.inputs.checks import Check, Invalid, choice, integer, positive


class BySize(NamedTuple):
    """A value as a function of the number of sites: that of the largest entry that is not above it."""

    entries: tuple[tuple[int, Any], ...]  # (number of sites, value), sorted


def by_size(check: Check) -> Check:
    """A value, or a table {number of sites: value}; a table is returned as BySize."""
    sites = integer()

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return check.read(value)
        if not value:
            raise Invalid
        return BySize(tuple(sorted((sites.read(size), check.read(entry)) for size, entry in value.items())))

    return check._replace(valid=f"{check.valid}, or a table {{number of sites: value}} of such", read=read)


class Weights(NamedTuple):
    """Names with weights above 0, sorted; the weights sum to 1."""

    entries: tuple[tuple[str, float], ...]


def one_or_weights(*names: str) -> Check:
    """One of a few words, or a mapping {NAME: weight}; a mapping of one is returned as its name, others as Weights."""
    word = choice(*names)

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return word.read(value)
        if not value:
            raise Invalid
        for name, weight in value.items():
            if name not in names:
                raise Invalid(str(name), weight, f"for names {word.valid}")
            try:
                positive.read(weight)
            except Invalid:
                raise Invalid(name, weight, positive.valid) from None
        total = sum(positive.read(weight) for weight in value.values())
        entries = tuple(sorted((name, positive.read(weight) / total) for name, weight in value.items()))
        return entries[0][0] if len(entries) == 1 else Weights(entries)

    return word._replace(valid=f"{word.valid}, or a mapping {{NAME: weight}} of several", read=read)


class Range(NamedTuple):
    """Whole numbers from ``least`` to ``most``."""

    least: int
    most: int


def whole_or_range() -> Check:
    """A whole number above 0, or bounds {least: number, most: number} for one."""
    whole = integer()

    def read(value: Any) -> int | Range:
        if not isinstance(value, Mapping):
            return int(whole.read(value))
        if set(value) != {"least", "most"}:
            raise Invalid
        found = Range(whole.read(value["least"]), whole.read(value["most"]))
        if found.least > found.most:
            raise Invalid("most", found.most, f"at least the {found.least} of least")
        return found

    return Check(f"{whole.valid}, or {{least: NUMBER, most: NUMBER}}", read)
