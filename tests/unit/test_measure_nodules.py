"""What is measured of a nodule: true to ellipses, blind to gain and place, silent where the picture says nothing."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.nodule_pictures import ellipse, speckled
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.preprocess.preprocess_frames import picture
from workflow_scripts.tables import frames, inputs, masks, nodules
from workflow_scripts.tables.table import read_rows, write_rows
from workflow_scripts.tirads.measure_nodules import main, measure_frame

SHAPE = (300, 400)
FIELD = np.ones(SHAPE, bool)
FROM_THE_PICTURE = ["echogenicity", "heterogeneity", "cystic_share", "border_contrast", "bright_foci", "bright_share"]
FROM_THE_PICTURE += ["shadow", "relative_grey", "focus_diameter"]


def measure(labels: np.ndarray, image: np.ndarray | None = None, field: np.ndarray = FIELD, **other: Any) -> Any:
    image = speckled(labels) if image is None else image
    return measure_frame(image, labels, field, other.get("overlay"), other.get("spacing_mm"))


@pytest.mark.parametrize("degrees", [0, 25, 60, 90])
def test_an_ellipse_has_the_shape_of_its_formula_however_it_lies(degrees: float) -> None:
    (row,) = measure(ellipse(SHAPE, (80.4, 50.3), degrees))
    perimeter = np.pi * (3 * 130.7 - np.sqrt((3 * 80.4 + 50.3) * (80.4 + 3 * 50.3)))  # Ramanujan 1914
    assert row["longest_px"] == pytest.approx(160.8, abs=1.5)
    assert row["circularity"] == pytest.approx(4 * np.pi * np.pi * 80.4 * 50.3 / perimeter**2, rel=0.01)
    assert row["margin_irregularity"] < 0.003
    assert (row["x"], row["depth"]) == pytest.approx((0.5, 0.5), abs=0.003)
    assert not row["touches_edge"]


def test_a_lobulated_outline_is_irregular() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = np.arctan2(y - 150, x - 200)
    (row,) = measure((np.hypot(y - 150, x - 200) < 60 * (1 + 0.12 * np.sin(7 * angle))).astype(np.uint8))
    assert row["margin_irregularity"] > 0.05
    assert row["circularity"] < 0.85


def test_pixels_that_are_not_square_bend_no_shape() -> None:
    (row,) = measure(ellipse(SHAPE, (80, 40)), spacing_mm=(0.2, 0.1))  # 16 by 16 mm: a disc
    assert row["circularity"] == pytest.approx(1, abs=0.01)
    assert row["tall_over_wide"] == pytest.approx(1, abs=0.03)
    assert row["longest_mm"] == pytest.approx(16, abs=0.3)
    (unknown,) = measure(ellipse(SHAPE, (80, 40)))
    assert unknown["longest_mm"] is unknown["area_mm2"] is None


def test_gain_brightness_and_place_do_not_matter() -> None:
    labels = ellipse(SHAPE, (50, 40))
    image = speckled(labels)
    image[130:136, 190:196] = 200  # a focus
    (row,) = measure(labels, image)
    (brighter,) = measure(labels, image + 40)
    (stronger,) = measure(labels, (image * 1.25).astype(np.uint8))
    moved = np.roll(image, (31, -47), (0, 1)), np.roll(labels, (31, -47), (0, 1))
    (elsewhere,) = measure(moved[1], moved[0])
    assert row["bright_foci"] == 1
    for other in (brighter, stronger, elsewhere):
        for name in FROM_THE_PICTURE:
            if other is brighter and name == "relative_grey":
                continue  # of a picture without black it is a share: gain does not matter to it, brightness does
            assert other[name] == pytest.approx(row[name], rel=0.08, abs=0.06), name


def test_darker_than_around_is_hypoechoic_and_a_hole_is_fluid() -> None:
    labels = ellipse(SHAPE, (60, 50))
    (dark,), (bright,) = (measure(labels, speckled(labels, inside=level)) for level in (70, 150))
    assert dark["echogenicity"] < -2 < 2 < bright["echogenicity"]
    assert dark["cystic_share"] == bright["cystic_share"] == 0
    image = speckled(labels)
    hole = ellipse(SHAPE, (30, 25)) > 0
    image[hole] = 4
    (row,) = measure(labels, image)
    assert row["cystic_share"] == pytest.approx(hole.sum() / labels.sum(), abs=0.04)


def test_a_sharp_border_changes_more_than_a_soft_one() -> None:
    labels = ellipse(SHAPE, (60, 50))
    soft = cv2.GaussianBlur(labels.astype(np.float32), (0, 0), 12)
    noise = speckled(labels * 0).astype(float) - 110
    (blurred,) = measure(labels, np.clip(110 - 50 * soft + noise, 0, 255).astype(np.uint8))
    (sharp,) = measure(labels, np.clip(110 - 50 * labels + noise, 0, 255).astype(np.uint8))
    assert sharp["border_contrast"] > 1.5 * blurred["border_contrast"]


def test_what_lies_behind_a_stone_is_in_its_shadow() -> None:
    labels = ellipse(SHAPE, (50, 40), centre=(100, 200))
    image = speckled(labels)
    image[85:105, 180:220] = 240  # one large focus
    image[141:, 150:250] //= 3
    (row,) = measure(labels, image)
    assert row["shadow"] < -2
    assert row["bright_foci"] == 1
    assert row["focus_diameter"] == pytest.approx(np.sqrt(4 / np.pi * 20 * 40) / 300, rel=0.1)


def test_calipers_are_left_out() -> None:
    labels = ellipse(SHAPE, (50, 40))
    image, overlay = speckled(labels), np.zeros(SHAPE, bool)
    overlay[140:150, 180:190] = True
    image[overlay] = 255
    (seen,), (without,) = measure(labels, image), measure(labels, image, overlay=overlay)
    assert seen["bright_foci"] == 1
    assert without["bright_foci"] == 0


def test_every_nodule_is_a_row_and_none_is_the_surroundings_of_another() -> None:
    labels = ellipse(SHAPE, (40, 40), centre=(150, 120)) + 3 * ellipse(SHAPE, (40, 40), centre=(150, 204))
    image = speckled(labels)
    image[labels == 3] = 8
    first, second = measure(labels, image)
    (alone,) = measure((labels == 1).astype(np.uint8), speckled((labels == 1).astype(np.uint8)))
    assert (first["nodule"], second["nodule"]) == (1, 3)  # a label may be missing: covered by another
    assert first["echogenicity"] == pytest.approx(alone["echogenicity"], abs=0.3)
    assert first["longest_px"] == alone["longest_px"]


def test_the_edge_of_the_field_is_noticed_and_what_lies_beyond_is_not_tissue() -> None:
    labels = ellipse(SHAPE, (50, 40), centre=(150, 40))
    field = FIELD.copy()
    field[:, :20] = False
    image = speckled(labels)
    expected = measure(labels, image, field)
    image[~field] = 255
    assert measure(labels, image, field) == expected
    assert expected[0]["touches_edge"]
    (at_the_rim,) = measure(ellipse(SHAPE, (50, 40), centre=(150, 49)))
    assert at_the_rim["touches_edge"]


@pytest.mark.parametrize(
    ("labels", "image", "field"),
    [
        (ellipse(SHAPE, (50, 40)), np.zeros(SHAPE, np.uint8), FIELD),  # all black
        (np.ones(SHAPE, np.uint8), None, FIELD),  # nothing around it
        (np.pad(np.ones((1, 1), np.uint8), ((150, 149), (200, 199))), None, FIELD),  # one pixel
        (np.pad(np.ones((1, 9), np.uint8), ((150, 149), (200, 191))), None, FIELD),  # a line
        (ellipse(SHAPE, (50, 40)), None, ellipse(SHAPE, (30, 20), centre=(30, 340)) > 0),  # outside the field
    ],
)
def test_where_the_picture_says_nothing_neither_do_we(labels: np.ndarray, image: Any, field: np.ndarray) -> None:
    (row,) = measure(labels, image, field)
    assert row["area_px"] == labels.sum()
    assert [row[name] for name in FROM_THE_PICTURE] == [None] * len(FROM_THE_PICTURE)


def test_a_mask_without_nodule_has_no_row() -> None:
    assert measure(np.zeros(SHAPE, np.uint8)) == []


def test_the_command_measures_the_expert_and_every_model(tmp_path: Path) -> None:
    labels = ellipse(SHAPE, (50, 40))
    whole = dict.fromkeys(frames.SCHEMA.names)
    stills = [
        whole
        | {"frame_id": f"a/{k}", "case_id": "a", "image": picture(speckled(labels)), "spacing_mm": [0.1, 0.1]}
        | {"mask": picture(labels) if k else None, "mask_kind": "nodule" if k else None}
        for k in range(3)
    ]
    cv2.imwrite(str(tmp_path / "still.png"), speckled(labels))
    stills[2]["image"] = {"bytes": None, "path": "still.png"}
    write_rows(tmp_path / "frames", stills, frames.SCHEMA)
    prepared = {"case_id": "a", "field": {"bytes": encode_png(FIELD.astype(np.uint8) * 255), "path": None}}
    # Of the second frame no field was found: it is in quarantine.
    write_rows(tmp_path / "inputs", [prepared | {"frame_id": name} for name in ("a/0", "a/2")], inputs.SCHEMA)
    two = labels + 2 * ellipse(SHAPE, (10, 10), centre=(40, 40))
    for fold, name in ((0, "a/0"), (1, "a/2")):
        mask = {"case_id": "a", "model": "net", "fold": str(fold), "frame_id": name, "mask": picture(two)}
        write_rows(tmp_path / f"masks{fold}", [mask], masks.SCHEMA)
    arguments = {"--frames": "frames", "--inputs": "inputs", "--nodules": "nodules"}
    main(
        [
            *(part for name, path in arguments.items() for part in (name, str(tmp_path / path))),
            *("--masks", str(tmp_path / "masks1"), str(tmp_path / "masks0")),
            *("--dataset", "mine", "--roots", json.dumps({"mine": str(tmp_path)})),
        ]
    )
    rows = read_rows(tmp_path / "nodules", nodules.SCHEMA)
    assert [(row["frame_id"], row["outlined_by"], row["fold"], row["nodule"]) for row in rows] == [
        ("a/0", "net", "0", 1),
        ("a/0", "net", "0", 2),
        ("a/2", nodules.EXPERT, None, 1),
        ("a/2", "net", "1", 1),
        ("a/2", "net", "1", 2),
    ]
    assert rows[2]["longest_mm"] == pytest.approx(10, abs=0.2)
    assert rows[2]["echogenicity"] is not None
