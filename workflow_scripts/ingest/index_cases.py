"""List every case of a data set with its labels and where its pixels lie; no pixel is decoded."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from workflow_scripts import command
from workflow_scripts.collections.collection import (
    PHANTOM,
    TABLE,
    Card,
    Indexed,
    Source,
    Unusable,
    WrongLayout,
    card,
    find,
    is_phantom,
)
from workflow_scripts.decisions import Decision, read_decisions
from workflow_scripts.provenance import ContentHashes, pixel_sha256
from workflow_scripts.tables import cases, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import as_table, write_table

BLOCK = 10_000  # cases that are Python objects at a time: in a table they take a tenth of the memory


def index_cases(
    root: Path, dataset: str, spec: Mapping[str, Any], cache: Path, reviewed: Sequence[Decision] = ()
) -> tuple[pa.Table, pa.Table]:
    """Return the tables `cases` and `quarantine` of one data set.

    Parameters
    ----------
    spec
        `kind`, `limit` (the first so many cases, or None), `groups` (a table of patients, or None), `exclude` (cases,
        patients and files that are not to be used) and `options` (those that only some kinds read).
    cache
        Folder for what is kept from run to run.
    reviewed
        What reviewers decided on cases of this data set.

    Raises
    ------
    Refusal
        When the folder or a table in it is not what the kind ships, or a review does not fit its case.
    """
    hashes = ContentHashes(root, cache / f"{dataset}.json")
    source = Source(root, cache, spec["limit"], read_groups(spec["groups"]), spec["options"])
    phantom = {"label_source": PHANTOM} if is_phantom(root) else {}
    found, lost = Growing(cases.SCHEMA), Growing(quarantine.SCHEMA)
    names = set[str]()
    again: dict[str, list[Indexed]] = defaultdict(list)  # cases whose name another had before
    left_out = {decision.case_id: decision for decision in reviewed if decision.decision == "exclude"}
    try:
        indexed = find(spec["kind"]).index(source, hashes)
        for case in tqdm(indexed, desc=f"index {dataset}", unit=" cases", mininterval=5):
            row = {"case_id": case.case_id, "dataset": dataset, "modality": card(spec["kind"]).modality}
            if case.case_id in names:
                again[case.case_id].append(case)
                continue
            status = "noticed" if case.case_id == TABLE else "partial" if case.row else "quarantined"
            if case.row and (why := excluded(case.case_id, case.row, spec["exclude"], source)):
                case = Indexed(case.case_id, None, [Unusable(case.row["sources"][0], why, "nothing: you asked for it")])
                status = "excluded"
            elif case.row and (decision := left_out.get(case.case_id)):
                check_picture(source, spec["kind"], row | case.row, decision)
                why = f"excluded by {decision.told()}"
                problem = Unusable(case.row["sources"][0], why, "nothing: a reviewer asked for it")
                case = Indexed(case.case_id, None, [problem])
                status = "excluded"
            for problem in case.problems:
                lost.add(problem_row("index_cases", row, status, problem))
            if case.case_id != TABLE:
                names.add(case.case_id)
            if case.row:
                found.add(row | case.row | phantom)
    except WrongLayout as error:
        raise command.Refusal(f"datasets.{dataset}: {error}") from None
    finally:
        hashes.save()
    if not names:
        raise command.Refusal(f"datasets.{dataset}: {root} holds no case; expected:\n{card(spec['kind']).layout}")
    if unknown := [decision for decision in reviewed if decision.case_id not in names and spec["limit"] is None]:
        lines = (f"review: line {one.line}: there is no case {one.case_id!r} in {dataset}" for one in unknown)
        raise command.Refusal("\ncasebook: ".join(lines))
    return without_ambiguous(dataset, found.table(), lost.table(), again)


class Growing:
    """A table to which one row after another is added."""

    def __init__(self, schema: pa.Schema) -> None:
        """Begin without a row."""
        self._schema, self._rows, self._blocks = schema, list[dict[str, Any]](), list[pa.Table]()

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""
        self._rows.append(row)
        if len(self._rows) == BLOCK:
            self._blocks.append(as_table(self._rows, self._schema))
            self._rows.clear()

    def table(self) -> pa.Table:
        """Return all rows."""
        return pa.concat_tables([*self._blocks, as_table(self._rows, self._schema)])


def without_ambiguous(
    dataset: str, found: pa.Table, lost: pa.Table, again: Mapping[str, list[Indexed]]
) -> tuple[pa.Table, pa.Table]:
    """Return `cases` without those of one name, and `quarantine` with a row for each of these names.

    Parameters
    ----------
    again
        What else was found under a name that was there before.
    """
    if not again:
        return found, lost
    ambiguous = pa.array(list(again), pa.string())
    rows, problems = (table.filter(pc.is_in(table["case_id"], ambiguous)).to_pylist() for table in (found, lost))
    first: dict[str, tuple[str, str]] = {}  # what it is called there, and its file
    for problem in reversed(problems):
        first[problem["case_id"]] = f"{problem['file']}: {problem['reason']}", problem["file"]
    for row in rows:
        first[row["case_id"]] = row["source_key"] or row["sources"][0], row["sources"][0]
    told = []
    for case_id, same in again.items():
        called = [
            str(case.row.get("source_key") or case.row["sources"][0] if case.row else case.problems[0]) for case in same
        ]
        reason = f"{len(same) + 1} cases would be called {case_id!r}: {'; '.join([first[case_id][0], *called])}"
        problem = Unusable(first[case_id][1], reason, "give each a name of its own")
        told.append(problem_row("index_cases", {"case_id": case_id, "dataset": dataset}, "quarantined", problem))
    kept = [table.filter(pc.invert(pc.is_in(table["case_id"], ambiguous))) for table in (found, lost)]
    return kept[0], pa.concat_tables([kept[1], as_table(told, quarantine.SCHEMA)])


def check_picture(source: Source, kind: str, row: Mapping[str, Any], decision: Decision) -> None:
    """Check that a case which a reviewer excluded is still the one that was looked at; one that is broken may go.

    Raises
    ------
    Refusal
        When the frame that was shown is not there any more, or has other pixels.
    """
    index = int(decision.frame_id.rpartition("/")[2])
    try:
        clip = find(kind).open_case(source, {**dict.fromkeys(cases.SCHEMA.names), **row})
        found = [pixel_sha256(still.image) for still in clip.read([index])] if index < clip.count() else []
    except Unusable:
        return
    if found != [decision.pixel_sha256]:
        raise command.Refusal(
            f"review: line {decision.line}: frame {decision.frame_id} of {decision.dataset} is not the picture that was"
            " reviewed: its pixels have changed; review it again"
        )


def excluded(case_id: str, row: Mapping[str, Any], exclude: Mapping[str, Any], source: Source) -> str | None:
    """Return why a case is not to be used, where its user says so: by its name, its patient, or one of its files."""
    patient = row["group_id"]
    if case_id in exclude["cases"]:
        return "excluded by its name"
    if any(patient in (name, source.pseudonym(name)) for name in exclude["patients"]):
        return "excluded: its patient is withdrawn"
    for file in exclude["files"]:
        if any(path == file or path.startswith(f"{file.rstrip('/')}/") for path in row["sources"]):
            return f"excluded by its file {file}"
    return None


def read_groups(path: str | None) -> dict[str, str]:
    """Read a user's own table of patients: a CSV with the columns case_id and group_id."""
    if path is None:
        return {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise command.Refusal(f"groups: {path} cannot be read ({error})") from None
    for line, row in enumerate(rows, 2):
        if not (row.get("case_id") and row.get("group_id")):
            raise command.Refusal(f"groups: {path}, line {line}: expected case_id,group_id, separated by a comma")
    return {row["case_id"]: row["group_id"] for row in rows}


def notice(about: Card) -> str:
    """Return what must be known by whoever finds the results."""
    acknowledge = f"\nAcknowledge: {about.acknowledgement}\n" if about.acknowledgement else ""
    return (
        f"Derived from: {about.title}\nRedistribution: {about.redistribution}\n\n{about.terms}\n\n"
        f"Cite: {about.citation}\n{acknowledge}"
    )


def main(argv: list[str] | None = None) -> None:
    """Index one data set."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument(
        "--spec", type=command.json_argument, required=True, help="kind, limit, groups, exclude, options as JSON"
    )
    arguments.add_argument("--cache", type=Path, required=True, help="folder for what is kept from run to run")
    arguments.add_argument("--review", type=command.existing, nargs="?", help="review.csv, if there is one")
    arguments.add_argument("--cases", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    arguments.add_argument(
        "--notice", type=Path, required=True, help="the data set's terms, to write beside its tables"
    )
    args = arguments.parse_args(argv)
    log = command.start("index_cases")
    args.cases.parent.mkdir(parents=True, exist_ok=True)
    root = Path(args.roots[args.dataset])
    about = card(args.spec["kind"], is_phantom(root))
    decisions = read_decisions(args.review) if args.review else []
    own = [decision for decision in decisions if decision.dataset == args.dataset]
    found, lost = index_cases(root, args.dataset, args.spec, args.cache, own)
    write_table(args.cases, found)
    write_table(args.quarantine, lost)
    args.notice.write_text(notice(about), encoding="utf-8")
    out = lost.filter(pc.field("status") == "quarantined")["case_id"]
    log.info("%d cases, %d in quarantine", found.num_rows, pc.count_distinct(out).as_py())


if __name__ == "__main__":
    main()
