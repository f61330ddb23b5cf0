"""One picture: read whatever it is, measured as it was drawn, in mm only where its file says, graded only if told."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.dicom_files import region, write_dicom
from tests.fixtures import write_mp4
from workflow_scripts.command import Refusal
from workflow_scripts.demo.nodules import HYPOECHOIC, Nodule
from workflow_scripts.demo.phantoms import burn_in, draw_clip
from workflow_scripts.imaging.measure import measure_nodules, outline_nodules
from workflow_scripts.imaging.stills import read_still
from workflow_scripts.metrics.estimator import Estimator, Quality, write_quality
from workflow_scripts.segment import predict_image
from workflow_scripts.segment.predict_image import Frame, as_record, draw, find_nodules, follow, main, read_picture
from workflow_scripts.segment.runtimes import Model, load_model, preprocessing

SPEC: dict[str, Any] = {
    "field_of_view": True,
    "overlays": True,
    "text": "off",
    "speckle": "median",
    "contrast": "none",
    "size": [96, 128],
}


def ellipse(shape: tuple[int, int], radii: tuple[float, float], degrees: float) -> np.ndarray:
    """Return an ellipse by its equation, not by the drawing code of a library."""
    y, x = np.mgrid[: shape[0], : shape[1]] - np.array([shape[0] / 2.3, shape[1] / 2.1])[:, None, None]
    turn = np.deg2rad(degrees)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return ((along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1).astype(np.uint8)


def dark(pictures: np.ndarray) -> np.ndarray:
    """Return 1 for what is dark and solid within bright tissue, as a stand-in for a network that finds cysts."""
    smooth = np.stack([cv2.blur(picture, (5, 5)) for picture in pictures])
    return ((smooth < 60) & (np.stack([cv2.blur(p, (31, 31)) for p in pictures]) > 25)).astype(np.float32)


STAND_IN = Model(dark, 3, "a threshold")


def scan() -> np.ndarray:
    """Return a bright speckled field with a dark disc of radius 30 at (x 160, y 120), on black, with burned-in text."""
    rng = np.random.default_rng(0)
    picture = np.zeros((240, 320), np.uint8)
    picture[10:220, 40:280] = rng.integers(110, 190, (210, 240), dtype=np.uint8)
    cv2.circle(picture, (160, 120), 30, 8, -1)
    cv2.putText(picture, "DOE JANE", (60, 236), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    return picture


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_diameters_are_those_of_the_ellipse(degrees: float) -> None:
    (nodule,) = measure_nodules(ellipse((200, 240), (60.4, 35.3), degrees), None)
    assert nodule.area_px == pytest.approx(np.pi * 60.4 * 35.3, rel=0.01)
    assert nodule.longest_px == pytest.approx(120.8, abs=1)
    assert nodule.perpendicular_px == pytest.approx(70.6, abs=1)
    assert (nodule.longest_mm, nodule.perpendicular_mm, nodule.area_mm2) == (None, None, None)
    assert (nodule.tall_over_wide > 1) == (degrees == 90)


def test_lengths_in_mm_follow_the_spacing_of_rows_and_of_columns() -> None:
    (nodule,) = measure_nodules(ellipse((200, 240), (60, 40), 0), (0.2, 0.1))  # in mm it is taller: 16 by 12
    assert nodule.longest_mm == pytest.approx(16, abs=0.2)
    assert nodule.perpendicular_mm == pytest.approx(12, abs=0.2)
    assert nodule.area_mm2 == pytest.approx(np.pi * 8 * 6, rel=0.01)
    assert nodule.tall_over_wide == pytest.approx(16 / 12, abs=0.02)
    assert nodule.longest_px == pytest.approx(120, abs=1)


def test_each_nodule_is_measured_and_a_mask_without_one_has_none() -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[10:40, 10:30], labels[20:26, 60:72], labels[50, 80] = 1, 2, 3
    assert [nodule.area_px for nodule in measure_nodules(labels, None)] == [600, 72, 1]
    assert measure_nodules(labels * 0, None) == []
    assert not outline_nodules(np.zeros((60, 90), np.float32), np.ones((60, 90), bool)).any()


def test_masks_are_those_of_predict_masks(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="a lean environment has no torch")
    from tests.unit.test_train_model import SPEC as NETWORK
    from workflow_scripts.imaging.stills import decode_picture
    from workflow_scripts.preprocess.preprocess_frames import prepare_frame
    from workflow_scripts.segment.network import build_network, save_network
    from workflow_scripts.segment.predict_masks import Predictor, describe_mask

    torch.manual_seed(0)
    weights = tmp_path / "fold-0.safetensors"
    save_network(weights, build_network("Unet", NETWORK["encoder"], None), f"Unet/{NETWORK['encoder']}")
    frames = [Frame(k, np.roll(scan(), 3 * k, axis=1)) for k in range(9)]  # more than a batch
    found = list(follow(iter(frames), load_model(weights, (96, 128)), SPEC))
    assert [one.frame.index for one in found] == list(range(9))
    predictor = Predictor(weights, None, 2)
    for frame, one in zip(frames, found, strict=True):
        prepared = prepare_frame(frame.image, None, SPEC)
        probability = predictor.probabilities(prepared.image[None])[0]
        described = describe_mask(probability, prepared.image, prepared.affine, prepared.field)
        expected = decode_picture(described["mask"]["bytes"])
        assert one.labels is not None
        assert np.array_equal(expected, one.labels)
    assert any(one.nodules for one in found)


def test_a_disc_is_found_where_it_is_and_nothing_outside_the_field_is_drawn() -> None:
    (found,) = find_nodules([Frame(0, scan(), None, (0.1, 0.1))], STAND_IN, SPEC)
    (nodule,) = found.nodules
    assert nodule.longest_mm == pytest.approx(6, abs=0.5)
    assert nodule.tall_over_wide == pytest.approx(1, abs=0.1)
    picture = draw(found)
    assert not picture[226:].any()  # the name that a scanner burned in
    assert tuple(picture[120, 131]) == predict_image.OUTLINE or tuple(picture[120, 130]) == predict_image.OUTLINE


def test_a_frame_without_a_field_is_said_and_the_others_go_on() -> None:
    frames = [Frame(0, scan()), Frame(1, np.zeros((240, 320), np.uint8)), Frame(2, scan())]
    found = list(follow(iter(frames), STAND_IN, SPEC))
    assert [bool(one.nodules) for one in found] == [True, False, True]
    assert "no ultrasound field" in as_record(found[1])["problem"]
    assert "no ultrasound field" in predict_image.as_line(found[1])


def test_spacing_and_time_are_those_of_the_file_and_of_no_other(tmp_path: Path) -> None:
    clip = np.stack([scan(), scan()])
    stated = write_dicom(tmp_path / "a.dcm", clip, "US", SequenceOfUltrasoundRegions=[region(40, 10, 279, 219, 0.02)])
    count, frames = read_picture(stated)
    first, second = frames
    assert (count, first.spacing_mm, second.time_s) == (2, (0.2, 0.2), 0.04)
    silent = write_dicom(tmp_path / "b.dcm", clip[0], "US", SequenceOfUltrasoundRegions=None, PixelSpacing=[0.3, 0.3])
    assert next(read_picture(silent)[1]).spacing_mm is None
    write_mp4(tmp_path / "c.mp4", [scan()] * 3)
    count, frames = read_picture(tmp_path / "c.mp4")
    assert (count, [frame.time_s for frame in frames]) == (3, [0.0, 0.1, 0.2])


def test_what_is_no_ultrasound_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    ct = write_dicom(tmp_path / "ct.dcm", np.zeros((64, 64), np.int16))
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "a.png", "does not decode"),
        (ct, "is CT, expected US"),
    ):
        with pytest.raises(Refusal, match=message) as refused:
            read_picture(path)
        assert "\n" not in str(refused.value)
    (tmp_path / "m.safetensors").write_text("")
    with pytest.raises(Refusal, match="is not safetensors"):
        main([str(ct), "--model", str(tmp_path / "m.safetensors"), "--size", "96", "128"])


def test_the_card_says_how_pictures_are_prepared_and_a_model_without_one_needs_its_size(tmp_path: Path) -> None:
    model, card = tmp_path / "fold-0.safetensors", tmp_path / "fold-0.json"
    model.write_bytes(b"")
    with pytest.raises(Refusal, match="--size ROWS COLUMNS"):
        preprocessing(model, None)
    assert preprocessing(model, [64, 80])["size"] == [64, 80]
    card.write_text(json.dumps({"preprocess": SPEC | {"text": "rapidocr"}}))
    assert preprocessing(model, None) == SPEC
    with pytest.raises(Refusal, match="says 96 128"):
        preprocessing(model, [64, 80])
    onnx = tmp_path / "fold-0.onnx"
    onnx.write_bytes(b"weights")
    (tmp_path / "fold-0.onnx.json").write_text(json.dumps({"preprocess": SPEC, "sha256": "other"}))
    with pytest.raises(Refusal, match="is not the file"):
        preprocessing(onnx, None)


def test_an_onnx_file_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the group `live` is not installed")
    (tmp_path / "a.onnx").write_bytes(b"no ONNX")
    with pytest.raises(Refusal, match="is not an ONNX file") as refused:
        load_model(tmp_path / "a.onnx", (96, 128))
    assert "\n" not in str(refused.value)


@pytest.fixture
def standing_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the arguments of the command with a model that outlines what is dark."""
    monkeypatch.setattr(predict_image, "load_model", lambda path, size: STAND_IN)
    (tmp_path / "m.safetensors").write_bytes(b"")
    return ["--model", str(tmp_path / "m.safetensors"), "--size", "96", "128"]


def test_a_clip_gives_a_line_and_an_outline_each_frame(
    standing_in: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, _ = draw_clip(Nodule(echogenicity=HYPOECHOIC), 4, (240, 320), np.random.default_rng(0))
    write_mp4(tmp_path / "clip.mp4", [burn_in(frame, "LEFT") for frame in frames])
    main([str(tmp_path / "clip.mp4"), *standing_in, "--out", str(tmp_path / "out")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [f"frame {k + 1}, {k / 10:.3f} s" for k in range(4)]
    assert "cannot be determined (descriptors are needed" in lines[4]
    assert lines[5] == "quality: unknown: there is no quality.json beside m.safetensors"
    assert "not for diagnosis" in lines[6]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"clip-0000{k}.png" for k in range(1, 5)]
    assert read_still(tmp_path / "out" / names[0]).shape == (240, 320, 3)


def test_json_says_the_same_and_descriptors_give_level_and_advice(
    standing_in: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_dicom(tmp_path / "a.dcm", scan(), "US", SequenceOfUltrasoundRegions=[region(40, 10, 279, 219, 0.04)])
    terms = "composition=solid,echogenicity=hypoechoic,shape=taller-than-wide,margin=smooth"
    terms += ",foci=punctate echogenic foci+macrocalcifications"
    main([str(path), *standing_in, "--json", "--descriptors", terms])
    said = json.loads(capsys.readouterr().out)
    (frame,) = said["frames"]
    (nodule,) = frame["nodules"]
    assert nodule["longest_mm"] == pytest.approx(24, abs=1.5)
    assert frame["spacing_mm"] == [0.4, 0.4]
    assert (said["tirads"]["points"], said["tirads"]["level"], said["tirads"]["advice"]) == (11, "TR5", "fna")
    main([str(path), *standing_in, "--json"])
    assert json.loads(capsys.readouterr().out)["tirads"]["level"] is None
    with pytest.raises(SystemExit):
        main([str(path), *standing_in, "--descriptors", "composition=wooden"])
    assert "wooden" in capsys.readouterr().err


@pytest.mark.parametrize("agreement", [(), ("agreement",)], ids=["one pass", "mirrored, too"])
def test_the_quality_is_estimated_where_a_quality_json_lies_beside_the_model(
    standing_in: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], agreement: tuple[str, ...]
) -> None:
    signals = ("expected_dice", "solidity", *agreement)
    zeros, ones = (0.0,) * len(signals), (1.0,) * len(signals)
    # The root of the smallest expected error, 0.005: what the stand-in says is sure.
    estimator = Estimator(signals, zeros, ones, (0.5, *zeros[1:]), 0.0, 5.0)
    write_quality(tmp_path / "quality.json", Quality(0.9, estimator, None, True, {}, None, {}))
    cv2.imwrite(str(tmp_path / "a.png"), scan())
    cv2.imwrite(str(tmp_path / "empty.png"), np.maximum(scan(), np.roll(scan(), 80, axis=1)))
    main([str(tmp_path / "a.png"), *standing_in, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["frames"][0]["estimated_dice"], said["frames"][0]["lower_bound"]) == (0.929, 0.646)
    assert "probability of 90 %" in said["quality"]
    main([str(tmp_path / "a.png"), *standing_in])
    assert "estimated Dice 0.93, lower bound 0.65" in capsys.readouterr().out
    main([str(tmp_path / "empty.png"), *standing_in, "--json"])
    (frame,) = json.loads(capsys.readouterr().out)["frames"]
    assert (frame["nodules"], frame["estimated_dice"], frame["lower_bound"]) == ([], None, None)
    write_quality(tmp_path / "quality.json", Quality(0.9, None, "12 groups of patients", True, {}, None, {}))
    main([str(tmp_path / "a.png"), *standing_in, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["quality"], said["frames"][0]["estimated_dice"]) == ("unknown: 12 groups of patients", None)
