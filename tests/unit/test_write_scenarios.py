"""Scenarios filled with real pictures or refused with a reason, in the reader's shape, beside what was there before."""

import json
import resource
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.scenario_tables import SHAPE, House, benign, disc, speckle
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import load_templates
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import decode_picture
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.pictures import check_picture
from workflow_scripts.scenarios.reader_format import KEYS
from workflow_scripts.scenarios.wording import Unfit

TEMPLATES = {template["name"]: template for template in load_templates(["config/scenarios/thyroid.yaml"])}
SURGERY = TEMPLATES["needless-thyroidectomy"]


def png_chunks(data: bytes) -> set[bytes]:
    """Return the kinds of chunk in a PNG: after the signature each is length, kind, content, checksum."""
    kinds, place = set(), 8
    while place < len(data):
        kinds.add(data[place + 4 : place + 8])
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return kinds


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def asks(count: int, **changes: Any) -> dict[str, Any]:
    return SURGERY | {"count": count} | changes


def test_a_filled_scenario_is_what_the_reader_reads(house: House) -> None:
    house.add(benign("1"), [(speckle(1), None), (speckle(2), disc(9))])
    (entry,), (row,) = house.run(SURGERY)
    assert list(entry) == [*KEYS["error"], "metadata"]
    assert entry["image_file"] == "images/scenario_010.png"
    assert "12.5 mm (largest diameter)" in entry["description"]
    assert "TI-RADS 2 (ACR 2017)" in entry["ground_truth"]
    assert (row["status"], row["frame_id"], row["reason"]) == ("filled", "1/1", None)
    picture = house.picture("scenario_010")
    assert np.array_equal(picture, speckle(2)[5:55, 10:70]), "the frame's own pixels, cut to the field"
    assert row["image_sha256"] == entry["metadata"]["image_sha256"] == pixel_sha256(picture)
    assert row["source_sha256"] == pixel_sha256(speckle(2))
    assert row["frame_index"] == 1
    assert len(row["tile_sha256"]) == 64
    assert row["tile_sha256"][-1] == pixel_sha256(picture[-6:, -7:].copy())[:16], "50 x 60 pixels, 8 rows of 8"
    data = (house.folder / "scenarios" / entry["image_file"]).read_bytes()
    assert png_chunks(data) == {b"IHDR", b"sRGB", b"IDAT", b"IEND"}, "no metadata"
    assert house.text.startswith(b'[\n    {\n        "id": ')
    assert house.text.endswith(b"}\n]\n")


def test_no_identifier_of_the_source_is_in_the_json(house: House) -> None:
    cv2.imwrite(str(house.root / "secret_picture.png"), speckle(1))
    case = benign("secret_case", group_id="secret_patient", source_key="secret_key")
    house.add(case, [(speckle(1), disc(9))], path="secret_picture.png")
    entries, _ = house.run(SURGERY)
    assert len(entries) == 1
    for word in ("secret", "clinic", str(house.folder)):
        assert word not in house.text.decode()


@pytest.mark.parametrize(
    ("reason", "broken"),
    [
        ("in quarantine: not graded", {"graded": {}}),
        ("in quarantine: no frame can be used", {"shots": []}),
        ("no frame is outlined", {"shots": [(speckle(1), None)]}),
        ("no frame is outlined", {"shots": [(speckle(1), disc(0) * 0)]}),
        ("several nodules are outlined", {"shots": [(speckle(1), disc(9) + np.roll(disc(9, 2), 25, 1))]}),
        ("the nodule is cut", {"mask_kept": 0.97}),
        ("the advice by ACR 2017 is 'follow-up', not 'none'", {"graded": {"advice": "follow-up"}}),
        ("the picture is blank", {"shots": [(np.full(SHAPE, 90, np.uint8), disc(9))]}),
        ("the picture is itself a mask", {"shots": [(disc(20, 255), disc(9))]}),
    ],
)
def test_a_case_that_cannot_serve_is_passed_over_with_the_reason(house: House, reason: str, broken: dict) -> None:
    house.add(benign("1"), **broken)
    entries, (row,) = house.run(SURGERY)
    assert entries == []
    assert house.text == b"[]\n"
    assert row["status"] == "refused"
    assert row["reason"].startswith("too few cases: 1 cases of 1 patients fit by label, 1 tried, 1 asked for; 1 x ")
    assert reason in row["reason"]
    assert row["image_sha256"] is None
    assert list((house.folder / "scenarios" / "images").iterdir()) == []


def test_a_null_label_passes_the_case_over(house: House) -> None:
    house.add(benign("1", largest_mm=None))
    _, (row,) = house.run(asks(1, where={"pathology": "benign"}))
    assert "1 x largest diameter not known" in row["reason"]


def test_the_same_picture_is_exported_once(house: House) -> None:
    for case_id in "123":
        house.add(benign(case_id), [(speckle(1), disc(9))])
    entries, rows = house.run(asks(2))
    assert [row["status"] for row in rows] == ["filled", "refused"]
    assert "2 x its picture is already in another scenario" in rows[1]["reason"]
    assert len(entries) == 1


def test_a_case_and_a_group_are_used_once_over_all_templates(house: House) -> None:
    house.add(benign("1", group_id="p"))
    house.add(benign("2", group_id="p"))
    house.add(benign("3"))
    other = asks(2, name="another", id="scenario_300")
    _, rows = house.run(SURGERY, other)
    filled = [row for row in rows if row["status"] == "filled"]
    assert [row["scenario_id"] for row in filled] == ["scenario_010", "scenario_300"]
    assert len({"p" if row["case_id"] in "12" else row["case_id"] for row in filled}) == 2
    assert "1 taken by this template; 1 x the case, or one of its group, is in another scenario" in rows[-1]["reason"]


def test_too_few_by_label_says_which_condition_and_what_the_card_says(house: House) -> None:
    house.add(benign("1", pathology=None))
    house.add(benign("2", pathology=None))
    entries, (row,) = house.run(SURGERY)
    assert entries == []
    assert row["reason"].startswith("no case fits by label: pathology is known in none of 2 cases; the card of clinic")
    assert "No histology" in row["reason"]


def test_the_largest_outline_is_taken_and_of_equal_ones_the_middle(house: House) -> None:
    radii = [9, 5, 9, 9, 3, 9]
    house.add(benign("1"), [(speckle(n), disc(radius)) for n, radius in enumerate(radii)])
    _, (row,) = house.run(SURGERY)
    assert row["frame_id"] == "1/2"


def test_a_frame_that_preprocessing_lost_is_not_chosen(house: House) -> None:
    house.add(benign("1"), [(speckle(1), disc(9)), (speckle(2), disc(5))])
    del house.tables["inputs"][0]
    _, (row,) = house.run(SURGERY)
    assert row["frame_id"] == "1/1"


def test_a_clip_may_span_the_row_groups_of_its_table(house: House) -> None:
    house.add(benign("1", pathology=None))
    house.add(benign("2"), [(speckle(n), disc(3 + n)) for n in range(5)])
    house.add(benign("3", pathology=None))
    _, (row,) = house.run(SURGERY)
    assert row["frame_id"] == "2/4"
    assert np.array_equal(house.picture("scenario_010"), speckle(4)[5:55, 10:70])


def test_what_the_scanner_drew_is_painted_over_in_the_picture(house: House) -> None:
    tissue = np.zeros(SHAPE, np.uint8)
    tissue[5:55, 10:70] = cv2.GaussianBlur(speckle(3), (5, 5), 1.2)[5:55, 10:70]  # a grain as real speckle has it
    image = cv2.cvtColor(tissue, cv2.COLOR_GRAY2RGB)
    cv2.line(image, (30, 20), (40, 20), (255, 255, 0), 1)  # a measuring line in yellow
    overlay = cv2.line(np.zeros(SHAPE, np.uint8), (30, 20), (40, 20), 255, 1)
    house.add(benign("1"), [(image, disc(9))], overlay=overlay)
    house.run(SURGERY)
    picture = house.picture("scenario_010")
    assert picture.ndim == 2
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[5:55, 10:70]
    assert not np.array_equal(picture[14:17, 19:32], grey[14:17, 19:32])
    assert np.array_equal(picture[30:], grey[30:])


def test_a_second_run_gives_the_same_bytes_and_leaves_no_picture_of_the_first(house: House) -> None:
    for case_id in "12345":
        house.add(benign(case_id))
    house.run(asks(3))
    text = house.text
    files = {path.name: path.read_bytes() for path in (house.folder / "scenarios" / "images").iterdir()}
    table = (house.folder / "scenarios" / "scenarios.parquet").read_bytes()
    (house.folder / "scenarios" / "images" / "scenario_999.png").write_bytes(b"of an earlier run")
    house.run(asks(3))
    assert house.text == text
    assert {path.name: path.read_bytes() for path in (house.folder / "scenarios" / "images").iterdir()} == files
    assert (house.folder / "scenarios" / "scenarios.parquet").read_bytes() == table


def jpeg(pixels: np.ndarray) -> np.ndarray:
    return decode_picture(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())


@pytest.mark.parametrize(
    "picture",
    [disc(15, 255), disc(15, 255) + disc(5, 90), jpeg(disc(15, 255)), disc(9), np.zeros((0, 0), np.uint8), disc(20, 3)],
)
def test_no_mask_and_nothing_blank_is_ever_a_picture(picture: np.ndarray) -> None:
    with pytest.raises(Unfit):
        check_picture(picture)


def test_the_command_updates_in_place_and_leaves_what_was_refused(house: House) -> None:
    house.add(benign("1"))
    existing = house.folder / "mine.json"
    old = [{"id": "scenario_010", "title": "old"}, {"id": "scenario_020", "title": "kept: refused"}, {"id": "x"}]
    existing.write_text(json.dumps(old, indent=2), encoding="utf-8")
    entries, rows = house.run(SURGERY, TEMPLATES["rightly-biopsied"], existing=existing)
    assert [row["status"] for row in rows] == ["filled", "refused"]
    assert entries[0]["title"] == SURGERY["title"]
    assert entries[1:] == old[1:]


def film(seed: int) -> np.ndarray:
    """A picture with shapes, which speckle has not: brighter here and there on a coarse grid."""
    coarse = np.random.default_rng(seed).integers(30, 220, (6, 8)).astype(np.uint8)
    return cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)


def test_a_picture_that_nearly_repeats_another_is_refused(house: House) -> None:
    brighter = np.clip(film(1).astype(int) + 9, 0, 255).astype(np.uint8)
    for name, picture in {"1": film(1), "2": brighter, "3": film(2)}.items():
        house.add(benign(name), [(picture, disc(9))])
    _, rows = house.run(asks(3))
    assert [row["status"] for row in rows] == ["filled", "filled", "refused"]
    assert "1 x its picture nearly repeats that of another scenario" in rows[-1]["reason"]


def test_words_in_a_picture_are_refused(house: House) -> None:
    pytest.importorskip("rapidocr")
    house.text_search = "rapidocr"
    large = cv2.resize(film(1), None, fx=8, fy=8)
    words = cv2.putText(large.copy(), "JOHN DOE 1961", (120, 240), cv2.FONT_HERSHEY_SIMPLEX, 1, 255, 2)
    mask = cv2.resize(disc(9), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    house.add(benign("1"), [(words, mask)], field=np.full(words.shape, 255, np.uint8))
    house.add(benign("2"), [(large, mask)], field=np.full(words.shape, 255, np.uint8))
    _, rows = house.run(asks(2))
    assert sorted(row["case_id"] or row["reason"][-43:] for row in rows)[0] == "2"
    assert any("1 x words are suspected in the picture" in (row["reason"] or "") for row in rows)


MIDDLE = {"frame": "middle", "where": {"pathology": "benign"}, "ground_truth": "{pathology}", "description": "a"}


def test_the_middle_frame_needs_no_outline_and_no_grade(house: House) -> None:
    house.add(benign("1"), [(film(n), None) for n in range(4)])
    house.ungraded = True
    template = asks(1, **MIDDLE, expected_action="None.")
    del template["advice"]
    (entry,), (row,) = house.run(template)
    assert row["frame_id"] == "1/1", "of four, the earlier of the two in the middle"
    assert (entry["metadata"]["advice"], entry["metadata"]["advice_system"]) == (None, None)


def test_an_outline_is_drawn_beside_the_picture_and_never_in_it(house: House) -> None:
    house.add(benign("1"), [(film(1), disc(9))])
    (entry,), (row,) = house.run(asks(1, overlay=True))
    picture, overlay = house.picture("scenario_010"), house.picture("scenario_010_overlay")
    assert np.array_equal(picture, film(1)[5:55, 10:70])
    changed = np.flatnonzero((overlay != picture[..., None]).any(axis=2))
    assert 40 < changed.size < 120, "the edge of a disc of radius 9"
    assert entry["metadata"]["overlay_file"] == row["overlay"]["path"] == "images/scenario_010_overlay.png"


def test_a_window_is_of_hounsfield_units(house: House) -> None:
    house.add(benign("1"), [(film(1), disc(9))])
    _, (row,) = house.run(asks(1, window="lung"))
    assert "its values are not Hounsfield units" in row["reason"]


def test_a_slide_keeps_its_colour_and_values_are_windowed(house: House) -> None:
    house.add(benign("1"), [(np.stack([film(1), film(2), film(3)], axis=2), None)], modality="SM")
    template = asks(1, **MIDDLE, expected_action="None.")
    house.run(template)
    assert house.picture("scenario_010").shape == (50, 60, 3)


def test_a_template_that_no_data_set_can_carry_is_refused_with_the_set_that_could(house: House) -> None:
    house.add(benign("1"))
    template = {key: value for key, value in SURGERY.items() if key not in ("where", "frame", "advice")}
    entries, (row,) = house.run(template | {"cannot": {"reason": "no valve is graded", "could": "TMED-2"}})
    assert entries == []
    assert (row["status"], row["reason"], row["could"]) == (
        "refused",
        "cannot be filled: no valve is graded",
        "TMED-2",
    )


def test_two_scenarios_of_one_patient_only_where_it_is_asked_for(house: House) -> None:
    for name in ("1", "2", "3"):
        house.add(benign(name, group_id="same", content_sha256=name))
    assert [row["status"] for row in house.run(asks(3))[1]] == ["filled", "refused", "refused"]
    assert [row["status"] for row in house.run(asks(3, per_patient=2))[1]] == ["filled", "filled", "refused"]


def test_a_full_disk_says_so_in_one_line_and_the_old_file_survives_whole(house: House) -> None:
    house.add(benign("1"))
    house.run(SURGERY)
    before = {path: path.read_bytes() for path in (house.folder / "scenarios").glob("scenarios.*")}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    full = resource.getrlimit(resource.RLIMIT_FSIZE)
    out = house.folder / "scenarios" / "scenarios.json"
    try:
        with pytest.raises(Refusal) as refusal, write_beside(out) as beside:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, full[1]))
            beside.write_bytes(b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, full)
    assert str(refusal.value).startswith(f"casebook: {out}: File too large; make room, or run with --directory")
    assert {path: path.read_bytes() for path in before} == before
    assert not list(out.parent.glob(".*"))
