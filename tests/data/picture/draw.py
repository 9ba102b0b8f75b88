"""Draws what a terminal shows, read on standard input, as an SVG. argv[1] is the command."""

import re
import sys
import textwrap
from xml.sax.saxutils import escape

WIDTH, CHARACTER, LINE, MARGIN = 100, 8.0, 18, 16
COLOURS = {"31": "#ff6b68", "32": "#7ec87e", "33": "#e5c07b", "36": "#56b6c2"}
PLAIN, BACKGROUND = "#d7dae0", "#1e2127"


def spans(line: str) -> list[tuple[str, str]]:
    """Pieces of a line, each with the attributes that its escapes ask for."""
    found, style = [], ""
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b["):
            codes = piece[2:-1].split(";")
            colour = next((COLOURS[code] for code in codes if code in COLOURS), None)
            style = f' fill="{colour}"' if colour else ""
            style += ' font-weight="bold"' if "1" in codes else ""
            style += ' fill-opacity="0.6"' if "2" in codes else ""
        elif piece:
            found.append((piece, style))
    return found


def drawn(line: str) -> list[str]:
    """The line as one text, or as several where it is too long: such lines have one style."""
    pieces = spans(line)
    if sum(len(text) for text, _ in pieces) <= WIDTH:
        return ["".join(f"<tspan{style}>{escape(text)}</tspan>" for text, style in pieces)]
    text, style = "".join(text for text, _ in pieces), pieces[0][1]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    parts = textwrap.wrap(text.strip(), WIDTH, initial_indent=indent[2:], subsequent_indent=indent)
    return [f"<tspan{style}>{escape(part)}</tspan>" for part in parts]


shown = [line.rstrip("\r\n") for line in sys.stdin]
# Where the files are is of no interest, and is of this machine.
while shown and (not shown[0] or re.match(r"(config|keys|secrets) ", shown[0])):
    shown.pop(0)
lines = [f'<tspan fill-opacity="0.6">$ </tspan><tspan>{escape(sys.argv[1])}</tspan>', ""]
for line in shown:
    lines += drawn(line)

width, height = WIDTH * CHARACTER + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}">')
print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
print(f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13.2" fill="{PLAIN}" xml:space="preserve">')
for number, line in enumerate(lines):
    if line:
        print(f'<text x="{MARGIN}" y="{MARGIN + LINE * (number + 0.8):.1f}">{line}</text>')
print("</g></svg>")
