# SPDX-License-Identifier: MIT OR Apache-2.0
"""Draws the results as bars, with a panel for each part that has some."""

from html import escape

# colours that the common forms of colour blindness keep apart
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
WIDTH, LABEL, BAR, GAP = 900, 260, 11, 7


def by_setup(found, label, figure):
    """The set-ups of these rows, and {label: {set-up: figure}}."""
    rows = {}
    for row in found:
        rows.setdefault(label(row), {})[row["setup"]] = row[figure]
    return tuple(dict.fromkeys(row["setup"] for row in found)), rows


def gates(result):
    shown = ("no rule", "no match", "re-bound")
    rows = {}
    for row in result["rows"]:
        if row["state"] in shown:
            rows.setdefault(row["figure"], {})[row["state"]] = row["percent"]
    return "System calls: instructions more than without the module, in percent", shown, rows


def scale(result):
    return (
        "10,000 services and 100,000 rules: the gate's share, as a multiple of that of one of each",
        ("share",),
        {
            row["figure"]: {"share": row["share_ratio"]}
            for row in result["rows"]
            if row["set"] == "10,000 services, 100,000 rules"
        },
    )


def packets(result):
    kinds = tuple(dict.fromkeys(row["kind"] for row in result["rows"]))
    rows = {}
    for row in result["rows"]:
        rows.setdefault(row["set_up"], {})[row["kind"]] = row["instructions_a_packet"]
    return "Packets: instructions more for each than without a hook", kinds, rows


def systems(result):
    shown = tuple(dict.fromkeys(row["state"] for row in result["rows"] if row["state"] != "off"))
    rows = {}
    for row in result["rows"]:
        rows.setdefault(row["system"], {})[row["state"]] = 100 * row["ratio"]
    return "Whole systems: throughput, in percent of that without the module", shown, rows


def switches(result):
    setups, rows = by_setup(result["rows"], lambda row: row["kind"], "instructions")
    rows = {
        kind: {name: value / values[setups[0]] for name, value in values.items()}
        for kind, values in rows.items()
        if setups[0] in values
    }
    return (
        f"Wake-ups and switches: instructions, as a multiple of what they are with {setups[0]}",
        setups,
        rows,
    )


def delays(result):
    found = [row for row in result["rows"] if row["part"] == "wake"]
    return (
        "A light party's wake-up delay under a flood: the 99th percentile, in us",
        *by_setup(found, lambda row: f"{row['number']} tasks spin", "99th"),
    )


def errors(result):
    found = [row for row in result["rows"] if row["part"] != "wake"]
    return (
        "CPU shares: the largest error, in percent of what it should be",
        *by_setup(
            found,
            lambda row: (
                f"{row['number']} {'levels' if row['part'] == 'deep' else 'parties'},"
                f" {row['seconds']} s"
            ),
            "largest",
        ),
    )


PANELS = (
    ("gates", gates),
    ("scale", scale),
    ("packets", packets),
    ("systems", systems),
    ("switches", switches),
    ("delays", delays),
    ("delays", errors),
)


def text(x, y, words, **attributes):
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x}" y="{y:.0f}"{more}>{escape(words)}</text>'


def panel(top, title, series, rows):
    """The lines of one panel, and the place where the next begins."""
    most = max([abs(value) for values in rows.values() for value in values.values()] + [1e-9])
    lines = [text(10, top + 20, title, font_size=16)]
    x = 10
    for name, colour in zip(series, COLOURS):
        lines += [
            f'<rect x="{x}" y="{top + 30}" width="10" height="10" fill="{colour}"/>',
            text(x + 14, top + 39, name),
        ]
        x += 30 + 7 * len(name)
    y = top + 54
    for label, values in rows.items():
        lines.append(text(LABEL - 8, y + BAR * len(series) / 2 + 4, label, text_anchor="end"))
        for name, colour in zip(series, COLOURS):
            value = values.get(name, 0)
            length = max(value, 0) / most * (WIDTH - LABEL - 90)
            lines += [
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 1}"'
                f' fill="{colour}"/>',
                text(
                    LABEL + length + 5,
                    y + BAR - 2,
                    f"{value:.2f}".rstrip("0").rstrip("."),
                    font_size=10,
                ),
            ]
            y += BAR
        y += GAP
    return lines, y + 20


def svg(results):
    """{part: its result} as SVG."""
    top, lines = 0, []
    for name, make in PANELS:
        if results.get(name):
            more, top = panel(top, *make(results[name]))
            lines += more
    return (
        "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}"'
                ' font-family="sans-serif" font-size="12">',
                f'<rect width="{WIDTH}" height="{top}" fill="white"/>',
                *lines,
                "</svg>",
            ]
        )
        + "\n"
    )
