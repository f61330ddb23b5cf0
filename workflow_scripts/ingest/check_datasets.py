"""Look at the data sets before a long run: what was found, what is wrong, how much space the results will take."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.collections.collection import Source, Unusable, card_of, find
from workflow_scripts.files import natural
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.imaging.values import encode_values
from workflow_scripts.tables import cases, quarantine
from workflow_scripts.tables.quarantine import quarantined
from workflow_scripts.tables.table import planned, read_many, read_rows

# What is counted of the labels, where a data set has them.
LABELS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "TI-RADS": lambda case: case["tirads_level"] and f"{case['tirads_level']} ({case['tirads_system']})",
    "histology": lambda case: case["pathology"] or case["histologic_subtype"],
    "body part": lambda case: case["body_part"],
    "view": lambda case: case["view"],
    "abnormal": lambda case: None if case["abnormal"] is None else "yes" if case["abnormal"] else "no",
    "split": lambda case: case["split_given"],
}
SAMPLE = 3  # cases from which the size of a frame is taken


def frame_bytes(source: Source, kind: str, rows: list[dict[str, Any]]) -> float | None:
    """Return the mean size of a frame in `frames` over the first frames of a few cases; None where none decodes."""
    sizes = []
    for case in rows[:SAMPLE]:
        try:
            still = next(iter(find(kind).open_case(source, case).read([0])), None)
        except Unusable:
            continue
        if still is not None:
            mask = 0 if still.mask is None else len(encode_png(still.mask))
            values = still.image.dtype != np.uint8
            picture = encode_values(still.image)[0] if values else encode_png(still.image)
            sizes.append(mask + (0 if still.path else len(picture)))
    return sum(sizes) / len(sizes) if sizes else None


def frames_taken(rule: str | dict[str, int], case: dict[str, Any]) -> int:
    """Return how many frames will be taken of a case, as far as its sources say."""
    claimed = case["n_frames"] or 1  # of `outlined` nobody knows before the masks are read: at most all
    return claimed if rule in ("all", "outlined") else min(claimed, rule["evenly"]) if isinstance(rule, dict) else 1


def describe(
    name: str, rows: list[dict[str, Any]], lost: list[dict[str, Any]], source: Source, options: dict[str, Any]
) -> str:
    """Return what there is to say of one data set."""
    about = card_of(options["kind"], rows)
    published = f" (the published set has {about.counts['cases']})" if about.counts else ""
    out = quarantined(lost)
    found = len({case["case_id"] for case in rows} | {case_id for _, case_id in out})
    groups, stand_ins = {case["group_id"] for case in rows}, sorted({case["group_kind"] for case in rows})
    taken = sum(frames_taken(options["frames"], case) for case in rows)
    lines = [
        f"{name} ({about.title})",
        f"  cases       {found} found, {len(rows)} indexed, {len(out)} in quarantine{published}",
        f"  groups      {len(groups)} (by {'; by '.join(stand_ins)})",
        f"  labels from {_counts(case['label_source'] for case in rows)}",
        *(f"  {name:<11} {_counts(map(said, rows))}" for name, said in LABELS.items() if any(map(said, rows))),
        f"  frames      {taken}",
    ]
    if (size := frame_bytes(source, options["kind"], rows)) is not None:
        # A model input is noise to PNG: about one byte in two pixels stays, mask and field cost little.
        needed = taken * (size + 0.6 * options["size"][0] * options["size"][1])
        free = shutil.disk_usage(Path.cwd()).free
        lines.append(f"  space       about {_bytes(needed)} will be written; {_bytes(free)} are free")
    for row in lost:
        lines.append(f"  {row['status']:<11} {row['case_id']}: {row['file']}: {row['reason']}; mend: {row['mend']}")
    return "\n".join(lines)


def _counts(values: Any) -> str:
    counts = Counter(value or "not known" for value in values)
    return ", ".join(f"{value} {n}" for value, n in sorted(counts.items())) or "none"


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def read_quarantine(folder: Path, usable: set[str]) -> list[dict[str, Any]]:
    """Return what every stage has found wrong so far with the cases that the plan names, and the index with all."""
    rows = read_rows(folder / "quarantine" / "index_cases.parquet", quarantine.SCHEMA)
    graded = folder / "quarantine" / "grade_nodules.parquet"
    by_chunk = [
        path for stage in ("extract_frames", "preprocess_frames") for path in planned(folder, f"quarantine/{stage}")
    ]
    later = read_many((path for path in (graded, *by_chunk) if path.is_file()), quarantine.SCHEMA)
    return rows + [row for row in later if row["case_id"] in usable]


def main(argv: list[str] | None = None) -> None:
    """Check every data set; end with 1 while a case is in quarantine that nobody has accepted."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="options of each data set as JSON")
    args = arguments.parse_args(argv)
    command.start("check_datasets")
    waiting = []
    for name, options in args.spec.items():
        rows = read_rows(args.datasets / name / "cases.parquet", cases.SCHEMA)
        lost = read_quarantine(args.datasets / name, {row["case_id"] for row in rows})
        source = Source(Path(args.roots[name]), args.datasets.parent / "cache", options=options["options"])
        print(describe(name, rows, lost, source, options), "\n")
        ids = sorted({case_id for _, case_id in quarantined(lost)} - set(options["accept"]), key=natural)
        waiting += [f"{name}: accept: {ids}"] if ids else []
    if waiting:
        raise command.Refusal(
            "there is a quarantine. Mend it, or accept it in the configuration: " + "; ".join(waiting)
        )
    print("Nothing is in quarantine that was not accepted.")


if __name__ == "__main__":
    main()
