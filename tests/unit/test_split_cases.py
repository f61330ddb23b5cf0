"""Folds: nobody's patient on both sides, near-duplicates joined, given splits respected and checked."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.collections import ddti
from workflow_scripts.collections.collection import Source
from workflow_scripts.command import Refusal
from workflow_scripts.imaging.near_duplicates import difference_hash, join, near_duplicates, thumbnail
from workflow_scripts.imaging.stills import decode_picture, encode_png, to_grey
from workflow_scripts.preprocess.preprocess_frames import prepare_frame
from workflow_scripts.provenance import ContentHashes, canonical_json
from workflow_scripts.segment.split_cases import deal, main, split_cases, stratum
from workflow_scripts.tables import cases, folds, inputs
from workflow_scripts.tables.table import read_rows, write_rows

PREPROCESS = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())["preprocess"]


def view(seed: int, speckle: int = 0) -> np.ndarray:
    """Return a picture of blurred noise, (96, 128) uint8: smooth anatomy, and grains of its own."""
    smooth = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(96, 128)), (0, 0), 6)
    grains = np.random.default_rng(1000 + speckle).normal(1, 0.2, smooth.shape)
    grey = (smooth - smooth.min()) / np.ptp(smooth) * 200 + 20
    return np.clip(grey * grains, 0, 255).astype(np.uint8)


def jpeg(picture: np.ndarray) -> np.ndarray:
    return decode_picture(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1].tobytes())


def write_dataset(
    folder: Path,
    name: str,
    pictures: dict[str, list[np.ndarray]],
    known: dict[str, dict[str, Any]] | None = None,
    *,
    outlined: bool = True,
) -> None:
    """Write chunks/ and inputs/ of a data set: case -> its pictures, and what its row says besides."""
    disc = np.zeros((96, 128), np.uint8)
    cv2.circle(disc, (64, 48), 20, 1, -1)
    rows = [{"case_id": case, "dataset": name, "group_id": case} | (known or {}).get(case, {}) for case in pictures]
    frames = [
        {
            "frame_id": f"{case}/{k}",
            "case_id": case,
            "image": {"bytes": encode_png(picture), "path": None},
            "mask": {"bytes": encode_png(disc * outlined), "path": None} if k % 2 == 0 else None,
        }
        for case, stills in pictures.items()
        for k, picture in enumerate(stills)
    ]
    write_rows(folder / name / "chunks" / "000.parquet", rows, cases.SCHEMA)
    write_rows(folder / name / "inputs" / "000.parquet", frames, inputs.SCHEMA)


def plain(folder: Path, n: int, known: dict[str, dict[str, Any]] | None = None) -> None:
    """Write a data set `a` of cases c0, c1, ... with one picture each."""
    write_dataset(folder, "a", {f"c{k}": [view(k)] for k in range(n)}, known)


def spec(*datasets: str, n: int = 2, seed: int = 0, split: Path | None = None) -> dict[str, Any]:
    given = str(split) if split else None
    return {"datasets": list(datasets or "a"), "folds": n, "seed": seed, "given": given, "cross_validate": False}


def fold_of(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {f"{row['dataset']}/{row['case_id']}": row["fold"] for row in rows}


def write_split(path: Path, *lines: tuple[str, str, object], header: str = "dataset,case_id,fold") -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *lines])
    return path


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.tuples(st.integers(1, 100), st.sampled_from("xyz")), min_size=2, max_size=40),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 3),
)
def test_every_group_is_dealt_once_and_no_fold_is_empty(groups: list[tuple[int, str]], n_folds: int, seed: int) -> None:
    frames = {f"g{k}": n for k, (n, _) in enumerate(groups)}
    strata = {f"g{k}": label for k, (_, label) in enumerate(groups)}
    n_folds = min(n_folds, len(groups))
    dealt = deal(frames, strata, n_folds, seed)
    assert dealt.keys() == frames.keys()
    assert set(dealt.values()) == set(range(n_folds))
    assert dealt == deal(dict(reversed(frames.items())), strata, n_folds, seed)
    for label in "xyz":  # no two folds differ by more than the largest group of the stratum
        sums = dict.fromkeys(range(n_folds), 0)
        for group, fold in dealt.items():
            sums[fold] += frames[group] * (strata[group] == label)
        assert max(sums.values()) - min(sums.values()) <= max((n for n, of in groups if of == label), default=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_linked_groups_get_one_name_and_a_link_that_joined_nothing_is_no_reason(links: list[tuple[int, int]]) -> None:
    groups = [f"a/{k}" for k in range(10)]
    joined, deciding = join(groups, [(groups[one], groups[other]) for one, other in links])
    assert all(joined[groups[one]] == joined[groups[other]] for one, other in links)
    assert len(set(joined.values())) == 10 - len(deciding)
    assert all(joined[first] == first <= group for group, first in joined.items())


def test_equal_groups_are_dealt_evenly_and_the_seed_decides_which() -> None:
    frames = {f"g{k}": 1 for k in range(20)}
    strata = {f"g{k}": "malignant" if k < 5 else "benign" for k in range(20)}
    dealt = deal(frames, strata, 5, 0)
    assert Counter(dealt.values()) == dict.fromkeys(range(5), 4)
    assert sorted(dealt[f"g{k}"] for k in range(5)) == [0, 1, 2, 3, 4]
    assert dealt != deal(frames, strata, 5, 1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([("benign", None), ("malignant", None)], "malignant"),
        ([("benign", "5")], "benign"),
        ([(None, "4a"), (None, None), (None, "3")], "Kwak 2011 level 4a"),
        ([(None, None)], "not known"),
    ],
)
def test_a_group_is_dealt_by_the_gravest_of_its_labels(
    labels: list[tuple[str | None, str | None]], expected: str
) -> None:
    rows = [{"pathology": path, "tirads_system": "Kwak 2011", "tirads_level": level} for path, level in labels]
    assert stratum(rows) == expected


@pytest.mark.parametrize(
    "change",
    [
        jpeg,
        lambda picture: cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA),
        lambda picture: cv2.convertScaleAbs(picture, alpha=1.15, beta=12),
    ],
    ids=["encoded anew", "resized", "brighter"],
)
def test_a_planted_duplicate_joins_two_data_sets_and_is_told_in_words(tmp_path: Path, change: Any) -> None:
    write_dataset(tmp_path, "a", {"1": [view(1), view(2)], "2": [view(3)]})
    write_dataset(tmp_path, "b", {"7": [view(4), view(5), change(view(2))], "8": [view(6)]})
    rows = split_cases(tmp_path, spec("a", "b"))
    (first,) = [row for row in rows if row["dataset"] == "a" and row["case_id"] == "1"]
    (other,) = [row for row in rows if row["dataset"] == "b" and row["case_id"] == "7"]
    assert first["group_id"] == other["group_id"] == "a/1"
    assert first["fold"] == other["fold"]
    assert first["joined_because"] == other["joined_because"]
    assert re.fullmatch(r"a/1 frame 2 ~ b/7 frame 3 \(correlation (0\.9\d|1\.00)\)", first["joined_because"])
    assert all(row["joined_because"] is None for row in rows if row not in (first, other))


def test_other_views_pure_speckle_blank_pictures_and_frames_of_one_group_are_no_duplicates() -> None:
    views = [view(k, speckle=k) for k in range(40)]
    grains = [np.random.default_rng(k).integers(0, 255, (96, 128), dtype=np.uint8) for k in range(20)]
    pictures = [*views, *grains, *[np.zeros((96, 128), np.uint8)] * 3, views[0]]
    hashes, thumbnails = [difference_hash(p) for p in pictures], [thumbnail(p) for p in pictures]
    assert near_duplicates(hashes, thumbnails, [*(str(k) for k in range(63)), "0"]) == []


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [(jpeg if k < 13 else np.copy)(view(k % 13)) for k in range(30)]
    hashes, thumbnails = [difference_hash(p) for p in pictures], [thumbnail(p) for p in pictures]
    groups = [str(k // 2) for k in range(30)]
    whole = near_duplicates(hashes, thumbnails, groups)
    monkeypatch.setattr("workflow_scripts.imaging.near_duplicates.BLOCK", 4)
    parts = near_duplicates(hashes, thumbnails, groups)
    assert whole
    assert parts == whole


def test_cases_of_one_patient_share_a_fold_and_the_command_repeats_itself(tmp_path: Path) -> None:
    known = {f"c{k}": {"group_id": f"p{k // 2}"} for k in range(8)}
    plain(tmp_path, 8, known)
    for name in ("one", "two"):
        given_spec = canonical_json(spec(n=4))
        main(["--datasets", str(tmp_path), "--spec", given_spec, "--folds", str(tmp_path / name)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    rows = read_rows(tmp_path / "one", folds.SCHEMA)
    assert [row["group_id"] for row in rows] == [f"a/p{k // 2}" for k in range(8)]
    assert all(rows[k]["fold"] == rows[k + 1]["fold"] for k in range(0, 8, 2))
    assert {row["fold"] for row in rows} == {0, 1, 2, 3}


def test_a_case_that_nobody_outlined_links_its_neighbours_and_goes_with_them(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    write_dataset(tmp_path, "b", {"x": [view(0), view(1)]}, outlined=False)
    rows = split_cases(tmp_path, spec("a", "b"))
    assert [(row["case_id"], row["group_id"]) for row in rows] == [
        ("c0", "a/c0"),
        ("c1", "a/c0"),
        ("c2", "a/c2"),
        ("x", "a/c0"),
    ]
    assert rows[3]["fold"] == rows[0]["fold"] == rows[1]["fold"]
    assert rows[0]["joined_because"].count("b/x") == 2


def test_too_few_groups_and_no_outline_at_all_are_refused(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    with pytest.raises(Refusal, match="5 folds asked for, 3 groups .* lower split.folds"):
        split_cases(tmp_path, spec(n=5))
    write_dataset(tmp_path, "none", {"x": [view(0)]}, outlined=False)
    with pytest.raises(Refusal, match="no case of none has an outlined frame: .* add a data set with masks"):
        split_cases(tmp_path, spec("none"))


def test_a_given_split_is_taken_as_it_is(tmp_path: Path) -> None:
    plain(tmp_path, 4)
    path = write_split(tmp_path / "split.csv", *[("a", f"c{k}", k // 3) for k in range(4)], ("a", "unknown", 9))
    rows = split_cases(tmp_path, spec(n=5, split=path))
    assert fold_of(rows) == {"a/c0": 0, "a/c1": 0, "a/c2": 0, "a/c3": 1}


def test_a_given_split_with_a_patient_on_both_sides_is_refused(tmp_path: Path) -> None:
    plain(tmp_path, 4, {"c3": {"group_id": "c0"}})
    path = write_split(tmp_path / "split.csv", *[("a", f"c{k}", k // 3) for k in range(4)])
    with pytest.raises(Refusal, match=r"group a/c0 on both sides \(a/c0 in fold 0, a/c3 in fold 1\); put all in one"):
        split_cases(tmp_path, spec(split=path))
    write_dataset(tmp_path, "b", {"1": [view(0)], "2": [jpeg(view(0))]})
    path = write_split(tmp_path / "split.csv", ("b", "1", 0), ("b", "2", 1))
    with pytest.raises(Refusal, match=r"on both sides .*joined because b/1 frame 1 ~ b/2 frame 1 \(correlation"):
        split_cases(tmp_path, spec("b", split=path))


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ([("a", "c0", 0)], "dataset,case_id,fold", "names no fold for a/c1, a/c2"),
        ([("a", "c0", 0)], "dataset,case,fold", "no column case_id; write dataset,case_id,fold"),
        ([("a", "c0", "test")], "dataset,case_id,fold", "line 2: fold is 'test'; write 0, 1"),
        ([("a", "c0", 0), ("a", "c0", 1)], "dataset,case_id,fold", "line 3: a/c0 is in two folds"),
        ([("a", f"c{k}", k * 2) for k in range(3)], "dataset,case_id,fold", "fold 1 of the given split has no case"),
        ([("a", f"c{k}", 0) for k in range(3)], "dataset,case_id,fold", "fold 1 of the given split has no case"),
    ],
)
def test_a_given_split_that_cannot_be_used_says_what_to_do(
    tmp_path: Path, lines: list[tuple[str, str, object]], header: str, message: str
) -> None:
    plain(tmp_path, 3)
    with pytest.raises(Refusal, match="split.csv: the given split cannot be read"):
        split_cases(tmp_path, spec(split=tmp_path / "split.csv"))
    with pytest.raises(Refusal, match=re.escape(message)):
        split_cases(tmp_path, spec(split=write_split(tmp_path / "split.csv", *lines, header=header)))


def test_the_publishers_split_holds_where_every_case_has_one(tmp_path: Path) -> None:
    published: dict[str, dict[str, Any]] = {
        f"c{k}": {"split_given": text} for k, text in enumerate(("TRAIN", "VAL", "TEST", "TRAIN"))
    }
    plain(tmp_path, 4, published)
    assert fold_of(split_cases(tmp_path, spec())) == {"a/c0": 1, "a/c1": 1, "a/c2": 0, "a/c3": 1}
    published["c2"]["group_id"] = "c0"
    plain(tmp_path, 4, published)
    with pytest.raises(Refusal, match="group a/c0 on both sides"):
        split_cases(tmp_path, spec())
    published["c3"]["split_given"] = None
    plain(tmp_path, 4, published)
    assert len({row["fold"] for row in split_cases(tmp_path, spec()) if row["group_id"] == "a/c0"}) == 1


def write_ddti(root: Path, folder: Path) -> None:
    """Write two data sets: DDTI as it is, and `copies` of 12 of its pictures, smaller and as JPEG."""
    hashes = ContentHashes(root, folder / "hashes.json")
    indexed = ddti.index(Source(root, root), hashes)
    rows = [case.row | {"case_id": case.case_id, "dataset": "ddti"} for case in indexed if case.row]
    frames, copies = [], {}
    for row in rows:
        for still in ddti.open_case(Source(root, root), row).read():
            small = cv2.resize(to_grey(still.image), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
            prepared = prepare_frame(still.image, still.mask, PREPROCESS)
            mask = None if prepared.mask is None else {"bytes": encode_png(prepared.mask), "path": None}
            frame = {"frame_id": f"{row['case_id']}/{still.index}", "case_id": row["case_id"], "mask": mask}
            frames.append(frame | {"image": {"bytes": encode_png(prepared.image), "path": None}})
            if len(frames) % 33 == 0:
                copies[row["case_id"]] = [prepare_frame(jpeg(small), None, PREPROCESS).image]
    write_rows(folder / "ddti" / "chunks" / "000.parquet", rows, cases.SCHEMA)
    write_rows(folder / "ddti" / "inputs" / "000.parquet", frames, inputs.SCHEMA)
    write_dataset(folder, "copies", copies)


def test_real_samples_stay_apart_but_for_shared_pictures_and_copies_are_found(samples: Path, tmp_path: Path) -> None:
    write_ddti(samples / "ddti", tmp_path)
    rows = split_cases(tmp_path, spec("ddti", n=5))
    groups = {row["case_id"]: row["group_id"] for row in rows}
    assert len(set(groups.values())) > 290
    assert groups["233"] == groups["150"]  # 150, 233, 323, 326, 349 hold one picture, byte for byte
    assert not any(row["joined_because"] for row in rows)  # no near-duplicate besides: looked at, the closest are 0.81
    sizes = Counter(row["fold"] for row in rows)
    assert max(sizes.values()) - min(sizes.values()) <= 3
    again = {(row["dataset"], row["case_id"]): row for row in split_cases(tmp_path, spec("ddti", "copies", n=5))}
    copies = [case for name, case in again if name == "copies"]
    found = [case for case in copies if again["copies", case]["group_id"] == again["ddti", case]["group_id"]]
    assert len(found) >= 0.9 * len(copies) > 8
    assert all(f"ddti/{case} frame" in again["copies", case]["joined_because"] for case in found)


def test_every_fold_of_a_given_split_is_scored_or_the_run_stops(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    path = write_split(tmp_path / "split.csv", *(("a", f"c{k}", k) for k in range(3)))
    with pytest.raises(Refusal, match="the split has 3 folds, split.folds says 2; write split.folds: 3"):
        split_cases(tmp_path, spec(split=path) | {"cross_validate": True})
