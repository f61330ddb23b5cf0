"""Where the benchmark of the stages could lie without a word: a floor that does less than the stage, and the share."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.bench_floors import png, to_encode
from tests.bench_stages import MARK, Stage, check_count, share
from workflow_scripts.tables import inputs
from workflow_scripts.tables.table import write_rows


def stage_with(folder: Path, images: list[bytes]) -> Stage:
    rows = [{"frame_id": f"{k}/0", "image": {"bytes": data, "path": None}} for k, data in enumerate(images)]
    write_rows(folder / "inputs.parquet", rows, inputs.SCHEMA)
    return Stage("preprocess_frames", "stills", "", {}, folder / "inputs.parquet", lambda: lambda: 0)


def test_a_floor_handles_as_many_pictures_as_the_stage_wrote(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, [png(np.eye(8, dtype=np.uint8))] * 3)
    check_count(stage, lambda: 3)
    with pytest.raises(SystemExit, match="3 rows were written, the floor handled 2"):
        check_count(stage, lambda: 2)


def test_a_floor_encodes_to_the_very_bytes_of_the_stage(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    stage = stage_with(tmp_path, [png(picture)])
    ((found,),) = to_encode(stage.out, "image", "mask")
    assert np.array_equal(found, picture)
    smaller = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    with pytest.raises(SystemExit, match="does not encode as the stage does"):
        to_encode(stage_with(tmp_path, [smaller]).out, "image")


def test_share_counts_the_start_and_says_from_where_on_it_no_longer_weighs() -> None:
    found = share([(10.0, 30.0), (6.0, 9.0), (3.2, 4.0)], 100)  # 40 ms a picture, 32 of them the floor's
    assert (found["share"], found["share without start"]) == (0.32, 0.8)
    n = int(str(found["70% from"]).split()[0])
    shares = [0.032 * count / (6 + 0.04 * count) for count in (n - 1, n)]
    assert shares[0] < MARK <= shares[1]
    assert share([(10.0, 30.0), (6.0, 9.0), (2.0, 4.0)], 100)["70% from"] == "no number of pictures"
