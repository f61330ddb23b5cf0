"""features: one row is one outlined nodule on one frame: as measured, as described, as graded, as scored.

The data set is no column of the files: it is in their folder's name, `dataset=NAME`, as Hive and DuckDB read it.
"""

import pyarrow as pa

from workflow_scripts.tables import nodules
from workflow_scripts.tables.cases import DESCRIPTORS
from workflow_scripts.tables.table import column

IDENTIFIERS = ("frame_id", "case_id")  # of `nodules`: here pseudonyms stand for them
SAID = ("group_kind", "label_source", "pathology", "tirads_system", "tirads_level")  # of `cases`, as they are
MEASURED = [field for field in nodules.SCHEMA if field.name not in IDENTIFIERS]

SCHEMA = pa.schema(
    [
        column(
            "case_id", pa.string(), "pseudonym of the case: a hash under the run's secret, which stays in its cache"
        ),
        column("group_id", pa.string(), "pseudonym of whoever must stay on one side of a split; see group_kind"),
        column("frame_index", pa.int32(), "0-based, in the case"),
        *MEASURED,
        column("group_kind", pa.string(), "what the group stands for: patient, or the most cautious stand-in"),
        column("label_source", pa.string(), "who says so: histology, radiologist, registry, none; phantom: synthetic"),
        column("pathology", pa.string(), "benign or malignant by histology; null when there is none"),
        column("tirads_system", pa.string(), "the TI-RADS system and version of tirads_level"),
        column("tirads_level", pa.string(), "the level as graded by the radiologist"),
        *(
            column(
                f"{name}_said", pa.string(), f"{name} in the words of the data set; null where one group alone has them"
            )
            for name in DESCRIPTORS
        ),
        *(column(f"{name}_points", pa.int8(), f"ACR points for {name}", "points") for name in DESCRIPTORS),
        column("largest_mm", pa.float64(), "largest diameter as the data set states it; null unless it does", "mm"),
        column(
            "levels", pa.map_(pa.string(), pa.string()), "level by system, from the descriptors; no entry: not to tell"
        ),
        column("dice", pa.float64(), "of the frame's mask against the expert's; null of an expert's, or not scored"),
        column("iou", pa.float64(), "likewise"),
        column("hd95", pa.float64(), "likewise: 95th percentile of the surface distances", "pixel"),
        column("surface_distance", pa.float64(), "likewise: mean surface distance", "pixel"),
        column("estimated_dice", pa.float64(), "Dice of the frame's mask as estimated without a reference; null: none"),
        column("dice_lower_bound", pa.float64(), "the Dice is no lower, at the level that the run states; null: none"),
        column("review", pa.bool_(), "by that estimate the case goes to review; null: none"),
        column("redistribution", pa.string(), "what the terms of the data set let you do: forbidden, unclear, allowed"),
    ]
)
