"""Draw docs/rulegraph.svg anew from the graph that the file itself begins with; needs Graphviz (`dot`)."""

import re
import subprocess
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.files import write_beside


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
