"""Models compared on the frames that all of them scored: the mean of each, and for each pair what differs.

A mean is over frames, as in the summary of a model's scores. A difference is taken frame by frame, then averaged over
each patient's frames, then over patients: who has many frames weighs no more than others.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.files import natural
from workflow_scripts.metrics.scored import counted
from workflow_scripts.metrics.summarise_scores import RESAMPLES, bootstrap_interval
from workflow_scripts.tables.table import planned, stream_rows

METRICS = ("dice", "iou", "hd95")
LOWER_IS_BETTER = ("hd95",)
SAME = 1e-9  # the last bits of a sum make nobody better
INTERVAL = (
    f"95 % percentile bootstrap, {RESAMPLES} resamples of groups. A mean is over frames; a difference is the mean over"
    " patients of the mean over their frames. HD95 where every model compared found something."
)

Row = dict[str, Any]
Frame = tuple[str, str]  # data set, frame_id
Case = tuple[str, str]  # data set, case_id


def patients_of(datasets: Path, names: Iterable[str]) -> dict[Case, str]:
    """Return the patient of each case, or the stand-in that its data set has: dataset/group_id."""
    return {
        (name, row["case_id"]): f"{name}/{row['group_id']}"
        for name in names
        for path in planned(datasets / name, "chunks")
        for row in stream_rows(path, ["case_id", "group_id"])
    }


class Compared:
    """Scores of some models, and the frames that all of them scored."""

    def __init__(self, scores: Mapping[str, list[Row]], patients: Mapping[Case, str], seed: int) -> None:
        """Take the rows of `scores` of each model, and the patient of each case."""
        self.seed = seed
        self.rows = {
            model: {(row["dataset"], row["frame_id"]): row for row in counted(own)} for model, own in scores.items()
        }
        self.frames: list[Frame] = sorted(
            set.intersection(*map(set, self.rows.values())), key=lambda frame: tuple(map(natural, frame))
        )
        self.patient, self.group = dict[Frame, str](), dict[Frame, str]()
        for frame in self.frames:
            rows = [own[frame] for own in self.rows.values()]
            self.patient[frame] = patients[frame[0], rows[0]["case_id"]]
            # Given masks know no folds; where a trained model's groups were joined, they are joined for all.
            groups = [row["group_id"] for row in rows]
            self.group[frame] = next((name for name in groups if name != self.patient[frame]), groups[0])

    def having(self, metric: str) -> list[Frame]:
        """Return the common frames where every model has the metric."""
        return [frame for frame in self.frames if all(own[frame][metric] is not None for own in self.rows.values())]

    def counts(self, frames: list[Frame]) -> dict[str, int]:
        """Return how many frames, patients and groups some frames are."""
        patients, groups = ({names[frame] for frame in frames} for names in (self.patient, self.group))
        return {"n_frames": len(frames), "n_patients": len(patients), "n_groups": len(groups)}

    def mean(self, model: str, metric: str) -> Row:
        """Return the mean of a model over the common frames, with its interval over groups."""
        frames = self.having(metric)
        values = np.array([self.rows[model][frame][metric] for frame in frames], dtype=float)
        interval = bootstrap_interval(values, [self.group[frame] for frame in frames], self.seed)
        return {"mean": float(values.mean()) if frames else None, "interval": interval, **self.counts(frames)}

    def difference(self, model: str, minus: str, metric: str) -> Row:
        """Return by how much a model differs from another, patient by patient, and in how many groups it is better."""
        frames = self.having(metric)
        of_patient: dict[str, list[float]] = defaultdict(list)
        of_group: dict[str, list[float]] = defaultdict(list)
        group_of = {self.patient[frame]: self.group[frame] for frame in frames}
        for frame in frames:
            of_patient[self.patient[frame]].append(self.rows[model][frame][metric] - self.rows[minus][frame][metric])
        for patient, found in of_patient.items():
            of_group[group_of[patient]].append(float(np.mean(found)))
        values = np.array([np.mean(found) for found in of_patient.values()], dtype=float)
        interval = bootstrap_interval(values, [group_of[patient] for patient in of_patient], self.seed)
        gains = [float(np.mean(found)) * (-1 if metric in LOWER_IS_BETTER else 1) for found in of_group.values()]
        return {
            "difference": float(values.mean()) if frames else None,
            "interval": interval,
            "better": sum(gain > SAME for gain in gains),
            "worse": sum(gain < -SAME for gain in gains),
            "equal": sum(abs(gain) <= SAME for gain in gains),
            **self.counts(frames),
        }


def compare(scores: Mapping[str, list[Row]], patients: Mapping[Case, str], seed: int) -> dict[str, Any]:
    """Return the comparison of some models.

    Parameters
    ----------
    scores
        Rows of `scores` of each model, in the order in which they are shown.
    patients
        The patient of each case (data set, case_id).
    seed
        Of the bootstrap.
    """
    compared = Compared(scores, patients, seed)
    any_model = {(row["dataset"], row["frame_id"]) for own in scores.values() for row in own}
    return {
        **compared.counts(compared.frames),
        "n_frames_of_any": len(any_model),
        "models": [
            {
                "model": model,
                "n_scored": len(own),
                "n_not_scored": len(any_model) - len(own),
                "n_both_empty": len(own) - len(compared.rows[model]),
                **{metric: compared.mean(model, metric) for metric in METRICS},
            }
            for model, own in scores.items()
        ],
        "pairs": [
            {"model": model, "minus": minus, **{name: compared.difference(model, minus, name) for name in METRICS}}
            for model, minus in combinations(scores, 2)
        ],
    }
