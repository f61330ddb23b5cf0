"""What there is to get: the cards of all data sets as a table, and one of them in full."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import fill, indent

import yaml
from tqdm import tqdm

from workflow_scripts.collections.collection import HERE, Card, card
from workflow_scripts.command import Refusal

COMMAND = "python -m workflow_scripts.download_aimi_samples"
ALSO_CALLED = {"thyroid-ultrasound": "thyroid-cineclip", "echonet": "echonet-dynamic"}  # as guides call them
PASSING_ON = {"forbidden": "may not be passed on", "allowed": "may be passed on", "unclear": "unclear"}
ROUTES = {"azure": "your own link", "tcia": "open", "hand": "by hand"}

AZURE_STEPS = """\
With the link that the page shows you (it is personal: it must not be passed on), Casebook downloads for you, and goes
on where it was when it is interrupted. Give the link in the environment, never as an argument; the first command does
not show what you paste, and puts it into no history:

    read -rs CASEBOOK_SAS_URL && export CASEBOOK_SAS_URL
    {command} --dataset {name} --download --to FOLDER

To take a part only, add the name of a folder or a file to the link, before the `?`.
"""
TCIA_STEPS = """\
Open to everybody: Casebook downloads the slides and the tables for you, and prints the links of what needs a browser.

    {command} --dataset {name} --download --to FOLDER
"""


def names() -> list[str]:
    """Return the kinds of data sets that have a card, sorted."""
    return sorted(path.stem.replace("_", "-") for path in HERE.glob("*.yaml"))


def find_card(name: str) -> Card:
    """Return the card of a data set by its name, or by what a guide calls it.

    Raises
    ------
    Refusal
        When there is none, with the name that may have been meant.
    """
    kind = ALSO_CALLED.get(name, name)
    if kind in names():
        return card(kind)
    near = get_close_matches(name, names(), 1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}"
    raise Refusal(f"{name}: no data set of this name is known; {meant}")


def route(about: Card) -> str:
    """Return how a data set is fetched: `azure` (a personal link), `tcia` (open) or `hand`.

    What is under Stanford's agreement is given out by personal links; The Cancer Imaging Archive's DOIs begin with
    10.7937.
    """
    if "Stanford University Dataset Research Use Agreement" in " ".join(about.terms.split()):
        return "azure"
    return "tcia" if (about.doi or "").startswith("10.7937/") else "hand"


def size_text(size: int | None) -> str:
    """Return a size in bytes in units of 1000, or `unknown`."""
    return "unknown" if size is None else f"{tqdm.format_sizeof(size)}B".replace("GB", " GB").replace("MB", " MB")


def table(cards: Sequence[Card]) -> str:
    """Return one line a data set: name, size, counts, terms, how one gets it."""
    rows = [("name", "size", "holds", "passing on", "how one gets it")]
    rows += [
        (about.name, size_text(about.size_bytes), counts_text(about), about.redistribution, ROUTES[route(about)])
        for about in cards
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def counts_text(about: Card) -> str:
    """Return what a data set holds by its card."""
    return ", ".join(f"{count:,} {what}" for what, count in about.counts.items()) or "your own files"


def describe(about: Card) -> str:
    """Return everything that is known of a data set before its files are seen: also the text of its README."""
    own = {"azure": AZURE_STEPS, "tcia": TCIA_STEPS, "hand": ""}[route(about)].format(command=COMMAND, name=about.name)
    steps = f"{about.obtain.strip()}\n\n{own}".strip()
    parts = {
        "How to get it": steps,
        "Is it whole?": f"    {COMMAND} --dataset {about.name} --check --root FOLDER",
        "Layout that Casebook reads": indent(about.layout.rstrip(), "    "),
        "Terms": f"{_filled(about.terms)}\nIn short: {PASSING_ON[about.redistribution]}.",
        "Cite": _filled(about.citation),
        "Acknowledge": _filled(about.acknowledgement or ""),
        "What its labels carry": _filled(about.truths),
    }
    facts = [
        f"{about.title} ({about.name}, version {about.version})",
        f"holds     {counts_text(about)}",
        f"size      {size_text(about.size_bytes)}",
        f"DOI       {about.doi or 'none known'}",
        f"page      {about.homepage or 'none'}",
    ]
    return "\n".join(facts) + "".join(f"\n\n{head}\n\n{text}" for head, text in parts.items() if text) + "\n"


def configuration(about: Card, folder: Path) -> str:
    """Return the block of the configuration that names a folder as this data set."""
    return yaml.safe_dump({"datasets": {about.name: {"root": str(folder.resolve())}}}, width=1000, allow_unicode=True)


def _filled(text: str) -> str:
    return fill(" ".join(text.split()), 110, break_long_words=False, break_on_hyphens=False)
