"""From panels to pictures: each panel an inline SVG whose colours follow the page, all of a sheet one PNG in light.

A panel draws itself into axes, so both are the same drawing. The SVG keeps text as text, without fonts of its own, and
names its colours by CSS variables: a page in dark colours recolours it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

UNIT = "units of the couplings"
# Variable of the page -> its light value, which no other colour of a drawing may have.
INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#dde2e8", "#fefefe"
COLOURS = ("#2563ab", "#c2561a", "#2c7d4f", "#7b4ab5", "#0f7f8f", "#b8324a", "#7d5a1e", "#55606e")
MARKERS = ("o", "s", "^", "D", "v", "P")
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    colour: f"c{i}" for i, colour in enumerate(COLOURS)
}
_INCHES = (4.5, 3.2)  # of a panel
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Key(NamedTuple):
    """An entry of a legend."""

    label: str
    colour: str
    marker: str  # of matplotlib


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    draw: Callable[[Any], None]  # into matplotlib's Axes


class Sheet(NamedTuple):
    """Panels that are read together."""

    name: str  # of its PNG
    panels: list[Panel]
    keys: list[Key]


def keys(labels: list[str]) -> dict[str, Key]:
    """A colour and a marker for each label, in their order: 8 x 6 that can be told apart, then over again."""
    told = list(dict.fromkeys(labels))
    n = len(COLOURS)
    return {label: Key(label, COLOURS[i % n], MARKERS[(i + i // n) % len(MARKERS)]) for i, label in enumerate(told)}


def need_matplotlib() -> None:
    """Raise ValueError, one line, where it is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ValueError("plots need matplotlib: install the extra `plot`, pip install 'nqs_hpc[plot]'") from None


def svg(panel: Panel, salt: str) -> str:
    """The panel as an element to put into a page; ``salt`` keeps its ids apart from those of other panels."""
    with _style({"svg.hashsalt": salt}):
        figure = _figure(1, 1)
        _draw(panel, figure.subplots())
        image = io.StringIO()
        figure.savefig(image, format="svg", transparent=True, metadata={"Date": None})
    text = image.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # its size is the page's to say
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, 1), 1)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def png(sheet: Sheet, folder: Path) -> Path:
    """All panels of the sheet in ``folder``/NAME.png, on white; at most three beside each other."""
    n_columns = min(3, len(sheet.panels))
    n_rows = -(-len(sheet.panels) // n_columns)
    with _style({}):
        figure = _figure(n_rows, n_columns)
        flat = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for panel, axes in zip(sheet.panels, flat, strict=False):
            _draw(panel, axes)
        for axes in flat[len(sheet.panels) :]:
            axes.set_axis_off()
        if sheet.keys:
            _legend(figure, sheet.keys)
        path = folder / f"{sheet.name}.png"
        figure.savefig(path, format="png", dpi=110)
    return path


def logarithmic(axis: Any) -> None:
    """Ticks of a logarithmic axis as 10⁻³ in plain characters, in decades or, within one, as numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    few = high / low < 30
    axis.set_major_locator(LogLocator(numticks=6, subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """0.002 as 2·10⁻³, 100 as 100."""
    if 0.01 <= value < 10000:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}"


def _figure(n_rows: int, n_columns: int) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES[0] * n_columns, _INCHES[1] * n_rows + 0.4 * (n_rows > 1)), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw(panel: Panel, axes: Any) -> None:
    axes.set_title(panel.title, fontsize=9.5, loc="left", color=INK)
    axes.grid(True, linewidth=0.6)
    axes.set_axisbelow(True)
    panel.draw(axes)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Any, told: list[Key]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=key.colour, marker=key.marker, markersize=5, linewidth=1.2, label=key.label)
        for key in told
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(told), 4), frameon=False)


@contextmanager
def _style(more: dict[str, Any]) -> Iterator[None]:
    from matplotlib import rc_context

    style = {
        "svg.fonttype": "none",
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": GRID,
        "axes.formatter.useoffset": False,
        "axes.unicode_minus": True,
    }
    with rc_context(style | more), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # in names that users give
        yield
