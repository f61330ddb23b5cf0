"""cases: one row is one case (a nodule's clip, a study, a still): its labels, and where its pixels lie."""

import pyarrow as pa

from workflow_scripts.tables.table import column

DESCRIPTORS = ("composition", "echogenicity", "shape", "margin", "foci")

SCHEMA = pa.schema(
    [
        column("case_id", pa.string(), "the case's name within its data set"),
        column("dataset", pa.string(), "the user's name of the data set"),
        column(
            "group_id", pa.string(), "who must stay on one side of a split: the patient, or the most cautious stand-in"
        ),
        column("group_kind", pa.string(), "what group_id stands for"),
        column("modality", pa.string(), "DICOM modality code"),
        column("body_part", pa.string(), "body part examined"),
        column("laterality", pa.string(), "right, left, isthmus, or null when not known"),
        column("age", pa.int16(), "age at examination", "years"),
        column("sex", pa.string(), "female, male, or null when not known"),
        column("sources", pa.list_(pa.string()), "the files the case is read from, relative to the data set's root"),
        column("source_kind", pa.string(), "how the sources are laid out"),
        column("source_key", pa.string(), "the case's key inside a source that holds many cases"),
        column("content_sha256", pa.string(), "hash of the content of the sources, for an HDF5 of the case's rows"),
        column("n_frames", pa.int32(), "frames the sources claim to hold; null when only decoding tells"),
        column(
            "label_source",
            pa.string(),
            "who says so: histology, radiologist, registry, none; phantom: nobody, it is synthetic",
        ),
        column("pathology", pa.string(), "benign or malignant by histology; null when there is none"),
        column("tirads_system", pa.string(), "the TI-RADS system and version of tirads_level"),
        column("tirads_level", pa.string(), "the level as graded by the radiologist"),
        *(column(f"{name}_points", pa.int8(), f"ACR points for {name}", "points") for name in DESCRIPTORS),
        *(column(name, pa.string(), f"{name} in the words of the data set") for name in DESCRIPTORS),
        column("size_mm", pa.list_(pa.float64()), "diameters along three unordered axes; null where blank", "mm"),
        column("largest_mm", pa.float64(), "largest diameter; null unless it, or every axis, is stated", "mm"),
        column("split_given", pa.string(), "the split that the publishers assigned"),
    ]
)
