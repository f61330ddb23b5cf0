"""Draw docs/rulegraph.svg anew from the graph that the file itself begins with; needs Graphviz (`dot`)."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.read_rules import read_rules

COMPUTED = {
    ("fetch_source", "index_cases"),
    ("import_masks", "score_masks"),
    ("plan_chunks", "write_citations"),
    ("read_reviews", "score_masks"),
    ("compare", "write_report"),
    ("fit_quality", "write_report"),
    ("monitor_batches", "write_report"),
    ("train_grader", "write_report"),
    ("validate_descriptors", "write_report"),
}
"""Arrows whose paths the rules compute, so that their text does not name them."""


def arrows() -> set[tuple[str, str]]:
    """Return every pair of rules of which the second reads what the first writes."""
    rules = [rule for rule in read_rules() if rule.output]
    written = {rule.name: {path for _, path in rule.output} for rule in rules}
    read = {
        (first.name, second.name)
        for first in rules
        for second in rules
        if first is not second and any({path, path.rpartition("/")[0]} & written[first.name] for path in second.input)
    }
    return read | COMPUTED


def needed(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows that do not follow from others."""
    after: dict[str, set[str]] = {}
    for first, second in pairs:
        after.setdefault(first, set()).add(second)

    def reached(rule: str, without: str = "") -> set[str]:
        return set().union(*({other} | reached(other) for other in after.get(rule, set()) - {without}))

    return {(first, second) for first, second in pairs if second not in reached(first, second)}


def drawn(picture: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the arrows of the graph that a picture begins with, and those that it shows."""
    graph = picture[picture.index("digraph") : picture.index("-->\n")]
    chains = [re.findall(r"\w+", chain) for chain in re.findall(r"\w+(?: -> \w+)+", graph)]
    said = {pair for chain in chains for pair in pairwise(chain)}
    return said, set(re.findall(r"<title>(\w+)&#45;&gt;(\w+)</title>", picture))


def draw(picture: str) -> str:
    """Return the picture drawn from its own graph."""
    head, graph, _ = re.split(r"(digraph casebook \{.*?\n\})", picture, maxsplit=1, flags=re.DOTALL)
    done = subprocess.run(["dot", "-Tsvg"], input=graph, capture_output=True, text=True, check=True).stdout
    size = re.search(r'width="(\d+)pt" height="(\d+)pt"', done)
    assert size
    width, height = size.groups()
    shape = f'viewBox="0 0 {width} {height}" width="{width}pt" height="{height}pt"'
    head = re.sub(r'viewBox="[^"]*" width="[^"]*" height="[^"]*"', shape, head)
    return f"{head}{graph}\n-->\n{done[done.index('<g id=') :]}"


def main(argv: list[str] | None = None) -> None:
    """Draw the picture in its place."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--picture", type=command.existing, required=True, help="the SVG, read and written")
    picture: Path = arguments.parse_args(argv).picture
    with write_beside(picture) as beside:
        beside.write_text(draw(picture.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
