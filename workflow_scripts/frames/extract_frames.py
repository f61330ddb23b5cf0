"""Take the frames of one chunk of cases, exactly as they are decoded, with the masks that experts drew."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts import command
from workflow_scripts.collections.collection import Clip, Source, Still, Unusable, find
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.imaging.values import encode_values
from workflow_scripts.imaging.windows import window_named
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.tables import cases, frames, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import RowWriter, read_rows, stream_rows, write_rows


def choose_frames(rule: str | dict[str, int], clip: Clip) -> list[int] | None:
    """Return the 0-based indices that a frame rule takes of a clip, ascending; None for every frame.

    `all`; `middle`; `outlined`: those with a mask; `largest_mask` (of several equally large, the one nearest to the
    middle); `{"evenly": n}`: n frames from the first to the last, both included, all of a shorter clip.
    """
    if rule == "all":
        return None
    if rule == "outlined":
        return [index for index, area in enumerate(clip.mask_areas()) if area]
    if rule == "largest_mask":
        areas = clip.mask_areas()
        middle = (len(areas) - 1) / 2
        return [min(range(len(areas)), key=lambda index: (-areas[index], abs(index - middle), index))]
    count = clip.count()
    if rule == "middle":
        return [(count - 1) // 2]
    assert isinstance(rule, dict)
    n = min(rule["evenly"], count)
    return [(count - 1) // 2] if n == 1 else [round(k * (count - 1) / (n - 1)) for k in range(n)]


def frame_row(case: Mapping[str, Any], spec: Mapping[str, Any], still: Still) -> dict[str, Any]:
    """Return the row of `frames` of one decoded still of a case.

    `spec` says what masks outline, and by which window values are shown instead of the file's own, if by any.
    """
    window = spec["window"] or still.window
    if isinstance(window, str):
        preset = window_named(window)
        window = preset.centre, preset.width
    ready = still.image.dtype == np.uint8  # to be looked at as it is
    data, slope, intercept = (None, None, None)
    if not ready:
        data, slope, intercept = encode_values(still.image)
    elif not still.path:
        data = encode_png(still.image)
    return {
        "frame_id": f"{case['case_id']}/{still.index}",
        "case_id": case["case_id"],
        "modality": case["modality"],
        "frame_index": still.index,
        "position": still.position,
        "time_s": still.time_s,
        "height": still.image.shape[0],
        "width": still.image.shape[1],
        "spacing_mm": still.spacing_mm,
        "thickness_mm": still.thickness_mm,
        "image": {"bytes": data, "path": still.path if ready else None},
        "slope": slope,
        "intercept": intercept,
        "unit": still.unit,
        "window": None if ready else window,
        "inverted": still.inverted,
        "mask": _labels(still.mask),
        "mask_kind": None if still.mask is None else spec["outlines"],
        "mask_names": still.mask_names,
        "given_mask": _labels(still.given_mask),
        "pixel_sha256": pixel_sha256(still.image),
    }


def _labels(mask: np.ndarray | None) -> dict[str, Any] | None:
    return None if mask is None else {"bytes": encode_png(mask), "path": None}


def stamps(root: Path, files: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return size and time (ns) of those files that are there: what changes when somebody writes to them."""
    found = {file: (root / file).stat() for file in files if (root / file).is_file()}
    return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in found.items()}


def read_case(source: Source, spec: Mapping[str, Any], case: dict[str, Any], lost: list) -> Iterator[dict]:
    """Yield the rows of one case; what it has lost is appended to `lost`.

    Raises
    ------
    Unusable
        When the case cannot be used; the rows that it has yielded are void.
    """
    before = stamps(source.root, case["sources"])
    clip = find(spec["kind"]).open_case(source, case)
    count = 0
    for still in clip.read(choose_frames(spec["frames"], clip)):
        count += 1
        yield frame_row(case, spec, still)
    if not count:
        first = (
            clip.problems[0]
            if clip.problems
            else Unusable(case["sources"][0], "it holds no frame", "download it again")
        )
        raise Unusable(first.file, f"no picture of the case can be used: {first.reason}", first.mend)
    lost += clip.problems
    after = stamps(source.root, case["sources"])
    for file, stamp in before.items():
        if after.get(file) != stamp:
            raise Unusable(file, "it changed while it was read", "run again when nobody writes there any more")


def extract_frames(chunk: Path, source: Source, spec: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    """Write the frames of a chunk to `out`, and return the rows of `quarantine`."""
    problems, void = [], set()
    with write_beside(out) as beside:
        with RowWriter(beside, frames.SCHEMA) as writer:
            for case in read_rows(chunk, cases.SCHEMA):
                lost: list[Unusable] = []
                try:
                    for row in read_case(source, spec, case, lost):
                        writer.write(row)
                except Unusable as problem:
                    lost.append(problem)
                    void.add(case["case_id"])
                status = "quarantined" if case["case_id"] in void else "partial"
                problems += [problem_row("extract_frames", case, status, problem) for problem in lost]
        if void:
            with write_beside(beside) as again, RowWriter(again, frames.SCHEMA) as writer:
                for row in stream_rows(beside):
                    if row["case_id"] not in void:
                        writer.write(row)
    return problems


def main(argv: list[str] | None = None) -> None:
    """Extract one chunk."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--chunk", type=command.existing, required=True, help="table of cases")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--dataset", required=True, help="the data set's name")
    arguments.add_argument(
        "--spec", type=command.json_argument, required=True, help="kind, frames, outlines, window, options as JSON"
    )
    arguments.add_argument("--cache", type=Path, required=True, help="what is kept from run to run")
    arguments.add_argument("--frames", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("extract_frames")
    source = Source(Path(args.roots[args.dataset]), args.cache, options=args.spec["options"])
    problems = extract_frames(args.chunk, source, args.spec, args.frames)
    write_rows(args.quarantine, problems, quarantine.SCHEMA)
    for row in problems:
        log.warning("%s: %s: %s; %s", row["case_id"], row["file"], row["reason"], row["mend"])


if __name__ == "__main__":
    main()
