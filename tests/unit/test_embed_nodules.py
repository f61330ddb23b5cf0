"""What an encoder makes of a nodule, and a control in which nothing of the nodule is left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.grader_tables import KWAK, spec
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.segment.embed_nodules import (
    Embedder,
    embed_nodules,
    largest_nodule,
    lay_mosaic,
    main,
    to_input,
)
from workflow_scripts.segment.network import be_deterministic, build_network, save_network
from workflow_scripts.tables import cases, embeddings, folds, inputs, masks, nodules
from workflow_scripts.tables.table import read_rows, write_rows
from workflow_scripts.tirads import grader_figures, grader_model
from workflow_scripts.tirads.train_grader import train_grader

SHAPE = (64, 96)
ENCODER = "tu-lcnet_050"


def scan(seed: int, fine: bool, radius: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return speckle with a nodule, fine or coarse grained, and its label mask."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(60, 180, SHAPE, dtype=np.uint8)
    mask = cv2.circle(np.zeros(SHAPE, np.uint8), (40 + seed % 9, 30 + seed % 5), radius + seed % 4, 1, -1)
    grain = rng.integers(40, 220, SHAPE, dtype=np.uint8)
    inside = grain if fine else cv2.blur(grain, (5, 5))
    return np.where(mask > 0, inside, picture), mask


def png(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": None}


def input_row(case: str, picture: np.ndarray, mask: np.ndarray | None, frame: int = 0) -> dict[str, Any]:
    """Return a row of inputs that are half as large as their frames."""
    return {
        "frame_id": f"{case}/{frame}",
        "case_id": case,
        "image": png(picture),
        "mask": None if mask is None else png(mask),
        "affine": [2.0, 0.0, 0.5, 0.0, 2.0, 0.5],
        "field": png(np.full((2 * SHAPE[0], 2 * SHAPE[1]), 255, np.uint8)),
        "mask_kept": None if mask is None else 1.0,
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "fold-0.safetensors"
    be_deterministic(0, 1)
    save_network(path, build_network("Unet", ENCODER, None), f"Unet/{ENCODER}")
    return path


@pytest.fixture(scope="module")
def embedder(weights: Path) -> Embedder:
    return Embedder(weights, None, 1)


def embed(
    folder: Path, embedder: Embedder, rows: list[dict], predicted: Sequence[dict] = (), tested: set[str] | None = None
) -> list:
    write_rows(folder / "inputs.parquet", rows, inputs.SCHEMA)
    write_rows(folder / "masks.parquet", list(predicted), masks.SCHEMA)
    return list(embed_nodules(folder / "inputs.parquet", folder / "masks.parquet", tested, embedder, "m", "0"))


def test_nothing_of_the_nodule_is_in_its_control() -> None:
    picture, mask = scan(1, fine=True)
    picture[mask > 0] = 255
    mosaic = lay_mosaic(picture, mask)
    assert mosaic is not None
    assert mosaic.shape == picture.shape
    assert mosaic.max() < 180
    other = np.where(mask > 0, 7, picture).astype(np.uint8)
    again = lay_mosaic(other, mask)
    assert again is not None
    assert np.array_equal(again, mosaic)


def test_the_control_does_not_tell_the_size_of_the_nodule() -> None:
    """Everywhere one grey: a patch would show how large the nodule is, a mosaic is the same for any."""
    grey = np.full(SHAPE, 90, np.uint8)
    mosaics = [lay_mosaic(grey, scan(0, fine=True, radius=radius)[1]) for radius in (4, 16)]
    assert all(mosaic is not None and (mosaic == 90).all() for mosaic in mosaics)
    assert lay_mosaic(grey, np.ones(SHAPE, np.uint8)) is None


def test_features_are_of_the_nodule_and_the_control_is_not(tmp_path: Path, embedder: Embedder) -> None:
    (one, mask), (other, _) = scan(3, fine=True), scan(3, fine=False)
    first, second = embed(tmp_path, embedder, [input_row("a", one, mask), input_row("b", other, mask)])
    assert not np.allclose(first["features"], second["features"], rtol=1e-2)
    assert first["control"] == second["control"]
    assert first["view"] == [2.0, 2.0, 192, 128]
    assert len(first["features"]) == len(first["control"])


def test_the_largest_nodule_counts_whatever_its_label() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[2:4, 2:4], labels[8:18, 8:18] = 1, 2
    assert np.array_equal(largest_nodule(labels), labels == 2)
    assert not largest_nodule(np.zeros((5, 5), np.uint8)).any()


def test_a_models_outline_comes_to_the_grid_of_the_input() -> None:
    mask = scan(2, fine=True)[1]
    on_frame = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    back = to_input(on_frame, np.array([[2.0, 0, 0.5], [0, 2.0, 0.5]]), SHAPE)
    assert (back != mask).mean() < 0.02


def test_a_models_outline_counts_only_for_cases_that_it_never_saw(tmp_path: Path, embedder: Embedder) -> None:
    rows: list[dict[str, Any]] = []
    predicted: list[dict[str, Any]] = []
    for case in "abc":
        picture, mask = scan(ord(case), fine=True)
        rows.append(input_row(case, picture, mask))
        on_frame = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        outline = np.asarray(on_frame) * (case != "c")  # of c it found nothing
        predicted.append({"frame_id": f"{case}/0", "case_id": case, "model": "m", "fold": "0", "mask": png(outline)})
    found = embed(tmp_path, embedder, rows, predicted, tested={"b", "c"})
    assert [(row["case_id"], row["outlined_by"]) for row in found] == [
        ("a", "expert"), ("b", "expert"), ("b", "m"), ("c", "expert"),
    ]  # fmt: skip


def test_of_a_long_clip_some_frames_are_described_and_none_without_an_outline(
    tmp_path: Path, embedder: Embedder
) -> None:
    picture, mask = scan(5, fine=True)
    rows = [input_row("a", picture, mask, frame) for frame in range(30)]
    rows += [input_row("b", picture, None), input_row("c", picture, mask * 0)]
    found = embed(tmp_path, embedder, rows)
    assert [row["case_id"] for row in found] == ["a"] * 8


def test_the_control_falls_to_chance_and_the_picture_does_not(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grader_figures, "RESAMPLES", 200)
    monkeypatch.setattr(grader_model, "REPEATS", 1)
    where, n = tmp_path / "datasets" / "d", 72
    listed, rows, dealt = [], [], []
    for k in range(n):
        fine = k // 2 % 2 == 0
        listed.append({"case_id": str(k), "dataset": "d", "group_id": str(k), "label_source": "radiologist"})
        listed[-1] |= {"tirads_system": KWAK, "tirads_level": "2" if fine else "4c"}
        rows.append(input_row(str(k), *scan(k, fine)))
        dealt.append({"dataset": "d", "case_id": str(k), "group_id": f"d/{k}", "fold": k % 2})
    write_rows(where / "chunks" / "000.parquet", listed, cases.SCHEMA)
    write_rows(where / "inputs" / "000.parquet", rows, inputs.SCHEMA)
    write_rows(where / "nodules" / "000.parquet", [], nodules.SCHEMA)
    write_rows(tmp_path / "folds.parquet", dealt, folds.SCHEMA)
    write_rows(where / "masks.parquet", [], masks.SCHEMA)
    out = [str(where / "embeddings" / "unet-resnet18" / fold / "000.parquet") for fold in "01"]
    arguments = ["--inputs", str(where / "inputs" / "000.parquet"), "--folds", str(tmp_path / "folds.parquet")]
    arguments += ["--masks", *[str(where / "masks.parquet")] * 2, "--weights", *[str(weights)] * 2]
    arguments += ["--dataset", "d", "--model", "unet-resnet18", "--fold", "0", "1", "--embeddings", *out]
    main([*arguments, "--spec", '{"threads": 1, "sha256": null}'])  # by hand, as the rule does
    for path in out:
        assert len(read_rows(Path(path), embeddings.SCHEMA)) == n
    figures, _ = train_grader(tmp_path / "datasets", tmp_path / "folds.parquet", spec("d"))
    found = figures["tasks"][KWAK]
    assert found["arms"]["picture"]["auc"]["interval"][0] > 0.8
    assert found["control_at_chance"] is True
    assert "measured" not in found["arms"]
