"""The floor of each stage: the least work that its outputs cost, and nothing else. Part of tests/bench.py.

Pictures to encode are taken from what the stage wrote, and refused where they would not become the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import h5py
import nibabel
import numpy as np
from av.video.reformatter import VideoReformatter

from tests.bench_chunks import Chunk
from workflow_scripts.tables import cases
from workflow_scripts.tables.table import read_rows, stream_rows


def png(picture: np.ndarray) -> bytes:
    """Encode a picture as the workflow does, and do nothing else."""
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def pixels(data: bytes) -> np.ndarray:
    """Decode a picture as OpenCV gives it, and do nothing else."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found)


def stored(path: Path, *columns: str) -> list[list[bytes]]:
    """Return the PNGs of each row of a table, those that are not null."""
    rows = stream_rows(path, [*columns])
    return [[r[name]["bytes"] for name in columns if r[name] and r[name]["bytes"]] for r in rows]


def to_encode(path: Path, *columns: str) -> list[list[np.ndarray]]:
    """Return the pictures of each row of a table, which `png` makes into the very bytes that it holds."""
    rows = stored(path, *columns)
    found = [[pixels(data) for data in line] for line in rows]
    if [[png(picture) for picture in line] for line in found] != rows:
        raise SystemExit(f"{path}: the floor does not encode as the stage does")
    return found


def read_floor(chunk: Chunk) -> Callable[[], int]:
    """Read and hash every file that the index rests on."""
    found = read_rows(chunk.table("cases"), cases.SCHEMA)
    files = sorted({chunk.root / path for case in found for path in case["sources"]})

    def floor() -> int:
        for path in files:
            hashlib.sha256(path.read_bytes()).hexdigest()
        return len(found)

    return floor


def decoded_clip(root: Path) -> Iterator[object]:
    """Unpack the mask volume, and decode every frame into pixels."""
    yield np.asarray(nibabel.load(root / "segmentations" / "1_seg.nii.gz").dataobj)  # type: ignore[attr-defined]
    with av.open(str(root / "images" / "1_clip.mp4")) as container:
        stream, reformatter = container.streams.video[0], VideoReformatter()
        stream.thread_count = 1
        for frame in container.decode(stream):
            yield reformatter.reformat(frame, format="rgb24").to_ndarray()


def decoded_stack(root: Path) -> Iterator[object]:
    """Read every row of pictures and masks, in blocks as deep as a chunk of the file."""
    with h5py.File(root / "dataset.hdf5", "r") as file:
        for name in ("image", "mask"):
            depth = file[name].chunks[0]
            for start in range(0, len(file[name]), depth):
                yield file[name][start : start + depth]


def decoded_stills(root: Path) -> Iterator[object]:
    """Read and decode every picture and every mask."""
    for path in sorted(root.glob("*/*")):
        yield pixels(path.read_bytes())


def extract_floor(chunk: Chunk, decoded: Callable[[Path], Iterator[object]]) -> Callable[[], int]:
    """Decode the source, and encode the pictures and masks that are stored."""
    pictures = to_encode(chunk.table("frames"), "image", "mask")

    def floor() -> int:
        for _ in decoded(chunk.root):
            pass
        return sum(bool([*map(png, line)]) for line in pictures)

    return floor


def sources_of(chunk: Chunk) -> list[list[bytes]]:
    """Return the encoded picture and mask of each frame; of a still that is a file, the file's bytes."""
    return [
        [r["image"]["bytes"] or (chunk.root / r["image"]["path"]).read_bytes(), r["mask"]["bytes"]]
        for r in stream_rows(chunk.table("frames"), ["image", "mask"])
    ]


def preprocess_floor(chunk: Chunk) -> Callable[[], int]:
    """Decode picture and mask, filter the field once (median, CLAHE, resize), encode what is stored."""
    given = sources_of(chunk)
    made = to_encode(chunk.table("inputs"), "image", "mask", "field", "overlay")
    fields = [cv2.boundingRect(line[2]) for line in made]
    for one, other in reversed([*pairwise(made)]):
        if np.array_equal(one[2], other[2]):
            del other[2]  # the field of the frame before: no need to encode it again
    clahe = cv2.createCLAHE(2.0, (8, 8))
    greys = [
        np.ascontiguousarray((p if p.ndim == 2 else p[..., 0])[y : y + h, x : x + w])
        for p, (x, y, w, h) in zip((pixels(line[0]) for line in given), fields, strict=True)
    ]

    def floor() -> int:
        for encoded, grey, pictures in zip(given, greys, made, strict=True):
            [*map(pixels, encoded)]
            cv2.resize(clahe.apply(cv2.medianBlur(grey, 3)), pictures[0].shape[::-1], interpolation=cv2.INTER_AREA)
            [*map(png, pictures)]
        return len(made)

    return floor


def forward_floor(chunk: Chunk, weights: Path) -> Callable[[], int]:
    """Pass every picture through the network, batch by batch, and do nothing else."""
    from workflow_scripts.segment.predict_masks import BATCH, Predictor  # torch

    pictures = np.stack([pixels(line[0]) for line in stored(chunk.table("inputs"), "image")])
    predictor = Predictor(weights, None, 1)

    def floor() -> int:
        starts = range(0, len(pictures), BATCH)
        return sum(len(predictor.probabilities(pictures[start : start + BATCH])) for start in starts)

    predictor.probabilities(pictures[:BATCH])  # the first pass plans the convolutions
    return floor


def decode_floor(chunk: Chunk, picture: bool) -> Callable[[], int]:
    """Decode the expert's mask and the model's, and the picture as well where it is asked for."""
    given = [line if picture else line[1:] for line in sources_of(chunk)]
    given = [[*one, *other] for one, other in zip(given, stored(chunk.table("masks"), "mask"), strict=True)]

    def floor() -> int:
        return sum(bool([*map(pixels, line)]) for line in given)

    return floor
