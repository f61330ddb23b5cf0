"""Look at the data sets before a long run: what was found, what is wrong, how much space the results will take."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts import command
from workflow_scripts.collections.collection import Source, Unusable, card_of, find
from workflow_scripts.files import in_bytes, natural
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.imaging.values import encode_values
from workflow_scripts.tables import cases, quarantine
from workflow_scripts.tables.quarantine import quarantined
from workflow_scripts.tables.table import planned, read_many, read_rows, read_table

# What is counted of the labels, where a data set has them.
LABELS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "TI-RADS": lambda case: case["tirads_level"] and f"{case['tirads_level']} ({case['tirads_system']})",
    "histology": lambda case: case["pathology"] or case["histologic_subtype"],
    "body part": lambda case: case["body_part"],
    "view": lambda case: case["view"],
    "abnormal": lambda case: None if case["abnormal"] is None else "yes" if case["abnormal"] else "no",
    "split": lambda case: case["split_given"],
}
COUNTED = (  # columns; of a million cases some hundred combinations are left
    *("tirads_level", "tirads_system", "pathology", "histologic_subtype", "body_part", "view", "abnormal"),
    *("split_given", "label_source", "group_kind", "n_frames"),
)
LISTED = 200  # problems; all are in the tables of quarantine
SAMPLE = 3  # cases from which the size of a frame is taken


def frame_bytes(source: Source, kind: str, rows: pa.Table) -> float | None:
    """Return the mean size of a frame in `frames` over the first frames of a few cases; None where none decodes."""
    sizes = []
    for case in rows.slice(0, SAMPLE).to_pylist():
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


def describe(name: str, rows: pa.Table, lost: list[dict[str, Any]], source: Source, options: dict[str, Any]) -> str:
    """Return what there is to say of one data set."""
    counted = rows.group_by(COUNTED).aggregate([([], "count_all")]).to_pylist()
    about = card_of(options["kind"], counted)
    published = f" (the published set has {about.counts['cases']})" if about.counts else ""
    out = quarantined(lost)
    lost_ids = pa.array([case_id for _, case_id in out], pa.string())
    found = len(out) + len(rows["case_id"].filter(pc.invert(pc.is_in(rows["case_id"], lost_ids))))
    stand_ins = sorted({case["group_kind"] for case in counted})
    taken = sum(frames_taken(options["frames"], case) * case["count_all"] for case in counted)
    lines = [
        f"{name} ({about.title})",
        f"  cases       {found} found, {rows.num_rows} indexed, {len(out)} in quarantine{published}",
        f"  groups      {pc.count_distinct(rows['group_id'])} (by {'; by '.join(stand_ins)})",
        f"  labels from {_counts(counted, lambda case: case['label_source'])}",
        *(f"  {name:<11} {_counts(counted, said)}" for name, said in LABELS.items() if any(map(said, counted))),
        f"  frames      {taken}",
    ]
    if (size := frame_bytes(source, options["kind"], rows)) is not None:
        # A model input is noise to PNG: about one byte in two pixels stays, mask and field cost little.
        needed = taken * (size + 0.6 * options["size"][0] * options["size"][1])
        free = shutil.disk_usage(Path.cwd()).free
        lines.append(f"  space       about {in_bytes(needed)} will be written; {in_bytes(free)} are free")
    for row in lost[:LISTED]:
        lines.append(f"  {row['status']:<11} {row['case_id']}: {row['file']}: {row['reason']}; mend: {row['mend']}")
    if len(lost) > LISTED:
        lines.append(f"  and {len(lost) - LISTED} more, all in quarantine/")
    return "\n".join(lines)


def _counts(counted: list[dict[str, Any]], said: Callable[[dict[str, Any]], str | None]) -> str:
    counts = Counter[str]()
    for case in counted:
        counts[said(case) or "not known"] += case["count_all"]
    return ", ".join(f"{value} {n}" for value, n in sorted(counts.items())) or "none"


def read_quarantine(folder: Path, usable: pa.ChunkedArray) -> list[dict[str, Any]]:
    """Return what every stage has found wrong so far with the cases that the plan names, and the index with all."""
    rows = read_rows(folder / "quarantine" / "index_cases.parquet", quarantine.SCHEMA)
    graded = folder / "quarantine" / "grade_nodules.parquet"
    by_chunk = [
        path for stage in ("extract_frames", "preprocess_frames") for path in planned(folder, f"quarantine/{stage}")
    ]
    later = read_many((path for path in (graded, *by_chunk) if path.is_file()), quarantine.SCHEMA)
    known = set(usable.filter(pc.is_in(usable, pa.array([row["case_id"] for row in later], pa.string()))).to_pylist())
    return rows + [row for row in later if row["case_id"] in known]


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
        rows = read_table(args.datasets / name / "cases.parquet", cases.SCHEMA)
        lost = read_quarantine(args.datasets / name, rows["case_id"])
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
