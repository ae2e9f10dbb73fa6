#!/usr/bin/env python3
"""Compares edit-points.toml with a checkout of Apache Texera.

Usage: check-edit-points.py CHECKOUT [--step-2]

Prints one line for each point:

  ready    the place of an edit is there
  applied  the edit has been made
  holds    something that the edits rely on is there
  adapt    it has another known form; the line says what to do
  changed  the file is there, and the pattern is not
  missing  the file is not there

Exit status: 0 if all are ready, applied or hold; 1 if not; 2 if the folder is no checkout of Texera.
Requires Python 3.11 or later, and nothing else.
"""

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOOD = {"ready", "applied", "holds"}


def first_file(checkout, point):
    """The first of the point's files that exists."""
    return next((path for name in point["file"] if (path := checkout / name).is_file()), None)


def check_added(checkout, point):
    if first_file(checkout, point):
        return "applied", ""
    folders = (name for name in point["file"] if (checkout / name).parent.is_dir())
    target = next(folders, None)
    return ("ready", f"copy {point['from']} to {target}") if target else ("missing", f"no folder for {point['file'][0]}")


def of_text(judge):
    """A check of a file that has to exist: `judge` gets the point, the path in the checkout and the text."""

    def check(checkout, point):
        path = first_file(checkout, point)
        if path is None:
            return "missing", point["file"][0]
        return judge(point, path.relative_to(checkout), path.read_text(encoding="utf-8"))

    return check


@of_text
def check_edit(point, path, text):
    if re.search(point["applied"], text):
        return "applied", ""
    found = re.search(point["pattern"], text)
    if found is None:
        return "changed", f"{path}: {point['where']} is not as expected"
    line = text.count("\n", 0, found.start()) + 1
    return "ready", f"{path}:{line}: {point['change']}"


@of_text
def check_expectation(point, path, text):
    if re.search(point["pattern"], text):
        return "holds", ""
    for pattern, what_to_do in point.get("variants", []):
        if re.search(pattern, text):
            return "adapt", f"{path}: {what_to_do}"
    return "changed", f"{path}: {point['why']}"


@of_text
def check_later(point, path, text):
    if re.search(point["pattern"], text):
        return "ready", f"{path}: {point['change']}, about {point['lines']} lines"
    return "changed", f"{path}: {point['change']}"


def inserted(point):
    """The lines that an edit inserts, without comments and blank lines."""
    text = (HERE / point["insert-file"]).read_text(encoding="utf-8") if "insert-file" in point else point["insert"]
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "{{- /*"))]


def main(arguments):
    options = [argument for argument in arguments if argument.startswith("-")]
    folders = [argument for argument in arguments if not argument.startswith("-")]
    if len(folders) != 1 or set(options) - {"--step-2"}:
        print(__doc__, file=sys.stderr)
        return 2
    checkout = Path(folders[0])
    if not (checkout / "computing-unit-managing-service").is_dir():
        print(f"{checkout} is no checkout of Texera, or one before its services were moved to the top", file=sys.stderr)
        return 2
    with open(HERE / "edit-points.toml", "rb") as file:
        points = tomllib.load(file)
    checks = [("add", check_added), ("edit", check_edit), ("expect", check_expectation)]
    if "--step-2" in options:
        checks = [("later", check_later)]
    counts = {}
    for kind, check in checks:
        for point in points[kind]:
            status, detail = check(checkout, point)
            counts[status] = counts.get(status, 0) + 1
            print(f"{status:8} {point['id']:16} {detail}".rstrip())
    if "--step-2" not in options:
        lines = sum(len(inserted(point)) for point in points["edit"])
        replaced = sum(point.get("replace", 0) for point in points["edit"])
        print(f"\n{lines} lines are added to {len({tuple(p['file']) for p in points['edit']})} files of Texera and "
              f"{replaced} replaced; {len(points['add'])} files are new. Written for {points['texera']['version']}.")
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    return 0 if set(counts) <= GOOD else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
