"""Take the frames of one chunk of cases, exactly as they are decoded, with the masks that experts drew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.collections.collection import Clip, Still, Unusable, find
from workflow_scripts.files import write_beside
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.tables import cases, frames, quarantine
from workflow_scripts.tables.quarantine import problem_row
from workflow_scripts.tables.table import RowWriter, read_rows, stream_rows, write_rows


def choose_frames(rule: str | dict[str, int], clip: Clip) -> list[int] | None:
    """Return the 0-based indices that a frame rule takes of a clip, ascending; None for every frame.

    `all`; `middle`; `largest_mask` (of several equally large, the one nearest to the middle); `{"evenly": n}`: n frames
    from the first to the last, both included, all of a shorter clip.
    """
    if rule == "all":
        return None
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


def frame_row(case_id: str, still: Still) -> dict[str, Any]:
    """Return the row of `frames` of one decoded still."""
    return {
        "frame_id": f"{case_id}/{still.index}",
        "case_id": case_id,
        "frame_index": still.index,
        "position": still.position,
        "time_s": still.time_s,
        "height": still.image.shape[0],
        "width": still.image.shape[1],
        "image": {"bytes": None if still.path else encode_png(still.image), "path": still.path},
        "mask": None if still.mask is None else {"bytes": encode_png(still.mask), "path": None},
        "mask_kind": None if still.mask is None else "nodule",
        "pixel_sha256": pixel_sha256(still.image),
    }


def read_case(root: Path, kind: str, rule: str | dict[str, int], case: dict[str, Any], lost: list) -> Iterator[dict]:
    """Yield the rows of one case; what it has lost is appended to `lost`.

    Raises
    ------
    Unusable
        When the case cannot be used; the rows that it has yielded are void.
    """
    clip = find(kind).open_case(root, case)
    count = 0
    for still in clip.read(choose_frames(rule, clip)):
        count += 1
        yield frame_row(case["case_id"], still)
    if not count:
        first = (
            clip.problems[0]
            if clip.problems
            else Unusable(case["sources"][0], "it holds no frame", "download it again")
        )
        raise Unusable(first.file, f"no picture of the case can be used: {first.reason}", first.mend)
    lost += clip.problems


def extract_frames(chunk: Path, root: Path, spec: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    """Write the frames of a chunk to `out`, and return the rows of `quarantine`."""
    problems, void = [], set()
    with write_beside(out) as beside:
        with RowWriter(beside, frames.SCHEMA) as writer:
            for case in read_rows(chunk, cases.SCHEMA):
                lost: list[Unusable] = []
                try:
                    for row in read_case(root, spec["kind"], spec["frames"], case, lost):
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
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="kind, frames as JSON")
    arguments.add_argument("--frames", type=Path, required=True, help="table to write")
    arguments.add_argument("--quarantine", type=Path, required=True, help="table to write")
    args = arguments.parse_args(argv)
    log = command.start("extract_frames")
    problems = extract_frames(args.chunk, Path(args.roots[args.dataset]), args.spec, args.frames)
    write_rows(args.quarantine, problems, quarantine.SCHEMA)
    for row in problems:
        log.warning("%s: %s: %s; %s", row["case_id"], row["file"], row["reason"], row["mend"])


if __name__ == "__main__":
    main()
