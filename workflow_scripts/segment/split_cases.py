"""Deal the cases with reference masks into folds: nobody's patient on both sides, each fold much like the others.

Groups of patients that share near-duplicate pictures are joined first, and say so. A split that is given, by a CSV or
by the publishers of every data set (their test cases are fold 0, all others fold 1), is taken as it is, unless it tears
a group apart.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.command import Refusal
from workflow_scripts.files import natural
from workflow_scripts.imaging.near_duplicates import difference_hash, join, near_duplicates, thumbnail
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.tables import cases, folds
from workflow_scripts.tables.table import planned, read_many, stream_rows, write_rows

GIVEN_COLUMNS = ["dataset", "case_id", "fold"]

Case = tuple[str, str]  # data set, case_id


@dataclass
class Pictures:
    """What is kept of the inputs of all data sets: enough to find near-duplicates, and no pixels."""

    names: list[str] = field(default_factory=list)  # "dataset/case frame 1"
    groups: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    thumbnails: list[np.ndarray] = field(default_factory=list)
    outlined: Counter[Case] = field(default_factory=Counter)  # frames whose mask is not empty


def look_at(datasets: Path, rows: Mapping[Case, Mapping[str, Any]]) -> Pictures:
    """Read the inputs of the data sets that `rows` (of the table `cases`) are of, one picture at a time."""
    pictures = Pictures()
    for dataset in dict.fromkeys(name for name, _ in rows):
        for path in planned(datasets / dataset, "inputs"):
            for row in stream_rows(path, columns=["frame_id", "case_id", "image", "mask"]):
                case = dataset, row["case_id"]
                picture = decode_picture(row["image"]["bytes"])
                frame = int(row["frame_id"].rpartition("/")[2]) + 1
                pictures.names.append(f"{dataset}/{row['case_id']} frame {frame}")
                pictures.groups.append(group_of(rows[case]))
                pictures.hashes.append(difference_hash(picture))
                pictures.thumbnails.append(thumbnail(picture))
                pictures.outlined[case] += bool(row["mask"] and decode_picture(row["mask"]["bytes"]).any())
    return pictures


def group_of(row: Mapping[str, Any]) -> str:
    """Return the name of a case's group among those of all data sets."""
    return f"{row['dataset']}/{row['group_id']}"


def join_duplicates(pictures: Pictures, groups: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Join the groups that share near-duplicate pictures.

    Returns
    -------
    tuple of dict
        The joined group of each group, and why each joined group was joined, in words.
    """
    pairs = near_duplicates(pictures.hashes, pictures.thumbnails, pictures.groups)
    links = [(pictures.groups[pair.first], pictures.groups[pair.second]) for pair in pairs]
    joined, deciding = join(groups, links)
    why = defaultdict(list)
    for place in deciding:
        pair = pairs[place]
        first, second = sorted((pictures.names[pair.first], pictures.names[pair.second]), key=natural)
        why[joined[links[place][0]]].append(f"{first} ~ {second} (correlation {pair.correlation:.2f})")
    return joined, {group: "; ".join(reasons) for group, reasons in why.items()}


def stratum(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the label that a group is dealt by: histology, else the radiologist's level, the gravest of its cases."""
    found = {
        row["pathology"]
        or (f"{row['tirads_system']} level {row['tirads_level']}" if row["tirads_level"] else "not known")
        for row in rows
    }
    if "malignant" in found:
        return "malignant"
    return max(found - {"not known"} or found)


def deal(frames: Mapping[str, int], strata: Mapping[str, str], n_folds: int, seed: int) -> dict[str, int]:
    """Deal groups into folds of the same make-up, as near as whole groups allow.

    The largest stratum goes first and its largest groups (to the power of two, so that the seed has a say among equals)
    before the others, each to the fold with the fewest frames of the stratum, then of all.

    Parameters
    ----------
    frames : mapping of str to int
        Number of frames of each group.
    strata : mapping of str to str
        The stratum of each group.
    n_folds, seed : int
        How many folds, at most as many as groups; another seed gives another split of the same quality.

    Returns
    -------
    dict
        The fold of each group, from 0; no fold is empty.
    """
    size: Counter[str] = Counter()
    for group, n in frames.items():
        size[strata[group]] += n
    order = sorted(
        frames,
        key=lambda group: (
            -size[strata[group]],
            strata[group],
            -frames[group].bit_length(),
            sha256(canonical_json([seed, group])),
        ),
    )
    of_stratum: Counter[tuple[str, int]] = Counter()
    of_all: Counter[int] = Counter()
    dealt = {}
    for group in order:
        fold = min(range(n_folds), key=lambda fold: (of_stratum[strata[group], fold], of_all[fold], fold))
        dealt[group] = fold
        of_stratum[strata[group], fold] += frames[group]
        of_all[fold] += frames[group]
    return dealt


def read_given(path: Path) -> dict[Case, int]:
    """Read a split from a CSV with the columns dataset, case_id, fold.

    Raises
    ------
    Refusal
        If the file is missing, lacks a column, has a fold that is no number, or deals a case twice.
    """
    given: dict[Case, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in GIVEN_COLUMNS if name not in (reader.fieldnames or [])]:
                raise Refusal(f"{path}: no column {', '.join(missing)}; write {','.join(GIVEN_COLUMNS)}")
            for row in reader:
                case, fold = (row["dataset"], row["case_id"]), row["fold"] or ""
                if not (fold.isascii() and fold.isdigit() and int(fold) < 100):
                    raise Refusal(f"{path}, line {reader.line_num}: fold is {fold!r}; write 0, 1, ... up to 99")
                if given.setdefault(case, int(fold)) != int(fold):
                    raise Refusal(f"{path}, line {reader.line_num}: {'/'.join(case)} is in two folds; leave one")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(f"{path}: the given split cannot be read ({error}); see split.given") from None
    return given


def check_given(given: Mapping[Case, int], groups: Mapping[Case, str], why: Mapping[str, str]) -> None:
    """Refuse a given split that leaves out a case, tears a joined group apart, or has a fold without any outline."""
    if lacking := [case for case in groups if case not in given]:
        raise Refusal(f"the given split names no fold for {_some(lacking)}; add them, the data set as named here")
    members = defaultdict(list)
    for case, group in groups.items():
        members[group].append(case)
    for group, inside in members.items():
        if len({given[case] for case in inside}) > 1:
            sides = ", ".join(f"{'/'.join(case)} in fold {given[case]}" for case in inside)
            because = f", joined because {why[group]}" if group in why else ""
            raise Refusal(
                f"the given split has group {group} on both sides ({sides}{because}); put all in one fold (split.given)"
            )
    used = {given[case] for case in groups}
    if empty := sorted(set(range(max(2, *used, len(used)))) - used):
        raise Refusal(
            f"fold {empty[0]} of the given split has no case with an outlined frame;"
            " number the folds from 0 without a gap, two at least"
        )


def split_cases(datasets: Path, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table `folds`.

    Parameters
    ----------
    datasets : Path
        The folder <results>/datasets.
    spec : mapping
        `datasets` (names), `folds` (how many, unless a split is given), `seed`, `given` (a CSV's path, or None),
        `cross_validate` (whether each fold is to be scored).

    Raises
    ------
    Refusal
        If nothing is outlined, if there are fewer groups than folds, or if a given split cannot be used.
    """
    rows = {
        (name, row["case_id"]): row
        for name in spec["datasets"]
        for row in read_many(planned(datasets / name, "chunks"), cases.SCHEMA)
    }
    pictures = look_at(datasets, rows)
    joined, why = join_duplicates(pictures, map(group_of, rows.values()))
    dealt = sorted((case for case in rows if pictures.outlined[case]), key=lambda case: tuple(map(natural, case)))
    if not dealt:
        raise Refusal(
            f"no case of {', '.join(spec['datasets'])} has an outlined frame: nothing to learn from;"
            " add a data set with masks, or give a model or masks of your own"
        )
    groups = {case: joined[group_of(rows[case])] for case in dealt}
    published = {case: rows[case]["split_given"] or "" for case in dealt}
    sides = {case: int(text.strip().lower() != "test") for case, text in published.items()}  # the test cases are fold 0
    if spec["given"]:
        fold = read_given(Path(spec["given"]))
        check_given(fold, groups, why)
    elif all(published.values()) and len(set(sides.values())) == 2:  # a trial on a few cases may lack one side
        fold = sides
        check_given(fold, groups, why)
    else:
        fold = _deal_cases(groups, rows, pictures.outlined, spec)
    n_folds = len(set(fold.values()))
    if spec["cross_validate"] and n_folds != spec["folds"]:
        raise Refusal(f"the split has {n_folds} folds, split.folds says {spec['folds']}; write split.folds: {n_folds}")
    # Who was not outlined goes with the rest of the group: its model has not seen the patient either.
    of_group = {groups[case]: fold[case] for case in dealt}
    everyone = {case: joined[group_of(row)] for case, row in rows.items()}
    return [
        {
            "dataset": case[0],
            "case_id": case[1],
            "group_id": group,
            "fold": of_group[group],
            "joined_because": why.get(group),
        }
        for case, group in sorted(everyone.items(), key=lambda item: tuple(map(natural, item[0])))
        if group in of_group
    ]


def _deal_cases(
    groups: Mapping[Case, str], rows: Mapping[Case, Mapping[str, Any]], outlined: Mapping[Case, int], spec: Mapping
) -> dict[Case, int]:
    members = defaultdict(list)
    frames: Counter[str] = Counter()
    for case, group in groups.items():
        members[group].append(rows[case])
        frames[group] += outlined[case]
    if len(frames) < spec["folds"]:
        raise Refusal(
            f"{spec['folds']} folds asked for, {len(frames)} groups of patients with outlines found; lower split.folds"
        )
    strata = {group: stratum(inside) for group, inside in members.items()}
    dealt = deal(frames, strata, spec["folds"], spec["seed"])
    return {case: dealt[group] for case, group in groups.items()}


def _some(found: list[Case]) -> str:
    """Return the first few cases, and how many more there are."""
    names = ", ".join("/".join(case) for case in found[:5])
    return names + (f" and {len(found) - 5} more" if len(found) > 5 else "")


def main(argv: list[str] | None = None) -> None:
    """Split the cases of all data sets."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder <results>/datasets")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="datasets, folds, seed, given")
    arguments.add_argument("--folds", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("split_cases")
    rows = split_cases(args.datasets, args.spec)
    write_rows(args.folds, rows, folds.SCHEMA)
    for number, n in sorted(Counter(row["fold"] for row in rows).items()):
        log.info("fold %d: %d cases", number, n)
    for reason in dict.fromkeys(row["joined_because"] for row in rows if row["joined_because"]):
        log.info("joined: %s", reason)


if __name__ == "__main__":
    main()
