"""Write the inputs that experts outlined as a raw data set of nnU-Net v2, with the run's folds as its splits.

nnU-Net's fold k validates on fold k of this run: what it predicts there is of groups that its model never saw. A name
leads back to its frame: `casebook__<data set>__<case, as in a URL>__<frame, from 0>__<hash of the grid>`. Under these
names `import_masks` reads what nnU-Net predicts, and brings it back to the frames' own pixels.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np

from workflow_scripts import command
from workflow_scripts.files import natural, write_folder_beside
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.tables import folds
from workflow_scripts.tables.table import planned, read_rows, stream_rows

RAW = "Dataset001_Casebook"
MANIFEST = "manifest.csv"
COLUMNS = ("name", "dataset", "case_id", "frame_id", "group_id", "fold")
NAME = re.compile(r"casebook__([a-z0-9][a-z0-9-]*)__(.+)__(\d+)__([0-9a-f]{8})")


class Named(NamedTuple):
    """What the name of an exported picture says."""

    dataset: str
    frame_id: str
    grid: str


def grid_of(affine: Sequence[float], shape: tuple[int, ...]) -> str:
    """Return a hash of an input's grid: its size, and by `affine` how it lies on its frame."""
    return sha256(canonical_json([list(shape), [f"{value:.6f}" for value in affine]]))[:8]


def name_of(dataset: str, frame_id: str, grid: str) -> str:
    """Return the name of an exported picture: what a file name cannot hold is written as in a URL."""
    case_id, _, frame = frame_id.rpartition("/")
    case_id = re.sub(r"[^\w.-]", lambda found: quote(found[0], safe=""), case_id)
    return f"casebook__{dataset}__{case_id}__{frame}__{grid}"


def parse_name(stem: str) -> Named | None:
    """Return what a name says, None if `name_of` did not make it."""
    found = NAME.fullmatch(stem)
    return Named(found[1], f"{unquote(found[2])}/{found[3]}", found[4]) if found else None


def outlined(datasets: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the inputs of one data set that have a mask."""
    for path in planned(datasets / name, "inputs"):
        for row in stream_rows(path, ["frame_id", "case_id", "image", "mask", "affine"]):
            if row["mask"] is not None:
                yield row


def export_nnunet(datasets: Path, held_out: list[dict[str, Any]], spec: dict[str, Any], raw: Path) -> list[dict]:
    """Write the pictures and their masks to the folder `raw`, and return the rows of the manifest.

    Parameters
    ----------
    datasets
        The folder <results>/datasets.
    held_out
        Rows of `folds`. An outlined frame of a case without a fold (its mask is empty, and those of its whole group)
        goes where Casebook predicts it: it validates fold 0, and no model is trained on it.
    spec
        `datasets`: the names of the data sets; `target`: what their masks outline.
    raw
        Folder that is not there yet.
    """
    dealt = {(row["dataset"], row["case_id"]): row for row in held_out}
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    manifest = []
    for dataset in sorted(spec["datasets"]):
        for row in outlined(datasets, dataset):
            mask = (decode_picture(row["mask"]["bytes"]) > 0).astype(np.uint8)
            name = name_of(dataset, row["frame_id"], grid_of(row["affine"], mask.shape))
            (raw / "imagesTr" / f"{name}_0000.png").write_bytes(row["image"]["bytes"])
            (raw / "labelsTr" / f"{name}.png").write_bytes(encode_png(mask))
            about = dealt.get((dataset, row["case_id"]), {"group_id": None, "fold": None})
            manifest.append({"name": name, "dataset": dataset} | {key: row[key] for key in ("case_id", "frame_id")})
            manifest[-1] |= {key: about[key] for key in ("group_id", "fold")}
    manifest.sort(key=lambda row: natural(row["name"]))
    describe = {
        "channel_names": {"0": "grey"},  # normalised picture by picture: no name that nnU-Net treats apart
        "labels": {"background": 0, spec["target"]: 1},
        "numTraining": len(manifest),
        "file_ending": ".png",
        "name": "Casebook",
        "licence": "see NOTICE.txt",
    }
    write_json(raw / "dataset.json", describe)
    write_json(raw / "splits_final.json", splits(manifest))
    with (raw / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(manifest)
    (raw / "NOTICE.txt").write_text(notice(datasets, sorted({row["dataset"] for row in manifest})), encoding="utf-8")
    return manifest


def splits(manifest: list[dict[str, Any]]) -> list[dict[str, list[str]]]:
    """Return the splits as nnU-Net reads them: of fold k, what is trained on and what is held out."""
    n_folds = 1 + max((row["fold"] for row in manifest if row["fold"] is not None), default=-1)
    return [
        {
            "train": [row["name"] for row in manifest if row["fold"] not in (fold, None)],
            "val": [row["name"] for row in manifest if (row["fold"] or 0) == fold],
        }
        for fold in range(n_folds)
    ]


def notice(datasets: Path, names: list[str]) -> str:
    """Return the terms of the data sets that the pictures are of."""
    terms = [f"{name}\n\n{(datasets / name / 'NOTICE.txt').read_text(encoding='utf-8')}" for name in names]
    says = (
        f"Pictures and masks of {', '.join(names)}; {MANIFEST} says which. What is trained on them carries their terms."
    )
    return "\n".join([f"{says} Of several terms the strictest hold.\n", *terms])


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Export the run's split."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--folds", type=command.existing, required=True, help="table of folds")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="datasets, target as JSON")
    arguments.add_argument("--out", type=Path, required=True, help=f"folder to write {RAW} to: nnUNet_raw")
    args = arguments.parse_args(argv)
    log = command.start("export_nnunet")
    raw = args.out / RAW
    if raw.exists() and not (raw / MANIFEST).is_file():
        raise command.Refusal(f"export_nnunet: {raw} is there and is no export; name another folder, or move it away")
    with write_folder_beside(raw) as beside:
        manifest = export_nnunet(args.datasets, read_rows(args.folds, folds.SCHEMA), args.spec, beside)
    log.info("%d pictures of %d cases", len(manifest), len({(row["dataset"], row["case_id"]) for row in manifest}))


if __name__ == "__main__":
    main()
