"""Write the masks of a model as files that other systems read, each on the grid of the file that was outlined.

Of a case from DICOM: a Segmentation (`.seg.dcm`) and a measurement report by TID 1500 (`.sr.dcm`). Of a volume or a
clip from other files: a NIfTI label file. Of a still: a label PNG of the same name. `export.json` says for every case
what was written, how much of it the model looked at, and what could not be said. What was written is read back.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from workflow_scripts import command
from workflow_scripts.collections.coca_series import read_series
from workflow_scripts.collections.collection import Unusable
from workflow_scripts.files import natural, write_folder_beside
from workflow_scripts.imaging.dicom import count_frames
from workflow_scripts.imaging.dicom_derived import Outliner, lie_in_space, read_source
from workflow_scripts.imaging.dicom_seg import check_segmentation, segment
from workflow_scripts.imaging.nifti_masks import even_step, write_clip_mask, write_volume_mask
from workflow_scripts.imaging.structured_report import check_report, report_measures
from workflow_scripts.imaging.volumes import UnreadableVolume, open_volume
from workflow_scripts.provenance import file_sha256
from workflow_scripts.segment.predicted import Predicted, read_predicted

CLIPS = ("hdf5-stack", "mp4-nifti", "avi-csv", "clip")
COCA = ("dicom-plist", "dicom-xlsx")  # their cases name files in the order of names, their frames are in that of space
NOTICE = """\
Masks that a network drew, for research and not for diagnosis. No expert has looked at them.

The files in dicom/ name the patient, the study and the pictures as their sources do, for DICOM demands it: they
identify as much as the sources, and stand under the same terms. Keep them where the sources are kept.
The terms of the data set are in NOTICE.txt two folders above; they hold for everything here.
"""


def export_case(case: Predicted, root: Path, outlines: str, outliner: Outliner, out: Path) -> tuple[list[Path], list]:
    """Write the masks of one case below `out`; return the files, and what they could not say.

    Raises
    ------
    Unusable
        When a source cannot be read, or does not fit its masks, or what was written does not read back.
    """
    kind, first = case.row["source_kind"], case.row["sources"][0]
    name = quote(case.row["case_id"], safe=" ")
    segmentation, report = (out / "dicom" / f"{name}.{ending}.dcm" for ending in ("seg", "sr"))
    labels = out / "nifti" / f"{name}.nii.gz"
    try:
        if kind.startswith("dicom-"):
            return export_dicom(case, root, outlines, outliner, segmentation, report)
        if kind == "nifti":
            return export_volume(case, root / first, outlines, labels)
        if kind in CLIPS:
            return export_clip(case, outlines, labels)
        return export_stills(case, out / "stills")
    except (ValueError, IndexError) as error:  # UnreadableDicom and UnreadableVolume among them
        for file in (segmentation, report, labels):
            file.unlink(missing_ok=True)
        reason = "it has fewer pictures than were outlined" if isinstance(error, IndexError) else str(error)
        raise Unusable(first, reason, "take it from another copy, and run again") from None


def sources_of(root: Path, case: Mapping[str, Any]) -> list[str]:
    """Return the file of each frame of a case from DICOM, by its index; of a clip the one file."""
    files = [file for file in case["sources"] if not file.lower().endswith(".xml")]
    return read_series(root, files).slices if case["source_kind"] in COCA else files


def export_dicom(
    case: Predicted, root: Path, outlines: str, outliner: Outliner, segmentation: Path, report: Path
) -> tuple[list[Path], list[str]]:
    """Write a segmentation and a report of what was found in the pictures of a series, or the frames of a file."""
    files = sources_of(root, case.row)
    clip = case.row["source_kind"] == "dicom-clip"
    headers = [read_source(root / file) for file in (files if clip else [files[k] for k in case.masks])]
    n_frames = count_frames(headers[0]) if clip else len(files)
    remarks = case.partly(n_frames)
    found = case.followed(joined=clip or lie_in_space(headers))
    if not any(labels.any() for labels in found.values()):
        return [], [*remarks, "nothing was found: a segmentation without a segment is none"]
    blank = np.zeros_like(next(iter(found.values())))
    indices = range(n_frames) if clip else list(found)
    labels = np.stack([found.get(k, blank) for k in indices])
    spacings = [case.frames[k]["spacing_mm"] if k in found else None for k in indices]
    made = segment(headers, labels, outlines, case.row["body_part"], outliner)
    measures = report_measures(made, headers, labels, [(s[0], s[1]) if s else None for s in spacings], outliner)
    segmentation.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(segmentation, enforce_file_format=True)
    check_segmentation(segmentation, headers, labels)
    measures.save_as(report, enforce_file_format=True)
    check_report(report, made, headers)
    if "FrameOfReferenceUID" not in made:
        remarks.append("the pictures lie in no frame of reference: the masks are tied to pixels, not to a place")
    if not all(case.frames[k]["spacing_mm"] for k in found):
        remarks.append("pictures state no spacing: of nodules measured there the report holds no measurement")
    return [segmentation, report], remarks


def export_volume(case: Predicted, source: Path, outlines: str, path: Path) -> tuple[list[Path], list[str]]:
    """Write the labels of axial slices on the voxels of the NIfTI that they were cut from."""
    volume = open_volume(source)
    view = volume.view("axial")
    axis = view.axes[2]
    found = case.followed(joined=True)
    labels = np.zeros(volume.shape, np.uint16)
    for k, picture in found.items():
        cut = labels[(slice(None),) * axis + (k,)]
        if (stored := view.stored(picture)).shape != cut.shape:
            raise UnreadableVolume(f"its slices are of {cut.shape} voxels, their masks of {stored.shape}")
        cut[:] = stored
    write_volume_mask(path, labels, volume, outlines)
    return [path], case.partly(volume.shape[axis])


def export_clip(case: Predicted, outlines: str, path: Path) -> tuple[list[Path], list[str]]:
    """Write the labels of a clip's frames, as (column, row, 1, frame)."""
    found = case.followed(joined=True)
    stated, last = case.row["n_frames"], max(found) + 1
    labels = np.zeros((max(stated or 0, last), *found[last - 1].shape), np.uint16)
    for k, picture in found.items():
        labels[k] = picture
    frames = [case.frames[k] for k in found]
    spacings = {tuple(frame["spacing_mm"] or ()) for frame in frames}
    spacing = spacings.pop() if len(spacings) == 1 else ()
    step_s = even_step([(frame["frame_index"], frame["time_s"]) for frame in frames])
    write_clip_mask(path, labels, (spacing[0], spacing[1]) if spacing else None, step_s, outlines)
    unknown = "how many frames the clip has is not stated: the file ends with the last one looked at"
    return [path], [*case.partly(len(labels)), *([] if stated else [unknown])]


def export_stills(case: Predicted, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the label PNG of each still under the still's own name."""
    written = []
    for k, data in case.masks.items():
        frame = case.frames[k]
        own = Path(frame["image"]["path"] or frame["position"] or "")
        path = folder / f"{quote(frame['frame_id'], safe=' ')}.png"
        if own.name and not own.is_absolute() and ".." not in own.parts:
            named = folder / own.with_suffix(".png")
            path = path if named.exists() else named
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written.append(path)
    return written, []


def export_masks(
    dataset: Path, root: Path, model: str, folds: Mapping[str, str], outlines: str, out: Path
) -> dict[str, Any]:
    """Write the masks of one data set, and return what `export.json` holds.

    Parameters
    ----------
    dataset
        The folder <results>/datasets/<name>.
    root
        Where the data set's own files lie.
    model
        The model's name.
    folds
        Of each fold whose masks are written, the SHA-256 of its weights.
    outlines
        What the model outlines: nodule, gland, ventricle, …
    out
        The folder to write; one that is there is replaced.
    """
    with write_folder_beside(out) as beside:
        written, lost = [], []
        for case in read_predicted(dataset, model, list(folds)):
            outliner = Outliner(model, f"fold {case.fold}, weights {folds[case.fold][:16]}")
            about = {"case_id": case.row["case_id"], "fold": case.fold}
            try:
                files, remarks = export_case(case, root, outlines, outliner, beside)
            except Unusable as problem:
                lost.append(about | {"file": problem.file, "reason": problem.reason, "mend": problem.mend})
                continue
            names = [file.relative_to(beside).as_posix() for file in files]
            written.append(about | {"files": names, "pictures": len(case.masks), "remarks": remarks})
        summary = {
            "model": model,
            "outlines": outlines,
            "cases": sorted(written, key=lambda row: natural(str(row["case_id"]))),
            "lost": sorted(lost, key=lambda row: natural(str(row["case_id"]))),
        }
        text = json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False)
        (beside / "export.json").write_text(f"{text}\n", encoding="utf-8")
        (beside / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
    return summary


def main(argv: list[str] | None = None) -> None:
    """Export the masks of some data sets."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with one folder a data set")
    arguments.add_argument("--roots", type=command.json_argument, required=True, help="each data set's folder as JSON")
    arguments.add_argument("--model", required=True, help="the model's name")
    arguments.add_argument("--weights", type=command.existing, nargs="*", required=True, help="of each fold, in order")
    arguments.add_argument(
        "--spec", type=command.json_argument, required=True, help="datasets, folds, outlines as JSON; a fold or `given`"
    )
    args = arguments.parse_args(argv)
    log = command.start("export_masks")
    if len(args.weights) != len(args.spec["folds"]):
        raise command.Refusal("export_masks: no model predicts here: write learn: true")
    folds = {fold: file_sha256(path) for fold, path in zip(args.spec["folds"], args.weights, strict=True)}
    for name in args.spec["datasets"]:
        out = args.datasets / name / "export" / args.model
        found = export_masks(
            args.datasets / name, Path(args.roots[name]), args.model, folds, args.spec["outlines"], out
        )
        for row in found["lost"]:
            log.warning("%s: %s: %s; %s", row["case_id"], row["file"], row["reason"], row["mend"])
        log.info("%s: %d cases written to %s, %d could not be", name, len(found["cases"]), out, len(found["lost"]))


if __name__ == "__main__":
    main()
