"""Write docs/datasets.md from the cards: what each data set is, how it lies on disk, and what Casebook makes of it."""

from pathlib import Path

from workflow_scripts import command
from workflow_scripts.collections.collection import Card, card
from workflow_scripts.configuration import CARDS
from workflow_scripts.files import write_beside

INTRODUCTION = """<!-- Written by `make docs` from workflow_scripts/collections/*.yaml: change those. -->

# Data sets

Name the folder that holds your copy, and the kind that reads it:

```yaml
datasets:
  clinic-a:                # a name of your choosing
    kind: ddti             # one of the kinds below; default: the name
    root: /data/ddti
```

`snakemake check --cores all --configfile mine.yaml` says what was found there before anything long begins. A folder
that is not laid out as below is refused with one line that says what was expected. A kind that is not here is
[one module, one card, one fixture](adding-a-dataset.md).
"""
FRAMES = {
    "all": "every frame",
    "middle": "the frame in the middle",
    "outlined": "the frames with an outline",
    "largest_mask": "the frame with the largest outline",
}


def section(about: Card) -> str:
    """Return what there is to say of one data set."""
    counts = ", ".join(f"{count:,} {what}" for what, count in about.counts.items())
    size = f"{about.size_bytes / 1e9:.1f} GB" if about.size_bytes else ""
    made = [
        f"modality {about.modality}" if about.modality else "modality as its files, or you, say",
        FRAMES[about.frames] if isinstance(about.frames, str) else f"{about.frames['evenly']} frames evenly",
        "of the cases that scenarios may take" if about.extract == "candidates" else "of every case",
        f"masks outline: {about.outlines}" if about.outlines else "no masks",
    ]
    facts = [
        ("Version", about.version),
        ("As published", ", ".join(filter(None, (counts, size)))),
        ("DOI", about.doi),
        ("Terms", f"{about.terms.strip()} Passing on: {about.redistribution}."),
        ("Cite", about.citation),
        ("By default", "; ".join(made)),
        ("Further stages", ", ".join(f"`{stage}`" for stage in about.stages)),
    ]
    table = "\n".join(f"| {name} | {' '.join(str(text).split())} |" for name, text in facts if text)
    return (
        f"## {about.name}\n\n{about.title.strip()}\n\n| | |\n|---|---|\n{table}\n\n"
        f"**Layout**\n\n```text\n{about.layout.rstrip()}\n```\n\n**How to get it**\n\n{about.obtain.rstrip()}\n\n"
        f"**What its labels can carry, and what they cannot.** {' '.join(about.truths.split())}\n"
    )


def page() -> str:
    """Return the whole page."""
    kinds = sorted(path.stem.replace("_", "-") for path in CARDS.glob("*.yaml"))
    return "\n".join([INTRODUCTION, *(section(card(kind)) for kind in kinds)])


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="page to write")
    args = arguments.parse_args(argv)
    with write_beside(args.out) as beside:
        beside.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
