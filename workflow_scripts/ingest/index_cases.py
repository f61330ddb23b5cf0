"""List every case of a data set with its labels and where its pixels lie; no pixel is decoded."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from workflow_scripts.tables.quarantine import problem_row, quarantined
from workflow_scripts.tables.table import write_rows


def index_cases(
    root: Path, dataset: str, spec: Mapping[str, Any], cache: Path, reviewed: Sequence[Decision] = ()
) -> tuple[list, list]:
    """Return the rows of the tables `cases` and `quarantine` of one data set.

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
    found: list[dict[str, Any]] = []
    lost: list[dict[str, Any]] = []
    by_name: dict[str, list[Indexed]] = defaultdict(list)
    left_out = {decision.case_id: decision for decision in reviewed if decision.decision == "exclude"}
    try:
        indexed = find(spec["kind"]).index(source, hashes)
        for case in tqdm(indexed, desc=f"index {dataset}", unit=" cases", mininterval=5):
            by_name[case.case_id].append(case)
        for case_id, same in by_name.items():
            if case_id == TABLE:
                case = Indexed(TABLE, None, [problem for one in same for problem in one.problems])
            else:
                case = same[0] if len(same) == 1 else _ambiguous(same)
            row = {"case_id": case_id, "dataset": dataset, "modality": card(spec["kind"]).modality}
            status = "noticed" if case_id == TABLE else "partial" if case.row else "quarantined"
            if case.row and (why := excluded(case_id, case.row, spec["exclude"], source)):
                case = Indexed(case_id, None, [Unusable(case.row["sources"][0], why, "nothing: you asked for it")])
                status = "excluded"
            elif case.row and (decision := left_out.get(case_id)):
                check_picture(source, spec["kind"], row | case.row, decision)
                why = f"excluded by {decision.told()}"
                case = Indexed(
                    case_id, None, [Unusable(case.row["sources"][0], why, "nothing: a reviewer asked for it")]
                )
                status = "excluded"
            lost += [problem_row("index_cases", row, status, problem) for problem in case.problems]
            if case.row:
                found.append(row | case.row | phantom)
    except WrongLayout as error:
        raise command.Refusal(f"datasets.{dataset}: {error}") from None
    finally:
        hashes.save()
    if not by_name.keys() - {TABLE}:
        raise command.Refusal(f"datasets.{dataset}: {root} holds no case; expected:\n{card(spec['kind']).layout}")
    if unknown := [decision for decision in reviewed if decision.case_id not in by_name and spec["limit"] is None]:
        lines = (f"review: line {one.line}: there is no case {one.case_id!r} in {dataset}" for one in unknown)
        raise command.Refusal("\ncasebook: ".join(lines))
    return found, lost


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


def _ambiguous(same: list[Indexed]) -> Indexed:
    """Return one case without a row for several that would have its name."""
    names = [
        str(case.row.get("source_key") or case.row["sources"][0]) if case.row else str(case.problems[0])
        for case in same
    ]
    reason = f"{len(same)} cases would be called {same[0].case_id!r}: {'; '.join(names)}"
    file = same[0].row["sources"][0] if same[0].row else same[0].problems[0].file
    return Indexed(same[0].case_id, None, [Unusable(file, reason, "give each a name of its own")])


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
    write_rows(args.cases, found, cases.SCHEMA)
    write_rows(args.quarantine, lost, quarantine.SCHEMA)
    args.notice.write_text(notice(about), encoding="utf-8")
    log.info("%d cases, %d in quarantine", len(found), len(quarantined(lost)))


if __name__ == "__main__":
    main()
