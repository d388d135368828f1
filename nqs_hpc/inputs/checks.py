"""Checks of single input values: each describes in words what is valid, and returns the value in a normal form.

A configuration is plain data from YAML and the command line. Booleans are not numbers, text that looks like a number is
one ("1e-3"), NaN and infinities are refused, and two spellings of a value become equal: 1 and 1.0, 4 and [4, 4]. Loads
only the standard library.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from nqs_hpc.inputs.reading import printable

MOST_MEANT = 3  # suggested names in one line


class InputError(ValueError):
    """Bad input from the user: one line with the key, the value and what would be valid."""


class Invalid(ValueError):
    """Raised inside a check; ``below``, ``value`` and ``valid`` name a place inside a mapping if that is clearer.

    ``hint`` comes before what is valid (`nearest`).
    """

    def __init__(self, below: str = "", value: Any = None, valid: str = "", hint: str = "") -> None:
        super().__init__(valid)
        self.below, self.value, self.valid, self.hint = below, value, valid, hint


class Unknown(InputError):
    """The line for a key whose part ``name`` does not exist in ``owner``; ``meant``: suggested names, instead of the
    nearest of ``names``; ``elsewhere``: where the name exists, in words.
    """

    def __init__(
        self, key: str, value: Any, name: str, owner: str, names: Sequence[str], meant: str = "", elsewhere: str = ""
    ) -> None:
        self.key, self.value, self.name, self.owner, self.names = key, value, name, owner, names
        known = f"{owner} has no key {printable(name)}" + (f", but {elsewhere}" if elsewhere else "")
        hint = f"did you mean {meant}? " if meant else "" if elsewhere else nearest(name, names)
        super().__init__(
            f"{printable(key)}={show(value)} is not valid: {known}; {hint}valid: {', '.join(names) or 'no keys at all'}"
        )

    def __reduce__(self) -> tuple[type[InputError], tuple[str]]:
        return InputError, (str(self),)  # other ranks get the line


class Check(NamedTuple):
    valid: str  # what is valid, in words
    read: Callable[[Any], Any]  # value -> its normal form; raises Invalid
    # for shell completion: words that are valid, perhaps besides other values
    words: tuple[str, ...] = ()
    names: Literal["", "file", "run"] = ""  # whether a value is the path of a file or folder, or of a run


def show(value: Any) -> str:
    """A value as on the command line, on one line of at most about 100 characters."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{printable(str(k))}: {show(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(v) for v in value) + "]"
    elif isinstance(value, str):
        text = printable(value) or "''"
    else:
        text = printable(str(value))
    return text if len(text) <= 100 else text[:97] + "..."


def bad(key: str, value: Any, valid: str, hint: str = "", *, why: str = "") -> InputError:
    """The error line for a bad value; ``hint`` as from `nearest`, ``why`` where the rest does not say it."""
    reason = f": {why}" if why else ""
    return InputError(f"{printable(key)}={show(value)} is not valid{reason}; {hint}valid: {valid}")


def meant(value: Any, names: Iterable[str]) -> str:
    """The name that was perhaps meant, or up to three that begin like ``value``; empty if none is near."""
    valid, given = list(names), str(value)
    close = difflib.get_close_matches(given, valid, n=1)
    longer = [name for name in valid if len(given) > 2 and name.startswith(given)]
    return " or ".join(close or longer[:MOST_MEANT])


def nearest(value: Any, names: Iterable[str]) -> str:
    """The name that was perhaps meant, as words to put before what is valid; empty if none is near."""
    close = meant(value, names)
    return f"did you mean {close}? " if close else ""


def unknown(key: str, value: Any, name: str, owner: str, valid: Iterable[str]) -> InputError:
    """The line for a key whose part ``name`` does not exist in ``owner``, with the nearest one that does."""
    return Unknown(key, value, name, owner, list(valid))


def apply(check: Check, key: str, value: Any) -> Any:
    """The normal form of ``value``; raises InputError."""
    try:
        return check.read(value)
    except Invalid as error:
        if error.below:
            raise bad(f"{key}.{error.below}", error.value, error.valid, error.hint) from None
        raise bad(key, value, error.valid or check.valid, error.hint) from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid
    try:
        x = float(value)
    except (ValueError, OverflowError):
        raise Invalid from None
    if not math.isfinite(x):
        raise Invalid
    return x + 0.0  # -0.0 becomes 0.0


def number(
    *, least: float | None = None, above: float | None = None, most: float | None = None, below: float | None = None
) -> Check:
    """A finite real number in a range; returned as float."""
    bounds = [
        text
        for bound, text in (
            (above, f"above {above:g}" if above is not None else ""),
            (least, f"at least {least:g}" if least is not None else ""),
            (most, f"at most {most:g}" if most is not None else ""),
            (below, f"below {below:g}" if below is not None else ""),
        )
        if bound is not None
    ]

    def read(value: Any) -> float:
        x = _number(value)
        low = (least is not None and x < least) or (above is not None and x <= above)
        if low or (most is not None and x > most) or (below is not None and x >= below):
            raise Invalid
        return x

    return Check(" ".join(["a number", " and ".join(bounds)]).strip(), read)


positive = number(above=0)


def integer(*, least: int | None = 1, below: int | None = None) -> Check:
    """A whole number in a range; 1e3 is one. Returned as int."""
    valid = (
        "a whole number" + (f", at least {least}" if least is not None else "") + (f", below {below}" if below else "")
    )

    def read(value: Any) -> int:
        if isinstance(value, str):
            try:
                value = int(value)  # not through a float, which would round a long seed
            except ValueError:
                value = _number(value)
        if not (isinstance(value, int) and not isinstance(value, bool)):
            x = _number(value)
            if not x.is_integer():
                raise Invalid
            value = int(x)
        if (least is not None and value < least) or (below is not None and value >= below):
            raise Invalid
        return int(value)

    return Check(valid, read)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid
    return value


boolean = Check("true or false", _boolean, words=("true", "false"))


def choice(*names: str) -> Check:
    """One of a few words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise Invalid(hint=nearest(value, names))
        return value

    return Check(", ".join(names), read, words=names)


def choice_of(*numbers: int) -> Check:
    """One of a few whole numbers."""
    valid = " or ".join(str(number) for number in numbers)

    def read(value: Any) -> int:
        number = integer(least=None).read(value)
        if number not in numbers:
            raise Invalid
        return int(number)

    return Check(valid, read, words=tuple(map(str, numbers)))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Invalid
    return value


def _duration(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = 60 * value
    else:
        found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", value) if isinstance(value, str) else None
        if found is None:
            raise Invalid
        days, hours, minutes, rest = (int(part or 0) for part in found.groups())
        if minutes > 59 or rest > 59:
            raise Invalid
        seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if seconds < 60:
        raise Invalid
    days, rest = divmod(seconds, 86400)
    return (f"{days}-" if days else "") + f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


duration = Check("a duration of a minute at least: HH:MM:SS, D-HH:MM:SS, or whole minutes", _duration)


path = Check("a path that is not empty (quote a name that looks like a number)", _text, names="file")
run = path._replace(names="run")
text = Check("a text that is not empty (quote what looks like a number)", _text)


def _name(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", value):
        raise Invalid
    return value


name = Check("a name of letters, digits and _ . + -", _name)


def optional(check: Check) -> Check:
    """null, or a value that ``check`` accepts."""
    return check._replace(
        valid=f"null, or {check.valid}",
        read=lambda value: None if value is None else check.read(value),
        words=("null", *check.words),
    )


def either(word: str, check: Check) -> Check:
    """A word such as auto, or a value that ``check`` accepts."""
    return check._replace(
        valid=f"{word}, or {check.valid}",
        read=lambda value: word if value == word else check.read(value),
        words=(word, *check.words),
    )


def list_of(check: Check) -> Check:
    """A list with at least one entry; returned as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not value:
            raise Invalid
        return tuple(check.read(v) for v in value)

    return Check(f"a list, each entry {check.valid}", read)


def integers(*, least: int | None) -> Check:
    """A whole number or a list of them; returned as a tuple."""
    several = list_of(integer(least=least))
    return Check(
        f"{integer(least=least).valid}, or a list of such",
        lambda value: several.read(value if isinstance(value, list | tuple) else [value]),
    )


def one_or_list(check: Check) -> Check:
    """A single value or a list; a single value is returned unchanged, a list as a tuple."""
    several = list_of(check)

    def read(value: Any) -> Any:
        return several.read(value) if isinstance(value, list | tuple) else check.read(value)

    return check._replace(valid=f"{check.valid}, or a list of such", read=read)


def _import_path(value: Any) -> str:
    part = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
    if not isinstance(value, str) or not re.fullmatch(f"{part}:{part}", value):
        raise Invalid
    return value


import_path = Check("an import path PACKAGE.MODULE:CLASS", _import_path)


def _arguments(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid
    for argument in value:
        if not isinstance(argument, str) or not argument.isidentifier():
            raise Invalid(str(argument), value[argument], "for names valid names in Python")
    return dict(value)


arguments = Check("a mapping {NAME: value} of plain data", _arguments)
