"""A release rebuilt from one's own data: the same, or what differs and why, one scenario at a time."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.scenario_tables import House, benign, disc, png, speckle
from tests.unit.test_write_lock import CONFIG, built, one_case, spec_of, write_lock
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import canonical_json, pixel_sha256
from workflow_scripts.release.verify_release import main

TEMPLATES = [one_case(10), one_case(20), one_case(30)]
SIZES = (10, 20, 30)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Return a release: of it, only the lock takes part."""
    house = built(tmp_path / "theirs", *SIZES)
    house.run(*TEMPLATES)
    (tmp_path / "release").mkdir()
    return Path(shutil.copy(write_lock(house), tmp_path / "release")).parent


@pytest.fixture
def mine(tmp_path: Path) -> House:
    """Return the same data, called otherwise."""
    return built(tmp_path / "mine", *SIZES, name="own")


def verify(house: House, release: Path | str, **config: Any) -> Any:
    """Verify a release on a house, and return the report, with what the command ended with."""
    report = house.folder / "verify.json"
    arguments = {
        "release": release,
        "scenarios": house.folder / "scenarios",
        "candidates": house.folder / "candidates.parquet",
        "datasets": house.folder / "datasets",
        "roots": canonical_json({"clinic": str(house.root)}),
        "spec": canonical_json(spec_of(**config)),
        "templates": house.folder / "templates.yaml",
        "report": report,
    }
    ended: int | str | None = 0
    try:
        main([text for name, value in arguments.items() for text in (f"--{name}", str(value))])
    except SystemExit as end:
        ended = end.code
    return (json.loads(report.read_text()) if report.is_file() else {}) | {"ended": ended}


def verdicts(report: dict[str, Any]) -> list[str]:
    return [one["verdict"] for one in report["scenarios"].values()]


def alter(house: House, number: int, change: Callable[[np.ndarray], None]) -> None:
    """Change the pixels of one frame of a house."""
    pixels = speckle(SIZES[number])
    change(pixels)
    house.tables["frames"][number] |= {"image": png(pixels), "pixel_sha256": pixel_sha256(pixels)}


def block(pixels: np.ndarray) -> None:
    pixels[20:24, 30:34] ^= 64


def everywhere(pixels: np.ndarray) -> None:
    pixels ^= 1


def test_the_same_data_give_the_same_scenarios(mine: House, release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine.run(*TEMPLATES)
    report = verify(mine, release / "casebook.lock.json")
    assert (report["ended"], report["same"], report["counts"]) == (0, True, {"identical": 3})
    assert report["options"] == report["versions"] == []
    said = capsys.readouterr().out
    assert said.startswith("3 of 3 scenarios are as the release has them: 3 identical\n")
    assert "What to do" not in said


def test_an_altered_frame_is_found_with_how_much_of_it(
    mine: House, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alter(mine, 1, block)
    mine.run(*TEMPLATES)
    report = verify(mine, release)
    assert verdicts(report) == ["identical", "pixels differ", "identical"]
    assert report["ended"] == "casebook: 1 of 3 scenarios are not as the release has them"
    altered = report["scenarios"]["scenario_120"]
    assert altered["tiles"] == 1, "4 x 4 pixels lie in one tile"
    assert altered["why"].endswith("versions and options agree: the file was altered")
    said = capsys.readouterr().out
    assert "scenario_120  pixels differ (1 of 64 tiles): no frame of yours has its pixels" in said
    assert "own20" not in said
    assert "own20" not in json.dumps(report)


def test_a_frame_that_is_not_there_is_missing_though_a_dark_band_is_shared(tmp_path: Path) -> None:
    houses = []
    for name, seeds in {"with": (1, 2, 3), "without": (1, 4, 3)}.items():
        (tmp_path / name).mkdir()
        houses.append(House(tmp_path / name))
        for size, seed in zip(SIZES, seeds, strict=True):
            pixels = speckle(seed)
            pixels[:15] = 0
            houses[-1].add(benign(f"{size}", largest_mm=size + 0.5), [(pixels, disc(9))])
        houses[-1].run(*TEMPLATES)
    report = verify(houses[1], write_lock(houses[0]))
    assert verdicts(report) == ["identical", "source missing", "identical"]
    assert report["scenarios"]["scenario_120"]["tiles"] is None


@pytest.mark.parametrize(("change", "verdict"), [(block, "pixels differ"), (everywhere, "source missing")])
def test_another_decoder_is_named_where_pixels_differ(
    mine: House, release: Path, change: Callable[[np.ndarray], None], verdict: str
) -> None:
    relock(release, lambda run: run["versions"].update(av="1.0.0"))
    alter(mine, 0, change)
    mine.run(*TEMPLATES)
    report = verify(mine, release)
    assert verdicts(report) == [verdict, "identical", "identical"]
    assert 'most likely by version av: "1.0.0" there, ' in report["scenarios"]["scenario_110"]["why"]


def relock(release: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the lock says of the release's run."""
    path = release / "casebook.lock.json"
    lock = json.loads(path.read_text())
    change(lock["run"])
    path.write_text(json.dumps(lock))


def test_a_missing_case_is_said_with_the_reason_of_the_refusal(mine: House, release: Path) -> None:
    del mine.cases[2], mine.tables["frames"][2], mine.tables["inputs"][2], mine.tables["grades"][2]
    mine.run(*TEMPLATES)
    report = verify(mine, release)
    assert verdicts(report) == ["identical", "identical", "source missing"]
    assert "refused here: no case fits by label" in report["scenarios"]["scenario_130"]["why"]


def test_more_cases_than_the_release_had_may_be_taken_before_the_locked_one(mine: House, release: Path) -> None:
    for number in range(8):
        mine.add(benign(f"more{number}", largest_mm=20.5), [(speckle(100 + number), disc(9))])
    mine.run(*TEMPLATES)
    report = verify(mine, release)
    assert verdicts(report) == ["identical", "another case", "identical"]
    why = report["scenarios"]["scenario_120"]["why"]
    assert why.startswith("the frame is in your data; it gives the same picture")


def test_with_the_lock_neither_more_cases_nor_more_of_the_same_patient_cost_a_scenario(
    mine: House, release: Path
) -> None:
    for number in range(60):
        mine.add(benign(f"more{number}", largest_mm=20.5, content_sha256=f"{number}"), [(speckle(100 + number), None)])
    for number in range(8):
        other = benign(f"own10-{number}", largest_mm=10.5, group_id="own10", content_sha256=f"other {number}")
        mine.add(other, [(speckle(200 + number), disc(9))])
    mine.run(*TEMPLATES, lock=release)
    assert verdicts(verify(mine, release)) == ["identical"] * 3


def test_of_two_cases_with_one_frame_the_lock_gives_back_the_one_that_was_taken(tmp_path: Path) -> None:
    for number in range(4):  # their order is drawn: by the order of the rows one in two would be the other
        house = built(tmp_path / f"{number}")
        for size in (10.1 + number / 10, 10.9 - number / 10):
            house.add(benign(f"of-{size:.1f}", largest_mm=size, content_sha256="same"), [(speckle(5), disc(9))])
        house.run(TEMPLATES[0])
        lock = write_lock(house)
        house.run(TEMPLATES[0], lock=lock)
        assert verdicts(verify(house, lock)) == ["identical"]


def test_what_was_drawn_otherwise_names_the_option(mine: House, release: Path) -> None:
    ready = mine.tables["inputs"][0]
    field = np.zeros((60, 80), np.uint8)
    field[5:55, 10:70], field[5:9, 10:14] = 255, 0
    ready["field"] = png(field)
    mine.run(*TEMPLATES)
    report = verify(mine, release, preprocess=CONFIG["preprocess"] | {"overlays": False}, learn=True)
    assert verdicts(report) == ["pixels differ", "identical", "identical"]
    assert report["options"] == ["option preprocess.overlays: true there, false here"], "learning draws nothing"
    drawn = report["scenarios"]["scenario_110"]
    assert drawn["tiles"] == 1
    assert "drawn otherwise; most likely by option preprocess.overlays: true there, false here" in drawn["why"]


def test_another_label_or_another_wording_is_told_apart(mine: House, release: Path) -> None:
    mine.cases[0]["largest_mm"] = 10.6
    other = TEMPLATES[1] | {"expected_action": "No surgery at all"}
    mine.run(TEMPLATES[0], other, TEMPLATES[2])
    report = verify(mine, release)
    assert verdicts(report) == ["text differs", "text differs", "identical"]
    why = [one["why"] for one in report["scenarios"].values()]
    assert "versions and options agree: a label differs (" in why[0]
    assert "largest diameter" in why[0]
    assert "most likely by template of-20-mm: expected_action" in why[1]


def test_what_is_refused_on_one_side_alone_is_said(tmp_path: Path, release: Path, mine: House) -> None:
    del mine.tables["grades"][0]
    mine.add(benign("more", largest_mm=40.5), [(speckle(40), disc(9))])
    theirs = built(tmp_path / "again", *SIZES)
    templates = [*TEMPLATES, one_case(40), one_case(50), one_case(60)]
    theirs.run(*templates)
    lock = write_lock(theirs)
    mine.run(*templates[:-1])
    report = verify(mine, lock)
    told = ["refused here", "identical", "identical", "filled here", "refused in both", "not asked for here"]
    assert verdicts(report) == told
    assert "in quarantine: not graded" in report["scenarios"]["scenario_110"]["why"]
    assert list(report["counts"]) == ["identical", "refused in both", *told[::3], told[-1]]


def test_a_picture_that_was_edited_later_is_not_taken_for_the_one_that_was_written(mine: House, release: Path) -> None:
    mine.run(*TEMPLATES)
    picture = mine.picture("scenario_110")
    picture[0, 0] ^= 1
    (mine.folder / "scenarios" / "images" / "scenario_110.png").write_bytes(encode_png(picture))
    report = verify(mine, release)
    assert verdicts(report) == ["pixels differ", "identical", "identical"]
    assert "scenario_110.png was changed since your run wrote it" in report["scenarios"]["scenario_110"]["why"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no lock can be read"),
        ('{"casebook_lock": 1, "scena', "no lock can be read"),
        ('{"casebook_lock": 2, "scenarios": {}, "templates": [], "run": {}}', "casebook_lock: 1 was expected"),
    ],
)
def test_what_is_no_lock_is_refused_in_one_line(mine: House, release: Path, text: str | None, said: str) -> None:
    mine.run(*TEMPLATES)
    path = release / "casebook.lock.json"
    path.unlink() if text is None else path.write_text(text)
    assert said in verify(mine, release)["ended"]
    assert "no release is named" in verify(mine, "")["ended"]
