"""Already safe text with colour (SGR) → HTML that reads on a light and on a dark page.

Nothing of the text becomes markup. A colour alone has its luminance moved to the middle, where it contrasts
with white and with near-black about four to one; a colour on a background that the tool chose is left alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

Rgb = tuple[int, int, int]

DARKEST, LIGHTEST = 0.17, 0.20
"""Relative luminance (WCAG 2) of text colours: contrast at least 4.2 with white and 3.9 with #111."""

# xterm's palette: eight colours, their bright forms, a 6x6x6 cube, 24 greys.
_BASIC: tuple[Rgb, ...] = (
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
)
_TOKEN = re.compile("\x1b\\[([0-9;:]*)m")


@dataclass(frozen=True)
class _Look:
    """What SGR has switched on."""

    foreground: Rgb | None = None
    background: Rgb | None = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    inverse: bool = False

    def style(self) -> str:
        """Inline CSS, empty for plain text."""
        found: list[str] = []
        foreground, background = self.foreground, self.background
        if self.inverse:
            foreground, background = background or (245, 245, 245), foreground or (96, 96, 96)
        if background is not None:
            foreground = foreground or ((0, 0, 0) if luminance(background) > DARKEST else (255, 255, 255))
            found.append(f"background-color:{_hex(background)}")
        elif foreground is not None:
            foreground = readable(foreground)
        if foreground is not None:
            found.append(f"color:{_hex(foreground)}")
        if self.bold:
            found.append("font-weight:bold")
        if self.faint:
            found.append("opacity:0.65")
        if self.italic:
            found.append("font-style:italic")
        if self.underline or self.strike:
            found.append(f"text-decoration:{'underline' if self.underline else 'line-through'}")
        return ";".join(found)


_SIMPLE: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    29: {"strike": False},
}


class Painter:
    """Turns one stream's text into HTML, piece by piece; colours last until the tool changes them."""

    def __init__(self) -> None:
        self._look = _Look()

    def html(self, text: str) -> str:
        """``text`` escaped, in spans where it has a look of its own."""
        out: list[str] = []
        at = 0
        for found in _TOKEN.finditer(text):
            out.append(self._span(text[at : found.start()]))
            self._look = _apply(self._look, found[1])
            at = found.end()
        out.append(self._span(text[at:]))
        return "".join(out)

    def _span(self, text: str) -> str:
        style = self._look.style() if text else ""
        escaped = html.escape(text, quote=True)
        return f'<span style="{style}">{escaped}</span>' if style else escaped


def ansi_to_html(text: str) -> str:
    """A whole text, see :class:`Painter`."""
    return Painter().html(text)


def _apply(look: _Look, parameters: str) -> _Look:
    codes = iter(re.split("[;]", parameters))
    for code in codes:
        head, _, rest = code.partition(":")
        number = int(head[:6] or 0)
        if number == 0:
            look = _Look()
        elif number in _SIMPLE:
            change = {"underline": False} if number == 4 and rest == "0" else _SIMPLE[number]
            look = replace(look, **change)  # type: ignore[arg-type]
        elif number in (38, 48):
            rgb = _extended(iter(rest.split(":")) if rest else codes)
            look = replace(look, foreground=rgb) if number == 38 else replace(look, background=rgb)
        elif 30 <= number <= 39 or 90 <= number <= 97:
            look = replace(look, foreground=_basic(number))
        elif 40 <= number <= 49 or 100 <= number <= 107:
            look = replace(look, background=_basic(number - 10))
    return look


def _basic(number: int) -> Rgb | None:
    if number == 39:
        return None
    return _BASIC[number - 90 + 8] if number >= 90 else _BASIC[number - 30]


def _extended(codes: Iterator[str]) -> Rgb | None:
    """The colour after 38 or 48: ``5;N`` or ``2;R;G;B``, in the colon form also ``2::R:G:B``."""
    kind = next(codes, "")
    values = [min(int(code[:6] or 0), 255) for code in _take(codes, 1 if kind == "5" else 4)]
    if kind == "5" and values:
        return palette(values[0])
    return None if kind != "2" or len(values) < 3 else (values[-3], values[-2], values[-1])


def _take(codes: Iterator[str], most: int) -> list[str]:
    found: list[str] = []
    for code in codes:
        if code == "" and not found and most == 4:
            continue  # the colour space of the colon form
        found.append(code)
        if len(found) == (3 if most == 4 else most):
            break
    return found


def palette(number: int) -> Rgb:
    """Colour ``number`` (0 to 255) of the 256."""
    if number < 16:
        return _BASIC[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return (grey, grey, grey)
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return (steps[number // 36], steps[number // 6 % 6], steps[number % 6])


def luminance(rgb: Rgb) -> float:
    """Relative luminance, 0 for black to 1 for white (WCAG 2)."""
    red, green, blue = (_linear(channel) for channel in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable(rgb: Rgb) -> Rgb:
    """The colour of the same hue that reads on a light and on a dark page."""
    light = luminance(rgb)
    channels = [_linear(channel) for channel in rgb]
    if light > LIGHTEST:
        channels = [channel * LIGHTEST / light for channel in channels]
    elif light < DARKEST:
        share = (DARKEST - light) / (1 - light)
        channels = [channel + (1 - channel) * share for channel in channels]
    red, green, blue = (_gamma(channel) for channel in channels)
    return (red, green, blue)


def _linear(channel: int) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _gamma(value: float) -> int:
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))


def _hex(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
