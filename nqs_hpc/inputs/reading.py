"""Opens and parses all files that somebody else may have written: one rule for all readers.

A file is read if it is a regular file of bounded size. It is opened without blocking (a FIFO would block its reader,
even at SIGTERM, until it has a writer) and without following a link at the last component, because a link in a run
folder can lead to any file that the reader may read. A file named by the user may be a link (``follow``). JSON and YAML
have limits of depth and size far above those of our own files: a kilobyte of aliases can represent a terabyte of lists,
and 200000 brackets crash a recursive parser. Errors are one line. Loads only the standard library, and YAML when
needed.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

MIB = 2**20
# The largest files that are read, by kind: at least ten times as large as any of our runs has written.
SMALL = 64 * 1024  # DONE, a lock, a remaining time: one line each
SETTINGS = (
    64 * MIB
)  # JSON and YAML: the manifest of ten thousand points has 20 MiB, config.yaml lists the bonds of a graph
SYSTEM = 64 * MIB  # bonds, positions, permutations, Pauli strings: a million lines
TEMPLATE = MIB  # a batch script
METRICS = 1024 * MIB  # two million steps with lines of 500 bytes; event files of TensorBoard are as large
CHECKPOINT = 64 * 1024 * MIB  # parameters, their averages and those of the optimiser, chains

DEPTH = 64  # of nested lists; ours have six
NODES = 500_000  # of a YAML text with its aliases expanded: the bonds of a hundred thousand pairs
NUMBERED = 1000  # keys of one mapping that are not words: numbers can be chosen so that all their hashes are equal
DIGITS = 400  # of a number in YAML: the time of its conversion grows with the square of the digits

_KINDS = (
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISLNK, "link"),
)


class Unfit(OSError, ValueError):
    """A file that may not be read, or does not hold what it should; one line.

    ``filename`` is its path and ``strerror`` the reason, such as "Is a FIFO, not a regular file". It is both an OSError
    and a ValueError, because disks and users can cause it.
    """

    def __str__(self) -> str:
        what = str(self.strerror)
        return f"{printable(str(self.filename), 1000)} {what[:1].lower()}{what[1:]}"


def unfit(path: str | Path, what: str) -> Unfit:
    """The error for a file, with the reason ``what``."""
    return Unfit(errno.EINVAL, what[:1].upper() + printable(what[1:]), os.fspath(path))


def opened(path: str | Path, *, follow: bool = False) -> BinaryIO:
    """The regular file ``path`` of any size, open for reading. Raises OSError, Unfit if it is not a regular file."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    name = os.fspath(path)
    try:
        descriptor = os.open(name, flags)
    except ValueError:  # a NUL in the name
        raise unfit(name, "is not valid: a NUL is in it") from None
    except OSError as error:
        # a link with O_NOFOLLOW; a socket, or a FIFO that is open elsewhere; a device without a driver
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV):
            raise unfit(name, _wanted(_lstat_mode(name))) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise unfit(name, _wanted(mode))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def data(path: str | Path, limit: int, *, follow: bool = False) -> bytes:
    """The bytes of the regular file ``path``, at most ``limit``. Raises OSError, Unfit if it is not regular or
    larger."""
    with opened(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        parts: list[bytes] = []
        left = limit + 1 if size <= limit else 0  # a sparse file can have any size without using disk space
        try:
            # reading one byte more than the size detects the end at once, and a file that grows meanwhile
            while left > 0 and (part := file.read(min(left, size + 1 if not parts else MIB))):
                parts.append(part)
                left -= len(part)
        except MemoryError:
            raise unfit(path, f"has {_size(size)}, more than this machine has memory for") from None
    if left <= 0:
        raise unfit(path, f"is larger than {_size(limit)}")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def text(path: str | Path, limit: int, *, follow: bool = False, errors: str = "strict") -> str:
    """The same as text: UTF-8, with or without byte-order mark, any line ends. ``errors``: "strict" raises Unfit."""
    raw = data(path, limit, follow=follow)
    try:
        return raw.decode("utf-8-sig", errors).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise unfit(path, f"is not a text file: byte {error.start} is not UTF-8") from None


def lines(raw: bytes) -> Iterator[bytes]:
    """An iterator over the lines of a file's bytes, without line ends: a list can take ten times the memory."""
    return (line.rstrip(b"\r\n") for line in io.BytesIO(raw))


def parse_json(raw: bytes | str, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Parse JSON; ValueError, one line, also if it is nested too deeply. ``parse_constant`` as in json."""
    try:
        content = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        if content.count("[") + content.count("{") > DEPTH and not _shallow(content):
            raise ValueError(f"its brackets are nested more than {DEPTH} deep, or not closed")
        return json.loads(content, parse_constant=parse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not text in UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(raw: bytes | str) -> Any:
    """Parse YAML of plain data; ValueError, one line, also if it has too many aliases or too much depth."""
    import yaml

    try:
        content = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        return yaml.load(content, _loader(_simple(content)))
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not text in UTF-8") from None
    except yaml.YAMLError as error:
        raise ValueError(printable(str(error))) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # errors that PyYAML's constructors do not catch, for a tag that does not fit its value (`!!int ""`)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(f"a value in it is not valid: {printable(str(error))}") from None


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor movements of a terminal
LONGEST = 300


def printable(raw: str, longest: int = LONGEST) -> str:
    """``raw`` on one line of at most ``longest`` characters, none of which controls a terminal.

    Control characters, marks that change the direction of writing and halves of surrogate pairs are replaced.
    """
    words = " ".join(_ESCAPES.sub("", raw).split())
    if not words.isprintable():
        words = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)
    return words if len(words) <= longest else words[: longest - 1] + "…"


def harmless(line: str) -> str:
    """A text for printing with its lines and columns unchanged, but without control characters for a terminal."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in line)


def is_name(value: Any) -> bool:
    """Whether ``value`` is a name inside a folder: one printable component of a path."""
    return (
        isinstance(value, str)
        and value not in ("", ".", "..")
        and "/" not in value
        and value.isprintable()
        and len(os.fsencode(value)) <= 255
    )


def _lstat_mode(name: str) -> int:
    try:
        return os.lstat(name).st_mode
    except OSError:
        return 0


def _wanted(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return os.strerror(errno.EISDIR)
    what = next((f"a {kind}, " for judge, kind in _KINDS if judge(mode)), "")
    return f"is {what}not a regular file"


def _size(n_bytes: int) -> str:
    return f"{n_bytes // MIB} MiB" if n_bytes >= MIB else f"{n_bytes // 1024} KiB"


_STRINGS = re.compile(rb'"[^"]*"')
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))


def _shallow(content: str) -> bool:
    """Whether brackets close and are at most DEPTH deep. Innermost pairs are removed DEPTH times, all in C."""
    if "\\" in content:
        content = content.replace("\\\\", "").replace('\\"', "")
    marks = content.encode("utf-8", "replace").translate(None, _OTHERS)
    brackets = _STRINGS.sub(
        b"", marks.replace(b'""', b"")
    )  # two adjacent quotes do not change what is inside of strings
    for _ in range(DEPTH):
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(fewer) == len(brackets):
            return len(brackets) <= DEPTH  # brackets that do not close are left to the parser, which says where
        brackets = fewer
    return not brackets


# A line with such a beginning can open many blocks at once.
_STEEP = re.compile(r"^[ \t?:-]{40}", re.MULTILINE)


def _simple(content: str) -> bool:
    """Whether a YAML text is clearly flat and short: no anchors, aliases or tags, few brackets, little indentation."""
    marked = "*" in content or "&" in content or "!" in content
    # each value except the first follows one of these
    marked = marked or sum(content.count(mark) for mark in "\n,:-") > NODES
    return not marked and content.count("[") + content.count("{") <= DEPTH // 2 and not _STEEP.search(content)


@cache
def _loader(simple: bool) -> Any:
    """PyYAML's safe loader, with its parser in C if available, and with limits on the size of the result.

    ``simple``: for a text that needs no counting; it is composed in C, three times as fast.
    """
    import yaml
    from yaml.composer import Composer
    from yaml.constructor import ConstructorError
    from yaml.nodes import MappingNode, ScalarNode, SequenceNode

    fast: Callable[..., Any] | None = getattr(yaml, "CSafeLoader", None)
    base: Any = yaml.SafeLoader if fast is None else fast

    class Quick(base):
        """The plain parser, with our constructors of numbers and mappings."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            if sum(key.tag != "tag:yaml.org,2002:str" for key, _ in node.value) > NUMBERED:
                raise ConstructorError(None, None, f"more than {NUMBERED} keys that are not words", node.start_mark)
            return super().construct_mapping(node, deep=deep)

    class Bounded(Quick):
        """Nodes are composed from the parser's events in Python, because the composer in C does not count them."""

        def __init__(self, stream: Any) -> None:
            super().__init__(stream)
            # what Composer.__init__ sets; the parser in C also composes, and does not set it
            self.anchors: dict[str, Any] = {}
            self._depth = self._nodes = 0
            self._sizes: dict[int, tuple[int, int]] = {}  # of each node: the number of nodes below it, and their depth

        def get_single_node(self) -> Any:
            return Composer.get_single_node(self)

        def compose_document(self) -> Any:
            return Composer.compose_document(self)

        def compose_node(self, parent: Any, index: Any) -> Any:
            anchor = self.peek_event().anchor if self.check_event(yaml.AliasEvent) else None
            self._depth += 1
            self._nodes += 1
            self._bound(self._depth, self._nodes)
            if anchor in self.anchors and id(self.anchors[anchor]) not in self._sizes:
                raise ConstructorError(None, None, f"alias {anchor} stands inside of what it names", None)
            node = Composer.compose_node(self, parent, index)
            self._depth -= 1
            if id(node) not in self._sizes:
                self._sizes[id(node)] = self._measure(node)
            below, height = self._sizes[id(node)]
            self._bound(self._depth + height, below)
            return node

        def compose_scalar_node(self, anchor: Any) -> Any:
            return Composer.compose_scalar_node(self, anchor)

        def compose_sequence_node(self, anchor: Any) -> Any:
            return Composer.compose_sequence_node(self, anchor)

        def compose_mapping_node(self, anchor: Any) -> Any:
            return Composer.compose_mapping_node(self, anchor)

        def _measure(self, node: Any) -> tuple[int, int]:
            below: list[Any] = []
            if isinstance(node, SequenceNode):
                below = node.value
            elif isinstance(node, MappingNode):
                below = [part for pair in node.value for part in pair]
            sizes = [self._sizes[id(part)] for part in below]
            return 1 + sum(size for size, _ in sizes), 1 + max((height for _, height in sizes), default=0)

        def _bound(self, depth: int, nodes: int) -> None:
            if depth > DEPTH:
                raise ConstructorError(None, None, f"it is nested more than {DEPTH} deep", None)
            if nodes > NODES:
                raise ConstructorError(None, None, f"it stands for more than {NODES} values", None)

    def bounded(construct: Callable[..., Any]) -> Callable[..., Any]:
        def checked(loader: Any, node: Any) -> Any:
            if isinstance(node, ScalarNode) and len(node.value) > DIGITS:
                raise ConstructorError(None, None, f"a number of more than {DIGITS} digits", node.start_mark)
            return construct(loader, node)

        return checked

    for tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        (Quick if simple else Bounded).add_constructor(tag, bounded(base.yaml_constructors[tag]))
    return Quick if simple else Bounded
