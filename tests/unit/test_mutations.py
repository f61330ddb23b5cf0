"""Broken copies of every data set of the demo: no command crashes or hangs on them, and no case goes without a word.

A seeded sample here; `make stress` makes 2,000 of each.
"""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

from tests.fixtures import extract_spec, index_rows, index_spec
from workflow_scripts.collections.collection import TABLE, Source
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import dataset_options
from workflow_scripts.demo.make_demo_data import make_demo_data
from workflow_scripts.frames.extract_frames import extract_frames
from workflow_scripts.provenance import ROOT
from workflow_scripts.tables import cases
from workflow_scripts.tables.table import write_rows

COPIES = 2000 if os.environ.get("CASEBOOK_STRESS") else 50
LIMIT_S = 60  # far beyond what a copy takes
DEMO: dict[str, Any] = {
    "frames": None,
    "fetch": None,
    **yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    make_demo_data(out / "data")
    return out


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Fail what takes longer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def broken(data: bytes, rng: random.Random) -> bytes:
    """Return a copy with bytes flipped, cut, or grown."""
    where = rng.randrange(len(data) + 1)
    change = rng.choice(("flip", "cut", "grow", "repeat"))
    if change == "flip":
        copy = bytearray(data)
        for _ in range(rng.choice((1, 4, 64))):
            copy[rng.randrange(len(copy))] ^= rng.randrange(1, 256)
        return bytes(copy)
    if change == "cut":
        return data[:where]
    if change == "grow":
        return data[:where] + rng.randbytes(rng.choice((1, 16, 4096))) + data[where:]
    return data[:where] + data[max(0, where - 200) :]


def run(root: Path, options: dict[str, Any], touched: str | None, scratch: Path) -> tuple[set[str], int]:
    """Index the data set and extract the cases that read the touched file; return who was named, and all remarks."""
    spec = index_spec(options["kind"], options=options["options"])
    try:
        found, lost = index_rows(root, "d", spec, scratch / "cache")
    except Refusal:
        return set(), -1
    chosen = [case for case in found if touched is None or touched in case["sources"]][:3]
    write_rows(scratch / "chunk.parquet", chosen, cases.SCHEMA)
    source = Source(root, scratch / "cache", options=options["options"])
    spec = extract_spec(options["kind"], options["frames"], outlines=options["outlines"], window=options["window"])
    lost += extract_frames(scratch / "chunk.parquet", source, spec, scratch / "frames.parquet")
    named = {row["case_id"] for row in (*found, *lost)} - {TABLE}
    return named, len(lost)


@pytest.mark.parametrize("name", DEMO["datasets"])
def test_no_broken_copy_crashes_hangs_or_loses_a_case(
    name: str, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo)
    options = dataset_options(DEMO)[name]
    root = demo / options["root"]
    rng = random.Random(name)
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("SYNTHETIC"))
    whole, _ = run(root, options, None, tmp_path)
    for number in range(COPIES):
        path = rng.choice(files)
        data = path.read_bytes()
        before = path.stat()
        path.write_bytes(broken(data, rng))
        try:
            with limited(LIMIT_S):
                named, lost = run(root, options, path.relative_to(root).as_posix(), tmp_path)
        except AssertionError as error:
            (tmp_path / "broken").write_bytes(path.read_bytes())
            raise AssertionError(f"copy {number}, {path.relative_to(root)}: {error}") from error
        finally:
            path.write_bytes(data)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        gone = whole - named
        assert lost == -1 or not gone or lost > 0, f"copy {number}, {path.relative_to(root)}: {gone} went unsaid"
