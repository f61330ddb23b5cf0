"""cases: one row is one case (a nodule's clip, a study, a still): its labels, and where its pixels lie."""

import pyarrow as pa

from workflow_scripts.tables.table import column

FINDINGS = (  # CheXpert's labels, in its order
    "no_finding",
    "enlarged_cardiomediastinum",
    "cardiomegaly",
    "lung_opacity",
    "lung_lesion",
    "edema",
    "consolidation",
    "pneumonia",
    "atelectasis",
    "pneumothorax",
    "pleural_effusion",
    "pleural_other",
    "fracture",
    "support_devices",
)
ARTERIES = ("lca", "lad", "lcx", "rca")
MUTATIONS = ("egfr", "alk", "pdl1")
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
        column("study_id", pa.string(), "the study that the case is of, where one study has several"),
        column("view", pa.string(), "the view: frontal, lateral, apical four-chamber …; null when not known"),
        column("projection", pa.string(), "of a film: AP, PA, LL, RL"),
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
        column("abnormal", pa.bool_(), "the study was read as abnormal, which is not a diagnosis"),
        *(
            column(name, pa.int8(), f"{name}: 1 present, 0 absent, -1 uncertain; null when it is not mentioned")
            for name in FINDINGS
        ),
        column("ejection_fraction", pa.float64(), "of the left ventricle", "%"),
        column("esv_ml", pa.float64(), "end-systolic volume of the left ventricle", "ml"),
        column("edv_ml", pa.float64(), "end-diastolic volume of the left ventricle", "ml"),
        column("frame_rate", pa.float64(), "as the table of the data set states it", "1/s"),
        column("gated", pa.bool_(), "the CT was triggered by the ECG"),
        column("calcium_outlined", pa.bool_(), "a reader outlined coronary calcium; false: looked for, and none found"),
        column("agatston_given", pa.float64(), "Agatston score of the whole heart as the data set states it"),
        *(column(f"agatston_{name}_given", pa.float64(), f"the same for {name.upper()} alone") for name in ARTERIES),
        column("histologic_subtype", pa.string(), "of the tumour, in the words of the data set"),
        column("histology_class", pa.string(), "of the tumour, as the graded prognostic assessment classes it"),
        *(column(name, pa.bool_(), f"{name.upper()} positive") for name in MUTATIONS),
        column("lesion_location", pa.string(), "where the dominant lesion is, in the words of the data set"),
        column("n_lesions", pa.int16(), "lesions at diagnosis"),
        column("extracranial", pa.bool_(), "metastases outside the skull at diagnosis"),
        column("karnofsky", pa.int16(), "Karnofsky performance status at diagnosis", "%"),
        column("prognostic_score", pa.float64(), "graded prognostic assessment (Sperduto)"),
        column("pack_years", pa.float64(), "packs of cigarettes a day, times years; 0 of who never smoked"),
        column("blood_flow", pa.string(), "flow signal in the nodule, in the words of the data set"),
        column("ai_advice", pa.string(), "what a machine advised, in the words of the data set"),
        column("physician_conclusion", pa.string(), "what the physician concluded, in the words of the data set"),
        column("ai_says", pa.string(), "ai_advice in one word: benign, malignant, biopsy, follow-up; null: not clear"),
        column("physician_says", pa.string(), "physician_conclusion in the same words"),
        column("year", pa.int16(), "of the examination"),
        column("labels", pa.map_(pa.string(), pa.string()), "labels that have no column: name and value as given"),
        column("split_given", pa.string(), "the split that the publishers assigned"),
    ]
)
