"""Flags: every fault on masks made for it, the words of a case, and the command on tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.score_tables import NEARBY, NODULE, NOTHING, SHAPE, House, ellipse, png
from workflow_scripts.metrics import flag_cases, gather_flags
from workflow_scripts.metrics.flag_cases import Fault, find_fault, put_in_words
from workflow_scripts.provenance import canonical_json
from workflow_scripts.tables import flags, frames
from workflow_scripts.tables.table import read_rows, write_rows

SPECK = np.zeros(SHAPE, np.uint8)
SPECK[2:4, 2:4] = 1


@pytest.mark.parametrize(
    ("prediction", "reference", "kind", "detail"),
    [
        (NOTHING, NODULE, "missed", "nothing was found"),
        (NODULE, NOTHING, "found where nothing is", "the expert outlined no nodule"),
        (ellipse(25, 20, 10, 10), NODULE, "found elsewhere", "no overlap"),
        (
            NODULE | ellipse(20, 20, 10, 10) * 2 | ellipse(80, 100, 10, 10) * 3,
            NODULE,
            "doubled",
            "3 parts where the expert outlined 1",
        ),
        (NODULE, NODULE | ellipse(20, 20, 10, 10) * 2, "parts missing", "1 found where the expert outlined 2"),
        (ellipse(50, 60, 30, 30), NODULE, "too large", "2.2 times the outlined area"),
        (ellipse(50, 60, 14, 14), NODULE, "too small", "0.48 times the outlined area"),
        (ellipse(50, 60, 14, 14) | SPECK, NODULE, "too small", "0.49 times the outlined area"),  # no part of its own
        (np.roll(NODULE, 12, axis=1), NODULE, "shifted", "centres 12 pixels apart"),
        (ellipse(50, 60, 27, 15), NODULE, "inexact outline", "Dice 0.82"),
    ],
)
def test_faults(prediction: np.ndarray, reference: np.ndarray, kind: str, detail: str) -> None:
    fault = find_fault(prediction, reference)
    assert (fault.kind, fault.detail) == (kind, detail)
    assert fault.kind in flag_cases.FAULTS


def test_the_words_of_a_case() -> None:
    missed, large = Fault("missed", "nothing was found", measured=False), Fault("too large", "2.3 times the area")
    assert put_in_words([large], 1) == "too large: 2.3 times the area"
    assert put_in_words([missed] * 2, 3) == "missed: nothing was found in 2 of 3 frames"
    assert put_in_words([missed, large, large._replace(detail="1.6 times the area")], 5) == (
        "too large: 2.3 times the area in the worst of 2 such frames (of 5); missed: nothing was found in 1 of 5 frames"
    )
    # Of equally common ones the graver comes first, and a third is left out.
    assert put_in_words([Fault("shifted", "24 pixels"), large, missed], 3) == (
        "missed: nothing was found in 1 of 3 frames; too large: 2.3 times the area in 1 of 3 frames"
    )


def test_what_is_around_the_nodule_is_named() -> None:
    cut = find_fault(ellipse(50, 60, 27, 15), NODULE, edge=True)
    assert (cut.kind, cut.detail) == ("touches the edge of the field", "Dice 0.82")
    assert cut.kind in flag_cases.FAULTS
    doubled = find_fault(NODULE | ellipse(20, 20, 10, 10), NODULE, views=2)
    assert doubled.detail == "2 parts where the expert outlined 1 (two views side by side)"


def test_the_edge_is_that_of_the_field(tmp_path: Path) -> None:
    house = House(tmp_path)
    field = np.full(SHAPE, 255, np.uint8)
    field[:30] = 0  # far inside the picture
    house.score({"1": [(np.roll(NODULE, 6, axis=1), NODULE)]}, field=field)
    assert run(house)[0]["reason"].startswith("touches the edge of the field: Dice 0.81")


def run(house: House) -> list[dict[str, Any]]:
    """Flag every chunk, and gather the flags."""
    chunks = []
    for path in sorted(house.folder.glob("*/scores/*/*/*.parquet")):
        folder, (model, fold, chunk) = path.parents[3], path.parts[-3:]
        chunks.append(str(folder / "flags" / model / fold / chunk))
        arguments = ["--scores", str(path), "--masks", str(folder / "masks" / model / fold / chunk)]
        arguments += ["--frames", str(folder / "frames" / chunk), "--spec", canonical_json(house.spec)]
        flag_cases.main([*arguments, "--flags", chunks[-1]])
    gather_flags.main(["--chunks", *chunks, "--flags", str(house.folder / "flags.parquet")])
    return read_rows(house.folder / "flags.parquet", flags.SCHEMA)


def test_cases_under_a_gate_are_flagged_the_worst_first(tmp_path: Path) -> None:
    house = House(tmp_path)
    # Dice 0.84 but IoU 0.72: above both gates. The mean of case 3 is pulled under by two missed frames of three.
    pairs = {"1": [(NODULE, NODULE)], "2": [(NEARBY, NODULE)], "4": [(np.roll(NODULE, 12, 1), NODULE)]}
    house.score(pairs, chunk="000")
    house.score({"3": [(NOTHING, NODULE), (NODULE, NODULE), (NOTHING, NODULE)]}, chunk="001")
    rows = run(house)
    assert [row["case_id"] for row in rows] == ["3", "4"]
    first, second = rows
    assert (first["n_frames"], first["worst_frame_id"], first["group_id"]) == (3, "3/0", "d/patient-3")
    assert first["dice"] == pytest.approx(1 / 3)
    assert first["reason"] == (
        "missed: nothing was found in 2 of 3 frames (mean Dice 0.333, gate 0.80; mean IoU 0.333, gate 0.70)"
    )
    assert second["reason"].startswith("shifted: centres 12 pixels apart (mean Dice 0.6")
    again = (tmp_path / "flags.parquet").read_bytes()
    run(house)
    assert (tmp_path / "flags.parquet").read_bytes() == again


def test_iou_alone_can_flag_a_case(tmp_path: Path) -> None:
    house = House(tmp_path)
    (row,) = house.score({"1": [(np.roll(NODULE, 6, axis=1), NODULE)]})
    assert row["dice"] > 0.8
    assert row["iou"] < 0.7
    assert "inexact outline: Dice 0.81" in run(house)[0]["reason"]


def test_frames_with_nothing_in_both_masks_flag_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.score({"1": [(NOTHING, NOTHING)], "2": [(NODULE, NODULE), (NOTHING, NOTHING)]})
    assert run(house) == []


def test_a_frame_that_only_a_reviewer_outlined_has_no_mask_of_its_own(tmp_path: Path) -> None:
    rows = [
        dict.fromkeys(frames.SCHEMA.names) | {"frame_id": "1/0", "mask": png(NODULE)},
        dict.fromkeys(frames.SCHEMA.names) | {"frame_id": "2/0", "mask": None},
    ]
    write_rows(tmp_path / "frames.parquet", rows, frames.SCHEMA)
    assert flag_cases.read_masks(tmp_path / "frames.parquet", {"1/0", "2/0"}).keys() == {"1/0"}


def test_each_fold_reads_its_own_masks(tmp_path: Path) -> None:
    house = House(tmp_path)
    everything = {"1": [(None, NODULE)], "2": [(None, NODULE)]}
    for fold, case_id, mask in (("0", "1", NOTHING), ("1", "2", ellipse(50, 60, 30, 30))):
        house.score({**everything, case_id: [(mask, NODULE)]}, fold=fold)
    assert [row["reason"].split(":")[0] for row in run(house)] == ["missed", "too large"]
