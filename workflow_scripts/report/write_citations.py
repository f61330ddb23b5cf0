"""Write what to cite and whom to acknowledge: of exactly the data sets that a run has used, as text and as BibTeX."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Card, card_of, cited
from workflow_scripts.files import write_beside
from workflow_scripts.tables.table import stream_rows

FIELDS = ("title", "journal", "booktitle", "publisher", "year", "volume", "number", "pages", "doi", "url")


def used_cards(datasets: Path, kinds: Mapping[str, str]) -> list[tuple[Card, list[str]]]:
    """Return the card of every kind that has a case, with the names of its data sets; phantoms are nobody's."""
    used: dict[str, tuple[Card, list[str]]] = {}
    for name, kind in sorted(kinds.items()):
        cases = list(stream_rows(datasets / name / "cases.parquet", ["label_source"]))
        if cases and (about := card_of(kind, cases)).references:
            used.setdefault(about.name, (about, []))[1].append(name)
    return list(used.values())


def as_text(used: Iterable[tuple[Card, list[str]]]) -> str:
    """Return the page in Markdown."""
    parts = ["# What these results rest on\n"]
    for about, names in used:
        parts.append(f"## {about.title}\n\nHere as {', '.join(names)}. {about.terms.strip()}\n")
        parts += [f"- {cited(reference)}" for reference in about.references]
        parts += [f"\nAcknowledgement: {about.acknowledgement.strip()}"] if about.acknowledgement else []
        parts.append("")
    if len(parts) == 1:
        parts.append("Nothing to cite: of no data set here, beside Casebook's phantoms, is a publication known.\n")
    return "\n".join(parts)


def as_bibtex(reference: Mapping[str, Any]) -> str:
    """Return one reference as an entry of BibTeX."""
    fields = {"author": authors(reference["author"])} | {name: reference[name] for name in FIELDS if name in reference}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{reference['type']}{{{reference['key']},", *lines, "}"])


def authors(text: str) -> str:
    """Return authors as BibTeX has them (`Family, I and …`), from `Family I, …`; an institution stays one name."""
    if "," not in text and len(text.split()[-1]) > 3:
        return f"{{{text}}}"
    names = [name.strip().rstrip(".") for name in text.split(",")]
    return " and ".join("others" if name == "et al" else ", ".join(name.rsplit(" ", 1)) for name in names)


def main(argv: list[str] | None = None) -> None:
    """Write both files."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="kind of each data set as JSON")
    arguments.add_argument("--text", type=Path, required=True, help="Markdown to write")
    arguments.add_argument("--bibtex", type=Path, required=True, help="BibTeX to write")
    args = arguments.parse_args(argv)
    command.start("write_citations")
    used = used_cards(args.datasets, args.spec)
    entries = {each["key"]: as_bibtex(each) for about, _ in used for each in about.references}
    with write_beside(args.text) as text, write_beside(args.bibtex) as bibtex:
        text.write_text(as_text(used), encoding="utf-8")
        bibtex.write_text("".join(f"{entries[key]}\n\n" for key in sorted(entries)), encoding="utf-8")


if __name__ == "__main__":
    main()
