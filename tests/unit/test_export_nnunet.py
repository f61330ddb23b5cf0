"""A split as nnU-Net reads it: the same pixels and folds, names that lead back, terms beside them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_scripts.command import Refusal
from workflow_scripts.imaging.stills import encode_png, read_still
from workflow_scripts.segment.export_nnunet import RAW, grid_of, main, name_of, parse_name
from workflow_scripts.tables import cases, folds, inputs
from workflow_scripts.tables.table import write_rows

SHAPE = (64, 96)
AFFINE = [2.0, 0.0, 7.5, 0.0, 2.0, 3.5]
DEALT = {"1": 0, "2": 1, "10": 2, "左 叶/3": 1}  # the case -> its fold


def png(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": None}


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, SHAPE, dtype=np.uint8)


def two_nodules() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[10:20, 10:20], mask[40:50, 40:60] = 2, 1
    return mask


def write_run(results: Path) -> Path:
    """Write a run: a frame of each case, two of case 1 (one without outline); 9 is of no fold, its mask is empty."""
    rows: list[dict[str, Any]] = []
    for case_id in [*DEALT, "9"]:
        for frame in range(2 if case_id == "1" else 1):
            mask = two_nodules() if case_id != "9" else np.zeros(SHAPE, np.uint8)
            row = {"frame_id": f"{case_id}/{frame}", "case_id": case_id, "image": png(picture(len(rows)))}
            rows.append(row | {"mask": None if frame else png(mask), "affine": AFFINE})
    own = results / "datasets" / "clinic-a"
    write_rows(own / "inputs" / "000.parquet", rows, inputs.SCHEMA)
    write_rows(own / "chunks" / "000.parquet", [{"case_id": name} for name in [*DEALT, "9"]], cases.SCHEMA)
    (own / "NOTICE.txt").write_text("Redistribution: forbidden\n", encoding="utf-8")
    dealt = [{"dataset": "clinic-a", "case_id": name, "group_id": f"clinic-a/{name}"} for name in DEALT]
    write_rows(
        results / "model" / "folds.parquet",
        [row | {"fold": DEALT[row["case_id"]], "joined_because": None} for row in dealt],
        folds.SCHEMA,
    )
    return results


def export(results: Path, out: Path) -> Path:
    """Export, and return the raw folder."""
    named = ["--datasets", str(results / "datasets"), "--folds", str(results / "model" / "folds.parquet")]
    main([*named, "--spec", json.dumps({"datasets": ["clinic-a"], "target": "nodule"}), "--out", str(out)])
    return out / RAW


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return export(write_run(tmp_path / "results"), tmp_path / "out")


def manifest(raw: Path) -> list[dict[str, str]]:
    with (raw / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_outlined_frames_lie_as_nnunet_wants_them_with_the_very_pixels_of_the_inputs(raw: Path) -> None:
    names = [row["name"] for row in manifest(raw)]
    assert sorted(path.name for path in (raw / "imagesTr").iterdir()) == sorted(f"{name}_0000.png" for name in names)
    assert sorted(path.name for path in (raw / "labelsTr").iterdir()) == sorted(f"{name}.png" for name in names)
    first = name_of("clinic-a", "1/0", grid_of(AFFINE, SHAPE))
    assert np.array_equal(read_still(raw / "imagesTr" / f"{first}_0000.png"), picture(0))
    # Nodules are not told apart: to nnU-Net another label would be another class.
    assert np.array_equal(read_still(raw / "labelsTr" / f"{first}.png"), two_nodules() > 0)
    about = json.loads((raw / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "nodule": 1}
    assert (about["file_ending"], about["numTraining"]) == (".png", len(names))


def test_folds_are_those_of_the_run(raw: Path) -> None:
    case_of = {row["name"]: row["case_id"] for row in manifest(raw)}
    splits = json.loads((raw / "splits_final.json").read_text())
    assert len(splits) == 3
    for fold, split in enumerate(splits):
        held_out = {name for name, own in DEALT.items() if own == fold}
        # Casebook predicts who has no fold with the model of fold 0, and trains on him nowhere.
        assert {case_of[name] for name in split["val"]} == held_out | ({"9"} if fold == 0 else set())
        assert {case_of[name] for name in split["train"]} == set(DEALT) - held_out


@pytest.mark.parametrize(
    "frame_id",
    ["12/0", "a__1/3", "左 叶/3/12", "../x/1", "50%/0", "a_/0", "_/7", 'q"|*:/2', "x.nii/0", "1__0__abcdef01/5"],
)
def test_a_name_is_a_file_and_leads_back_to_its_frame(frame_id: str, tmp_path: Path) -> None:
    name = name_of("clinic-a", frame_id, "0123abcd")
    (tmp_path / name).touch()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert parse_name(name) == ("clinic-a", frame_id, "0123abcd")


@pytest.mark.parametrize("stem", ["12_1", "clinic__12__0__0123abcd", "casebook__clinic__12__0", "casebook"])
def test_other_names_are_nobodys_export(stem: str) -> None:
    assert parse_name(stem) is None


def test_the_terms_go_with_the_pictures(raw: Path) -> None:
    notice = (raw / "NOTICE.txt").read_text()
    assert "clinic-a" in notice
    assert "Redistribution: forbidden" in notice


def test_a_second_export_is_the_same_and_a_folder_of_somebody_else_is_left_alone(raw: Path, tmp_path: Path) -> None:
    before = {path.relative_to(raw): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    (raw / "imagesTr" / "old_0000.png").touch()
    export(tmp_path / "results", tmp_path / "out")
    assert {path.relative_to(raw): path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before
    (tmp_path / "mine" / RAW).mkdir(parents=True)
    with pytest.raises(Refusal, match="is no export; name another folder"):
        export(tmp_path / "results", tmp_path / "mine")


def test_another_size_or_another_way_back_is_another_grid() -> None:
    grids = {grid_of(AFFINE, SHAPE), grid_of(AFFINE, (64, 97)), grid_of([2.001, *AFFINE[1:]], SHAPE)}
    assert len(grids) == 3
    assert grid_of([value + 1e-12 for value in AFFINE], SHAPE) in grids
