#!/usr/bin/env python3
"""Draws terminal output as an SVG: text on stdin, picture on stdout.

    { echo '$ ./quickstart.sh'; ./quickstart.sh; } | tools/terminal_svg.py > docs/terminal.svg

Lines that start with "$ " are drawn as commands, lines that start with "==> " as headings.
"""
import html
import sys

CHAR_WIDTH, LINE_HEIGHT, MARGIN, BAR = 7.8, 18, 16, 30
BACKGROUND, TEXT, COMMAND, HEADING = "#1e2127", "#d7dae0", "#8fd18f", "#7fb4e8"


def style_of(line):
    if line.startswith("$ "):
        return f'fill="{COMMAND}" font-weight="bold"'
    if line.startswith("==> "):
        return f'fill="{HEADING}"'
    return f'fill="{TEXT}"'


def main():
    lines = [line.rstrip() for line in sys.stdin.read().rstrip("\n").split("\n")]
    columns = max(len(line) for line in lines)
    width = round(2 * MARGIN + columns * CHAR_WIDTH)
    height = BAR + MARGIN + len(lines) * LINE_HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">',
           "<title>Terminal output of llm2mnn</title>",
           f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>']
    for i, colour in enumerate(("#e0645c", "#e0b95c", "#6cc070")):
        out.append(f'<circle cx="{18 + 18 * i}" cy="16" r="5" fill="{colour}"/>')
    for i, line in enumerate(lines):
        if line:
            y = BAR + (i + 1) * LINE_HEIGHT - 4
            out.append(f'<text x="{MARGIN}" y="{y}" xml:space="preserve" {style_of(line)}>{html.escape(line)}</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
