"""Figures from panels: each panel as an inline SVG with the colours of the page, a whole sheet as a figure for print.

A panel draws itself into axes, so both are the same drawing. The inline SVG keeps text as text, without fonts, and uses
CSS variables as colours, which a dark page changes. A figure for print has the width of a journal's column, or of its
page if there are several panels: a PNG with 300 dpi, an SVG with text as text, and a PDF with embedded fonts (TrueType,
because journals refuse Type 3).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

# CSS variable -> its light value, which no other colour of a drawing may have.
INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#dde2e8", "#fefefe"
COLOURS = ("#2563ab", "#c2561a", "#2c7d4f", "#7b4ab5", "#0f7f8f", "#b8324a", "#7d5a1e", "#55606e")
MARKERS = ("o", "s", "^", "D", "v", "P")
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    colour: f"c{i}" for i, colour in enumerate(COLOURS)
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Layout(NamedTuple):
    """The size of a panel in inches, and of fonts in points."""

    inches: tuple[float, float]
    margins: tuple[float, float, float, float]  # left, right (half the last tick's label), below and above of its axes
    font: float
    n_beside: int  # panels beside each other


PAGE = Layout((4.5, 3.2), (0.85, 0.32, 0.5, 0.52), 9.0, 1)
PRINT = Layout((3.375, 2.5), (0.68, 0.2, 0.42, 0.45), 7.5, 2)  # the column of a journal; two fill its page
DPI = 300
FORMATS = ("png", "svg", "pdf")
_WIDTH = 0.0085  # width of a character in inches, per point of its font: more than most have


class LegendEntry(NamedTuple):
    """An entry of a legend."""

    label: str
    colour: str
    marker: str  # of matplotlib; empty: a line, --: a dashed one


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    vertical: str  # vertical axis with its unit, written horizontally above the axes
    draw: Callable[[Any], None]  # into matplotlib's Axes


class Sheet(NamedTuple):
    """Panels that belong together."""

    name: str  # of its files
    panels: list[Panel]
    keys: list[LegendEntry]


def keys(labels: list[str]) -> dict[str, LegendEntry]:
    """A colour and a marker for each label, in order: 8 x 6 distinguishable combinations, then they repeat."""
    different = list(dict.fromkeys(labels))
    n = len(COLOURS)
    return {
        label: LegendEntry(label, COLOURS[i % n], MARKERS[(i + i // n) % len(MARKERS)])
        for i, label in enumerate(different)
    }


def need_matplotlib() -> None:
    """Raise ValueError, one line, if matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ValueError("plots need matplotlib: install the extra `plot`, pip install 'nqs_hpc[plot]'") from None


def svg(panel: Panel, salt: str) -> str:
    """The panel as an element of a page; ``salt`` makes its ids different from those of other panels."""
    with style(PAGE, {"svg.hashsalt": salt}):
        figure = _figure(PAGE, 1, 1, 0.0)
        _draw(panel, figure, PAGE, 0.0, 0, 0)
        image = io.StringIO()
        figure.savefig(image, format="svg", transparent=True, metadata={"Date": None})
    text = image.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    head, bracket, rest = text.partition(">")
    text = re.sub(r' (?:width|height)="[^"]*"', "", head) + bracket + rest  # the page sets its size
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def printed(sheet: Sheet) -> dict[str, bytes]:
    """All panels of the sheet as one figure on white, in each of FORMATS."""
    n_columns = min(PRINT.n_beside, len(sheet.panels))
    n_rows = -(-len(sheet.panels) // n_columns)
    longest = max((len(key.label) for key in sheet.keys), default=0)
    entry = 0.4 + longest * _WIDTH * PRINT.font  # inches
    n_beside = max(1, min(len(sheet.keys), int(n_columns * PRINT.inches[0] / entry)))
    strip = 0.15 + 0.18 * -(-len(sheet.keys) // n_beside) if sheet.keys else 0.0
    with style(PRINT, {"svg.hashsalt": sheet.name}):
        figure = _figure(PRINT, n_rows, n_columns, strip)
        for i, panel in enumerate(sheet.panels):
            _draw(panel, figure, PRINT, strip, i // n_columns, i % n_columns)
        if sheet.keys:
            _legend(figure, sheet.keys, n_beside)
        return saved(figure)


def saved(figure: Any) -> dict[str, bytes]:
    """A figure in each of FORMATS; call it within `style`. Equal figures give equal bytes."""
    pictures = {}
    dates: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    for name in FORMATS:
        image = io.BytesIO()
        figure.savefig(image, format=name, dpi=DPI, metadata=dates[name])
        pictures[name] = image.getvalue()
    return pictures


def logarithmic(axis: Any) -> None:
    """Ticks of a logarithmic axis: powers of ten in plain characters, more of them if it spans few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    few = high / low < 30
    axis.set_major_locator(LogLocator(numticks=6, subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_locator(NullLocator())


def whole_numbers(axis: Any) -> None:
    """A few ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def small_numbers(axis: Any) -> None:
    """Ticks of numbers far below one, with the power of ten in each."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: scientific(value)))


def scientific(value: float) -> str:
    """-0.00025 as −2.5·10⁻⁴."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0').replace('-', '−')}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def power_of_ten(value: float) -> str:
    """0.002 as 2·10⁻³, 100 as 100."""
    if 0.01 <= value < 10000:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}"


def _figure(layout: Layout, n_rows: int, n_columns: int, strip: float) -> Any:
    """An empty figure for panels of equal size, with a ``strip`` of this height in inches above them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(layout.inches[0] * n_columns, layout.inches[1] * n_rows + strip))
    FigureCanvasAgg(figure)
    return figure


def _draw(panel: Panel, figure: Any, layout: Layout, strip: float, row: int, column: int) -> None:
    # Fixed margins in inches: the axes of all panels are aligned, and automatic layout would draw everything twice.
    (total_width, total_height), (width, height) = figure.get_size_inches(), layout.inches
    left, right, lower, upper = layout.margins
    from_below = total_height - strip - (row + 1) * height + lower
    x, y = (column * width + left) / total_width, from_below / total_height
    axes = figure.add_axes((x, y, (width - left - right) / total_width, (height - lower - upper) / total_height))
    room = (
        (width - left) / max(1, len(panel.title)) / _WIDTH
    )  # a long title gets a smaller font, so that it does not reach its neighbour
    axes.set_title(panel.title, fontsize=max(4.0, min(1.1 * layout.font, room)), loc="left", pad=1.9 * layout.font)
    axes.text(0, 1.025, panel.vertical, transform=axes.transAxes, fontsize="medium", color=MUTED, va="bottom")
    axes.grid(True, linewidth=0.6)
    axes.set_axisbelow(True)
    panel.draw(axes)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Any, entries: list[LegendEntry], n_beside: int) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for key in entries:
        line: Any
        line, marker = ("--", "") if key.marker == "--" else ("-" if key.marker == "" else "", key.marker)
        handles.append(Line2D([], [], color=key.colour, linestyle=line, marker=marker, markersize=4.5, label=key.label))
    figure.legend(handles=handles, loc="upper left", ncols=n_beside, frameon=False)


@contextmanager
def style(layout: Layout, more: dict[str, Any] | None = None) -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn and saved."""
    from matplotlib import rc_context

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": layout.font,
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
    with rc_context(settings | (more or {})), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # in names that users give
        yield
