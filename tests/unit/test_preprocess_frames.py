"""Preprocessing: the field alone, one size, the way back, and every step switchable."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.fixtures import scan
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import first_fault
from workflow_scripts.imaging import text
from workflow_scripts.imaging.dicom_frames import read_frames
from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.preprocess import preprocess_frames as command
from workflow_scripts.preprocess.preprocess_frames import TextSuspected, prepare_frame, preprocess_frames
from workflow_scripts.provenance import canonical_json
from workflow_scripts.tables import frames, inputs
from workflow_scripts.tables.table import read_rows, write_rows

SPEC: dict[str, Any] = {
    "field_of_view": True,
    "overlays": True,
    "text": "off",
    "speckle": "median",
    "contrast": "clahe",
    "size": [96, 128],
}
SEARCHED = SPEC | {"text": "rapidocr"}
PLAIN = SPEC | {"overlays": False, "speckle": "none", "contrast": "none"}
installed = pytest.mark.skipif(not text.available(), reason="rapidocr and onnxruntime are not installed: optional")


def test_scanner_text_outside_the_field_is_gone_and_the_nodule_is_whole() -> None:
    picture, mask = scan(3, (240, 320))
    written = picture.copy()
    cv2.putText(written, "TIRADS 4B", (60, 238), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    prepared = prepare_frame(written, mask, PLAIN)
    assert prepared.mask_kept == 1
    assert not prepared.field[225:].any()
    clean = prepare_frame(picture, mask, PLAIN)
    assert (prepared.image == clean.image).all()


def test_the_affine_leads_back_to_the_source_grid() -> None:
    picture, mask = scan(0, (240, 320))
    prepared = prepare_frame(picture, mask, PLAIN)
    assert prepared.image.shape == (96, 128)
    assert prepared.mask is not None
    y, x = (axis.mean() for axis in np.nonzero(prepared.mask))
    back = prepared.affine.reshape(2, 3) @ [x, y, 1]
    true_y, true_x = (axis.mean() for axis in np.nonzero(mask))
    assert back == pytest.approx([true_x, true_y], abs=1.5)
    scale = prepared.affine.reshape(2, 3)
    assert scale[0, 0] == pytest.approx(scale[1, 1])  # a nodule that is wide stays as wide


@pytest.mark.parametrize(
    ("step", "off"), [("field_of_view", False), ("speckle", "none"), ("contrast", "none"), ("contrast", "stretch")]
)
def test_each_step_can_be_switched(step: str, off: object) -> None:
    picture, mask = scan(1, (240, 320))
    on, without = prepare_frame(picture, mask, SPEC), prepare_frame(picture, mask, SPEC | {step: off})
    assert (on.image.shape, on.field.tolist()) == (without.image.shape, without.field.tolist())
    assert (on.image != without.image).any()


def test_overlays_are_switched_too() -> None:
    picture, mask = scan(1, (240, 320))
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    cv2.drawMarker(colour, (100, 100), (0, 255, 255), cv2.MARKER_CROSS, 11, 1)
    assert prepare_frame(colour, mask, SPEC).overlay[100, 100]
    assert not prepare_frame(colour, mask, SPEC | {"overlays": False}).overlay.any()


def row(case_id: str, index: int, picture: np.ndarray, mask: np.ndarray | None) -> dict[str, Any]:
    return {
        "frame_id": f"{case_id}/{index}",
        "modality": "US",
        "case_id": case_id,
        "frame_index": index,
        "image": {"bytes": encode_png(picture), "path": None},
        "mask": None if mask is None else {"bytes": encode_png(mask), "path": None},
    }


def test_a_blank_frame_costs_itself_and_a_blank_case_is_quarantined(tmp_path: Path) -> None:
    picture, mask = scan(0, (240, 320))
    blank = np.zeros_like(picture)
    rows = [row("1", 0, picture, mask), row("1", 1, blank, None), row("2", 0, blank, None), row("3", 0, picture, None)]
    write_rows(tmp_path / "frames.parquet", rows, frames.SCHEMA)
    lost = preprocess_frames(tmp_path / "frames.parquet", "d", tmp_path, SPEC, tmp_path / "inputs.parquet")
    assert [(problem["case_id"], problem["status"], problem["file"]) for problem in lost] == [
        ("1", "partial", "frame 2"),
        ("2", "quarantined", "frame 1"),
    ]
    made = read_rows(tmp_path / "inputs.parquet", inputs.SCHEMA)
    assert [made_row["frame_id"] for made_row in made] == ["1/0", "3/0"]
    assert decode_picture(made[0]["field"]["bytes"]).shape == picture.shape
    assert (made[1]["mask"], made[1]["mask_kept"]) == (None, None)


def test_a_still_that_is_a_file_is_read_from_the_data_set(tmp_path: Path) -> None:
    picture, mask = scan(0, (240, 320))
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    still = row("1", 0, picture, mask) | {"image": {"bytes": None, "path": "a.png"}}
    write_rows(tmp_path / "frames.parquet", [still], frames.SCHEMA)
    preprocess_frames(tmp_path / "frames.parquet", "d", tmp_path, SPEC, tmp_path / "inputs.parquet")
    (made,) = read_rows(tmp_path / "inputs.parquet", inputs.SCHEMA)
    assert (decode_picture(made["image"]["bytes"]) == prepare_frame(picture, mask, SPEC).image).all()


def named(picture: np.ndarray) -> np.ndarray:
    """Return the picture in colour with a name in yellow over the tissue: all of it is erased as an overlay."""
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return cv2.putText(colour, "GARCIA MARIA", (90, 130), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 230, 0), 1, cv2.LINE_AA)


@installed
def test_a_frame_with_words_in_its_field_is_quarantined_where_that_is_asked_for(tmp_path: Path) -> None:
    picture, mask = scan(0, (240, 320))
    rows = [row("1", 0, named(picture), mask), row("1", 1, picture, mask), row("2", 0, named(picture), None)]
    write_rows(tmp_path / "frames.parquet", rows, frames.SCHEMA)
    files = tmp_path / "frames.parquet", "d", tmp_path
    assert preprocess_frames(*files, SPEC, tmp_path / "inputs.parquet") == []
    lost = preprocess_frames(*files, SEARCHED, tmp_path / "inputs.parquet")
    assert [(problem["case_id"], problem["status"], problem["file"]) for problem in lost] == [
        ("1", "partial", "frame 1"),
        ("2", "quarantined", "frame 1"),
    ]
    assert lost[0]["reason"].startswith("text is suspected in the picture: at x ")
    assert "GARCIA" not in repr(lost).upper(), "the reason quotes what it keeps out"
    assert [made["frame_id"] for made in read_rows(tmp_path / "inputs.parquet", inputs.SCHEMA)] == ["1/1"]


@installed
def test_a_film_is_searched_up_to_its_edges() -> None:
    film = cv2.putText(scan(0, (240, 320))[0], "PORTABLE", (5, 235), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 255, 1)
    prepare_frame(film, None, SEARCHED)  # as ultrasound it is cut off
    with pytest.raises(TextSuspected):
        prepare_frame(film, None, SEARCHED, ultrasound=False)


@installed
@pytest.mark.parametrize("name", ["examples_palette", "OBXXXX1A_2frame", "US1_UNCR"])
def test_scanner_text_that_the_field_lets_through_is_caught_in_real_samples(samples: Path, name: str) -> None:
    image = next(read_frames(samples / "dicom" / f"{name}.dcm"))
    assert prepare_frame(image, None, SPEC).field.any()
    with pytest.raises(TextSuspected):
        prepare_frame(image, None, SEARCHED)


def test_a_search_that_is_not_installed_stops_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(text, "version", missing)
    write_rows(tmp_path / "frames.parquet", [row("1", 0, scan(0, (240, 320))[0], None)], frames.SCHEMA)
    roots, spec = canonical_json({"d": str(tmp_path)}), canonical_json(SEARCHED)
    asked = f"--frames {tmp_path}/frames.parquet --dataset d --inputs {tmp_path}/i --quarantine {tmp_path}/q".split()
    with pytest.raises(Refusal, match="preprocess.text: rapidocr is asked for and not installed; install the group"):
        command.main([*asked, "--roots", roots, "--spec", spec])
    assert not (tmp_path / "i").exists()


def test_off_without_quotes_is_refused() -> None:
    fault = first_fault("config.schema.json", {"preprocess": {"text": False}})
    assert fault == "preprocess.text: False is not one of ['off', 'rapidocr']"
