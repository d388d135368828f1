"""The arguments of `status` and `report`: one folder, and options."""

from __future__ import annotations

from collections.abc import Sequence

from nqs_hpc.inputs.checks import nearest
from nqs_hpc.report.values import clean


def read_words(
    words: Sequence[str], command: str, usage: str, *, with_value: Sequence[str], flags: Sequence[str] = ()
) -> tuple[str, dict[str, list[str]], set[str]]:
    """The folder, the values of each option ``with_value``, in order, and the given ``flags``.

    A value follows its option as a separate word or after an equals sign. Raises ValueError, one line.
    """
    folders: list[str] = []
    given: dict[str, list[str]] = {option: [] for option in with_value}
    found: set[str] = set()
    left = list(words)
    while left:
        word, equal, value = left.pop(0).partition("=")
        if word in given:
            if not equal and not left:
                raise ValueError(f"{word} needs a value; valid: {usage}")
            given[word].append(value if equal else left.pop(0))
        elif word in flags and not equal:
            found.add(word)
        elif word.startswith("-"):
            near = nearest(word, [*with_value, *flags])
            raise ValueError(f"{clean(word)} is not an option of {command}; {near}valid: {usage}")
        else:
            folders.append(word + equal + value)
    if len(folders) != 1:
        raise ValueError(f"{command} takes one folder, not {len(folders)}; valid: {usage}")
    return folders[0], given, found
