"""Outline and measure the nodules of one picture or clip (DICOM, AVI, MP4, PNG, JPEG); for research, not for diagnosis.

    python -m workflow_scripts.segment.predict_image PICTURE --model fold-0.onnx [--out FOLDER] [--json]

Each frame goes the workflow's own way: its field is found, it is preprocessed as the model's card says, segmented, and
measured. Weights (safetensors) are run by torch, in batches, to the very masks of the workflow; an ONNX file of
`export_onnx` is run by OpenVINO, frame by frame, fast enough for a scanner.
"""

import argparse
import json
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.clips import UnreadableClip, claimed_frames, read_clip
from workflow_scripts.imaging.dicom import (
    NotDicom,
    UnreadableDicom,
    count_frames,
    frame_times_s,
    read_header,
    spacing_mm,
)
from workflow_scripts.imaging.dicom_frames import read_frames, to_uint8
from workflow_scripts.imaging.field_of_view import FieldNotFound
from workflow_scripts.imaging.measure import Measures, measure_nodules, outline_nodules, to_frame
from workflow_scripts.imaging.quality_signals import AGREEMENT, measure_agreement, measure_signals
from workflow_scripts.imaging.stills import UnreadablePicture, encode_png, read_still, to_grey
from workflow_scripts.metrics.estimator import Estimator, find_estimator
from workflow_scripts.preprocess.preprocess_frames import Prepared, prepare_frame
from workflow_scripts.segment.runtimes import CORES, Model, load_model, preprocessing
from workflow_scripts.tirads.engine import UNDETERMINED, grade_nodule
from workflow_scripts.tirads.systems import NOTHING, Choice, load_system, points_of

CLIPS = {".avi", ".mp4"}
OUTLINE = (0x35, 0xD6, 0xFF)  # as the report draws a model's
NOTE = "for research, not for diagnosis"


@dataclass(frozen=True)
class Frame:
    """One frame as it is looked at, (H, W) or (H, W, 3) uint8; what its file does not state is None."""

    index: int
    image: np.ndarray
    time_s: float | None = None
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class Found:
    """What a model finds on a frame: labels and field on the frame's grid; None, with the problem, without a field.

    `quality` is the estimated Dice and its lower bound; None where nothing was outlined, or nobody fitted an estimate.
    """

    frame: Frame
    nodules: list[Measures]
    labels: np.ndarray | None = None
    field: np.ndarray | None = None
    problem: str | None = None
    quality: tuple[float, float] | None = None


def read_picture(path: Path) -> tuple[int | None, Iterator[Frame]]:
    """Return how many frames a file claims to hold, None where it makes no claim, and the frames in their order.

    Raises
    ------
    Refusal
        When the file is a folder, does not decode, or is a DICOM file of another modality than ultrasound.
    UnreadableClip, UnreadableDicom
        From the iterator, when the file breaks off.
    """
    if path.is_dir():
        raise command.Refusal(f"{path} is a folder: one picture or clip is expected")
    try:
        header = read_header(path)
    except NotDicom:
        if path.suffix.lower() in CLIPS:
            return claimed_frames(path), (Frame(index, image, time) for index, time, image in read_clip(path))
        try:
            return 1, iter([Frame(0, read_still(path))])
        except UnreadablePicture as error:
            raise command.Refusal(f"{path}: {error}; DICOM, AVI, MP4, PNG or JPEG is expected") from None
    except UnreadableDicom as error:
        raise command.Refusal(f"{path}: {error}") from None
    if header.get("Modality") != "US":
        raise command.Refusal(f"{path}: its Modality is {header.get('Modality') or 'not stated'}, expected US")
    times = frame_times_s(header)
    return count_frames(header), (
        Frame(index, to_uint8(values, header, frame=index), times[index] if times else None, spacing_mm(header, index))
        for index, values in enumerate(read_frames(path))
    )


def find_nodules(
    frames: list[Frame], model: Model, spec: dict[str, Any], estimator: Estimator | None = None
) -> list[Found]:
    """Return what a model finds on up to `model.batch` frames, each prepared by the options `preprocess`."""
    prepared: list[Prepared | str] = []
    for frame in frames:
        try:
            prepared.append(prepare_frame(frame.image, None, spec))
        except FieldNotFound as error:
            prepared.append(str(error))
    ready = [one for one in prepared if not isinstance(one, str)]
    maps: Iterator[tuple[np.ndarray, np.ndarray | None]] = iter(())
    if ready:
        pictures = np.stack([one.image for one in ready])
        asked = estimator is not None and AGREEMENT in estimator.signals
        mirrored = model.probabilities(pictures[..., ::-1].copy())[..., ::-1] if asked else [None] * len(ready)
        maps = zip(model.probabilities(pictures), mirrored, strict=True)
    found = []
    for frame, one in zip(frames, prepared, strict=True):
        if isinstance(one, str):
            found.append(Found(frame, [], problem=one))
            continue
        probability, other = next(maps)
        labels = outline_nodules(to_frame(probability, one.affine, one.field.shape), one.field)
        quality = None
        if estimator and labels.any():
            signals = measure_signals(probability, one.image)
            signals[AGREEMENT] = None if other is None else measure_agreement(probability, other)
            quality = estimator.estimate(signals)
        found.append(Found(frame, measure_nodules(labels, frame.spacing_mm), labels, one.field, quality=quality))
    return found


def follow(
    frames: Iterator[Frame], model: Model, spec: dict[str, Any], estimator: Estimator | None = None
) -> Iterator[Found]:
    """Yield what a model finds on every frame, in order; frames are read as they are needed, `CORES` groups at once."""
    waiting: deque[Future[list[Found]]] = deque()
    with ThreadPoolExecutor(CORES) as pool:
        while group := list(islice(frames, model.batch)):
            waiting.append(pool.submit(find_nodules, group, model, spec, estimator))
            if len(waiting) > CORES:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def draw(found: Found) -> np.ndarray:
    """Return a frame (H, W, 3) with its nodules outlined and numbered, and nothing of it outside the field."""
    assert found.labels is not None
    assert found.field is not None
    picture = cv2.cvtColor(np.where(found.field, to_grey(found.frame.image), 0).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    for label in range(1, len(found.nodules) + 1):
        region = (found.labels == label).astype(np.uint8)
        cv2.drawContours(picture, cv2.findContours(region, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0], -1, OUTLINE, 2)
        x, y, width, _ = cv2.boundingRect(region)
        cv2.putText(
            picture, str(label), (x + width + 4, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.5, OUTLINE, 1, cv2.LINE_AA
        )
    return picture


def read_descriptors(text: str) -> dict[str, Collection[Choice]]:
    """Return what a person saw, by descriptor of ACR 2017, from `composition=solid,foci=macrocalcifications+...`."""
    seen: dict[str, Collection[Choice]] = {}
    system = load_system()
    for pair in text.split(","):
        name, _, words = map(str.strip, pair.partition("="))
        if name not in system.descriptors:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(system.descriptors)}")
        terms = [term.strip() for term in words.split("+")]
        try:
            points_of(system, name, terms)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        seen[name] = [Choice(terms) - {NOTHING}]
    return seen


def grade_picture(seen: dict[str, Collection[Choice]] | None, largest: Measures | None) -> dict[str, Any]:
    """Return the level and the advice of ACR 2017 for the largest nodule, from descriptors that a person gives.

    A picture shows two of three diameters, so advice that a missing one may change cannot be determined.
    """
    system = load_system()
    if largest is None or seen is None:
        reason = "no nodule was outlined" if largest is None else "descriptors are needed: a model outlines only"
        return {"system": system.name, "points": None, "level": None, "advice": UNDETERMINED, "reason": reason}
    sizes = [largest.longest_mm, largest.perpendicular_mm, None] if largest.longest_mm else None
    grade = grade_nodule(system, seen, sizes)
    return {name: getattr(grade, name) for name in ("system", "points", "level", "advice", "reason")}


def as_line(found: Found) -> str:
    """Return what was found on a frame in one line, to be read by a person."""
    time = "" if found.frame.time_s is None else f", {found.frame.time_s:.3f} s"
    sizes = []
    for number, nodule in enumerate(found.nodules, start=1):
        size = f"{number}: {nodule.longest_px:.0f} x {nodule.perpendicular_px:.0f} pixels, area {nodule.area_px}"
        if nodule.longest_mm is not None:
            size += f" ({nodule.longest_mm:.1f} x {nodule.perpendicular_mm:.1f} mm, {nodule.area_mm2:.0f} mm²)"
        sizes.append(f"{size}, tall/wide {nodule.tall_over_wide:.2f}")
    if found.quality:
        sizes.append("estimated Dice {:.2f}, lower bound {:.2f}".format(*found.quality))
    return f"frame {found.frame.index + 1}{time}: {found.problem or '; '.join(sizes) or 'no nodule'}"


def as_record(found: Found) -> dict[str, Any]:
    """Return what was found on a frame as JSON has it; lengths are rounded to thousandths."""
    frame = found.frame
    return {
        "frame": frame.index + 1,
        "time_s": frame.time_s,
        "height": frame.image.shape[0],
        "width": frame.image.shape[1],
        "spacing_mm": frame.spacing_mm,
        "problem": found.problem,
        "estimated_dice": found.quality and round(found.quality[0], 3),
        "lower_bound": found.quality and round(found.quality[1], 3),
        "nodules": [
            {name: None if value is None else round(value, 3) for name, value in asdict(nodule).items()}
            for nodule in found.nodules
        ],
    }


def main(argv: list[str] | None = None) -> None:
    """Predict one picture or clip."""
    arguments = command.parser(__doc__)
    arguments.add_argument("picture", type=command.existing, help="DICOM (still or multi-frame), AVI, MP4, PNG, JPEG")
    arguments.add_argument("--model", type=command.existing, required=True, help="ONNX of export_onnx, or safetensors")
    arguments.add_argument("--size", type=int, nargs=2, help="rows and columns, for a model without a card")
    arguments.add_argument("--out", type=Path, help="folder for the frames with outlines, as PNG")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    arguments.add_argument(
        "--descriptors", type=read_descriptors, help="ACR 2017: composition=solid,echogenicity=hypoechoic,foci=a+b ..."
    )
    args = arguments.parse_args(argv)
    cv2.setNumThreads(1)
    spec = preprocessing(args.model, args.size)
    model = load_model(args.model, tuple(spec["size"]))
    estimator, words = find_estimator(args.model)
    count, frames = read_picture(args.picture)
    records, largest = [], None
    try:
        for found in tqdm(
            follow(frames, model, spec, estimator),
            total=count,
            unit=" frames",
            disable=not args.json or count == 1,
        ):
            records.append(as_record(found))
            largest = max(filter(None, [largest, *found.nodules]), key=lambda nodule: nodule.longest_px, default=None)
            if args.out and found.labels is not None:
                number = "" if count == 1 else f"-{found.frame.index + 1:05d}"
                with write_beside(args.out / f"{args.picture.stem}{number}.png") as beside:
                    beside.write_bytes(encode_png(draw(found)))
            if not args.json:
                print(as_line(found), flush=True)
    except (UnreadableClip, UnreadableDicom) as error:
        raise command.Refusal(f"{args.picture}: {error}") from None
    if all(record["problem"] for record in records):
        raise command.Refusal(f"{args.picture}: {records[0]['problem']}")
    grade = grade_picture(args.descriptors, largest)
    if args.json:
        about = {"picture": args.picture.name, "model": args.model.name, "runtime": model.runtime, "preprocess": spec}
        about["quality"] = words
        print(json.dumps(about | {"frames": records, "tirads": grade, "note": NOTE}, indent=2, ensure_ascii=False))
    else:
        level = f"{grade['level']}, advice: {grade['advice']}" if grade["level"] else UNDETERMINED
        print(f"{grade['system']}: {level} ({grade['reason']})\nquality: {words}\n{model.runtime}; {NOTE}")


if __name__ == "__main__":
    main()
