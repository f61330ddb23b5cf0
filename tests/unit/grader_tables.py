"""Cases, folds, embeddings and nodules in tables, with whatever signal a test plants in them."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.tables import cases, embeddings, folds, nodules
from workflow_scripts.tables.table import write_rows
from workflow_scripts.tirads.train_grader import train_grader

N_FOLDS = 2
MODEL = "unet-resnet18"
KWAK, ACR = "Kwak 2011", "ACR 2017"


class Clinic:
    """The folder <results>/datasets with one data set: levels that are known, features that are noise until planted."""

    def __init__(self, folder: Path, levels: list[str | None], *, seed: int = 0, cases_a_group: int = 1) -> None:
        """Take a case for each level; `cases_a_group` of neighbours are of one patient."""
        rng = np.random.default_rng(seed)
        n = len(levels)
        self.folder = folder
        self.levels = levels
        self.groups = [k // cases_a_group for k in range(n)]
        self.system: str | None = KWAK
        self.blocks = {name: rng.normal(size=(n, 6)) for name in ("features", "control", "view")}
        self.measured = {name: rng.normal(size=n) for name in ("echogenicity", "tall_over_wide", "cystic_share")}
        self.by_model = self.blocks["features"]
        self.other: list[dict[str, Any]] = [{"age": 50, "sex": "female"} for _ in range(n)]

    def write(self, dataset: str = "clinic") -> "Clinic":
        """Write the tables of the data set: an expert's outline of each case, a model's of those of each fold."""
        where = self.folder / "datasets" / dataset
        names = [str(k) for k in range(len(self.levels))]
        listed = [
            {"case_id": name, "dataset": dataset, "group_id": f"p{group}", "label_source": "radiologist"}
            | {"tirads_system": self.system if level else None, "tirads_level": level}
            | other
            for name, group, level, other in zip(names, self.groups, self.levels, self.other, strict=True)
        ]
        write_rows(where / "chunks" / "000.parquet", listed, cases.SCHEMA)
        measured = []
        for fold in range(N_FOLDS):
            embedded = []
            for k, name in enumerate(names):
                about = {"frame_id": f"{name}/0", "case_id": name}
                own = about | {"model": MODEL, "fold": str(fold), "view": self.blocks["view"][k].tolist()}
                blocks = {key: self.blocks[key][k].tolist() for key in ("features", "control")}
                embedded.append(own | blocks | {"outlined_by": "expert"})
                row = about | {"nodule": 1, "area_px": 100} | {key: of[k] for key, of in self.measured.items()}
                if fold == 0:
                    measured.append(row | {"outlined_by": "expert"})
                if self.groups[k] % N_FOLDS == fold:
                    embedded.append(own | {"outlined_by": MODEL, "features": self.by_model[k].tolist()})
                    measured.append(row | {"outlined_by": MODEL, "fold": str(fold)})
            write_rows(where / "embeddings" / MODEL / str(fold) / "000.parquet", embedded, embeddings.SCHEMA)
        write_rows(where / "nodules" / "000.parquet", measured, nodules.SCHEMA)
        return self

    @property
    def dealt(self) -> list[tuple[str, str, int]]:
        """Case, group and fold of each case."""
        return [(str(k), f"p{group}", group % N_FOLDS) for k, group in enumerate(self.groups)]


def write_folds(folder: Path, **clinics: Clinic) -> Path:
    """Write the table of folds over data sets."""
    path = folder / "folds.parquet"
    rows = [
        {"dataset": dataset, "case_id": case, "group_id": f"{dataset}/{group}", "fold": fold}
        for dataset, clinic in clinics.items()
        for case, group, fold in clinic.dealt
    ]
    write_rows(path, rows, folds.SCHEMA)
    return path


def spec(*names: str, tested: tuple[str, ...] = ("0", "1")) -> dict[str, Any]:
    return {"datasets": sorted(names) or ["clinic"], "model": MODEL, "folds": list(tested), "seed": 0}


def learnt(clinic: Clinic, tested: tuple[str, ...] = ("0", "1")) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write one clinic and learn from it."""
    clinic.write()
    folds_path = write_folds(clinic.folder, clinic=clinic)
    return train_grader(clinic.folder / "datasets", folds_path, spec(tested=tested))
