"""What is measured of phantoms against what was drawn, and what a nodule costs: `python -m tests.bench_descriptors`.

docs/nodules.md has the tables that it prints.
"""

import time

import cv2
import numpy as np

from tests.nodule_pictures import ellipse, measured_phantoms, speckled
from workflow_scripts.demo.nodules import FIELD_DEPTH_CM, SMOOTH, TALLER
from workflow_scripts.tirads.measure_nodules import measure_frame
from workflow_scripts.tirads.validate_descriptors import READ_FROM, validate

N, SHAPE = 300, (300, 380)


def milliseconds(labels: np.ndarray) -> float:
    """Return what it takes to measure the nodules of one frame: processor time, the median of 30 frames."""
    image, field = speckled(labels), np.ones(labels.shape, bool)
    spent = []
    for _ in range(30):
        start = time.process_time()
        measure_frame(image, labels, field, None, None)
        spent.append(1000 * (time.process_time() - start))
    return float(np.median(spent))


def main() -> None:
    """Print the tables in Markdown."""
    cv2.setNumThreads(1)
    phantoms = measured_phantoms(N, SHAPE)
    rows = [row for _, row in phantoms]
    for name, columns in READ_FROM.items():
        if name == "shape":
            continue
        truth = "echogenic_foci" if name == "foci" else name
        said = {row["case_id"]: nodule.descriptors[truth] for nodule, row in phantoms}
        found = validate(rows, said, {case: case for case in said}, columns, 0)
        kappa, balanced = (
            "{:.2f} ({:.2f} to {:.2f})".format(found[key]["value"], *found[key]["interval"])
            for key in ("kappa", "balanced_accuracy")
        )
        print(f"\n{name}: n = {found['n']}, kappa {kappa}, balanced accuracy {balanced}\n")
        lines = [[word, *counts] for word, counts in zip(found["classes"], found["confusion"], strict=True)]
        for cells in (["drawn \\ read", *found["classes"]], ["---"] * (len(found["classes"]) + 1), *lines):
            print(f"| {' | '.join(map(str, cells))} |")
    tall = np.array([[nodule.shape == TALLER, row["tall_over_wide"] > 1] for nodule, row in phantoms])
    counts = [[int((tall == (drawn, read)).all(axis=1).sum()) for read in (True, False)] for drawn in (True, False)]
    print("\nshape: taller-than-wide drawn and measured", counts)
    mm = 10 * FIELD_DEPTH_CM / SHAPE[0]
    drawn = [(nodule, row) for nodule, row in phantoms if nodule.margin == SMOOTH]  # the others are no ellipses
    errors = np.array([row["longest_px"] - 2 * max(nodule.radii[:2]) * SHAPE[0] for nodule, row in drawn])
    print(
        f"longest diameter: n = {len(errors)}, mean error {errors.mean():.2f} px ({errors.mean() * mm:.2f} mm),"
        f" mean of its size {abs(errors).mean():.2f} px ({abs(errors).mean() * mm:.2f} mm),"
        f" largest {abs(errors).max():.1f} px"
    )
    for radii in ((40, 30), (80, 60)):
        print(f"{milliseconds(ellipse((350, 500), radii)):.1f} ms: a nodule of {radii} on 500 x 350 pixels")


if __name__ == "__main__":
    main()
