"""Sites in words."""

from __future__ import annotations


def sites_in_words(sites: list[int]) -> str:
    """The first few of some sites."""
    few = ", ".join(map(str, sites[:6]))
    more = f" and {len(sites) - 6} more" if len(sites) > 6 else ""
    return f"site{'s' * (len(sites) > 1)} {few}{more}"
