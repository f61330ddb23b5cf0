"""Prediction: back on the frame's grid, by a model that never saw the patient, the same in any company."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="a lean environment has no torch")

import torch

from tests.unit.test_train_model import SPEC, scan
from workflow_scripts.imaging.measure import to_frame
from workflow_scripts.imaging.quality_signals import SIGNALS
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.segment.average_views import average_over_views
from workflow_scripts.segment.network import build_network, save_network
from workflow_scripts.segment.predict_masks import Predictor, describe_mask, predict_masks, quicken, unseen
from workflow_scripts.segment.train_model import Trainer
from workflow_scripts.tables import inputs, masks
from workflow_scripts.tables.table import read_rows, write_rows


def test_a_mask_comes_back_to_where_it_was_on_the_frame() -> None:
    frame = np.zeros((300, 400), np.uint8)
    cv2.ellipse(frame, (210, 160), (60, 35), 0, 0, 360, 1, -1)
    affine = np.array([[2.5, 0, 40.75], [0, 2.5, 30.75]])  # a field cut at (40, 30), shrunk 2.5 times
    back = cv2.warpAffine(frame.astype(np.float32), affine, (120, 90), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    again = to_frame(back, affine.ravel(), frame.shape) > 0.5
    overlap = 2 * (again & (frame > 0)).sum() / (again.sum() + frame.sum())
    assert overlap > 0.98


def test_nodules_are_labelled_largest_first_and_only_inside_the_field() -> None:
    probability = np.zeros((100, 100), np.float32)
    probability[10:20, 10:20], probability[40:80, 40:80], probability[90:99, 0:90] = 0.9, 0.8, 0.9
    probability[5, 5] = 0.9  # one pixel is no nodule
    field = np.ones((100, 100), bool)
    field[85:] = False
    picture, as_it_is = np.full((100, 100), 90, np.uint8), np.array([1.0, 0, 0, 0, 1.0, 0])
    found = describe_mask(probability, picture, as_it_is, field)
    labels = decode_picture(found["mask"]["bytes"])
    assert [int((labels == k).sum()) for k in (1, 2)] == [1600, 100]
    assert labels.max() == 2
    assert found["mean_probability"] == pytest.approx((1600 * 0.8 + 100 * 0.9) / 1700, abs=1e-6)
    assert found.keys() >= set(SIGNALS)
    empty = describe_mask(np.zeros((100, 100), np.float32), picture, as_it_is, field)
    assert empty.keys() == {"mask"}  # of nothing, nothing is known


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [("Unet", (64, 96)), ("Unet", (70, 50)), ("UnetPlusPlus", (64, 96)), ("Linknet", (64, 96))],
)
def test_a_quickened_network_comes_to_the_same(architecture: str, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, "resnet18", None).eval()
    norms: list[Any] = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:  # as after training: a fresh norm changes nothing
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, 0, 0.1)
    picture = torch.randn(1, 1, *shape)
    with torch.inference_mode():
        before = network(picture)
        after = quicken(network)(picture)
    assert torch.allclose(before, after, atol=1e-3 * float(before.std()))
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()) < len(norms) / 2


def test_only_who_was_held_out_is_predicted() -> None:
    held_out = {"a": 0, "b": 1, "c": 0}
    rows = [{"case_id": name} for name in "abcd"]  # nobody outlined d: it is in no fold
    assert [row["case_id"] for row in unseen(iter(rows), "0", held_out)] == ["a", "c", "d"]
    assert [row["case_id"] for row in unseen(iter(rows), "1", held_out)] == ["b"]
    assert [row["case_id"] for row in unseen(iter(rows), "given", {})] == list("abcd")


def test_what_each_view_gives_is_brought_back_to_where_it_was() -> None:
    pictures = np.zeros((2, 96, 128), np.uint8)
    cv2.ellipse(pictures[0], (40, 30), (18, 10), 30, 0, 360, 255, -1)
    cv2.ellipse(pictures[1], (120, 90), (18, 10), 0, 0, 360, 255, -1)  # at the edge: in some views it is cut
    smooth = np.stack([cv2.GaussianBlur(picture, (0, 0), 4) for picture in pictures])
    found = average_over_views(lambda views: views / np.float32(255), smooth)
    assert np.abs(found[0] - smooth[0] / 255).max() < 0.03
    assert ((found[1] > 0.5) != (smooth[1] > 127)).mean() < 0.001


def row(k: int) -> dict[str, Any]:
    picture, _ = scan(k)
    return {
        "frame_id": f"{k}/0",
        "case_id": str(k),
        "image": {"bytes": encode_png(picture), "path": None},
        "affine": [1.0, 0, 0, 0, 1.0, 0],
        "field": {"bytes": encode_png(np.full(picture.shape, 255, np.uint8)), "path": None},
    }


def test_a_mask_does_not_depend_on_who_else_is_in_the_chunk(tmp_path: Path) -> None:
    trainer = Trainer(SPEC, 1, tmp_path / "state")
    save_network(tmp_path / "w.safetensors", trainer.network, f"Unet/{SPEC['encoder']}")
    predictor = Predictor(tmp_path / "w.safetensors", None, 1)
    ways = {"mirrored": True, "test_time_augmentation": True}

    def predicted(*numbers: int) -> dict[str, Any]:
        write_rows(tmp_path / "inputs.parquet", [row(k) for k in numbers], inputs.SCHEMA)
        predict_masks(tmp_path / "inputs.parquet", {}, predictor, "m", "given", tmp_path / "masks.parquet", **ways)
        return {found["frame_id"]: found for found in read_rows(tmp_path / "masks.parquet", masks.SCHEMA)}

    many = predicted(*range(11))
    assert len(many) == 11
    assert predicted(9)["9/0"] == many["9/0"]
    assert {"m"} == {found["model"] for found in many.values()}
    # What the mirrored picture gives is mirrored back.
    assert all(0.5 < found["agreement"] <= 1 for found in many.values() if found["mean_probability"] is not None)
    assert all(0 < found["grey"] < 255 for found in many.values())
