"""The exported scenarios described in Croissant 1.1, with what responsible use asks to know (RAI 1.0)."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from workflow_scripts.collections.collection import PHANTOM
from workflow_scripts.scenarios.export_cases import COLUMNS, NOT_RECORDED, Case
from workflow_scripts.tables.table import IMAGE

# The terms that the specification maps; a validator warns where one is missing.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        name: f"cr:{name}"
        for name in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}


def describe_cases(cases: Sequence[Case], parquet: str, parquet_sha256: str) -> dict[str, Any]:
    """Return the Croissant description of the exported table at `parquet`, relative to the description."""
    sources = {case.source["title"]: case.source for case in cases}
    labels = sorted({case.metadata["label_source"] for case in cases})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "casebook-scenarios",
        "description": (
            f"{len(cases)} clinical scenarios, each with a picture of a case and a decision that does or does not fit"
            f" it. Cases of: {'; '.join(sources) or 'none'}."
        ),
        "version": f"1.0.0+{parquet_sha256[:16]}",
        "license": [
            f"{title}: its own terms; passing it on: {source['redistribution']}" for title, source in sources.items()
        ]
        or [NOT_RECORDED],
        "citeAs": " | ".join(dict.fromkeys(source["citation"] for source in sources.values())) or NOT_RECORDED,
        "creator": {"@type": "sc:Organization", "name": "Casebook"},
        "inLanguage": "en",
        "keywords": ["medical imaging", "benchmark", "clinical decision", *sorted({c.row["modality"] for c in cases})],
        **_responsible_use(list(sources.values()), labels),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "parquet",
                "name": "parquet",
                "description": "The scenarios, one a row, with their pictures.",
                "contentUrl": parquet,
                "encodingFormat": "application/x-parquet",
                "sha256": parquet_sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "scenarios",
                "name": "scenarios",
                "description": "One record is one scenario.",
                "key": {"@id": "scenarios/id"},
                "field": [_field(field) for field in COLUMNS],
            }
        ],
    }


def _field(field: pa.Field) -> dict[str, Any]:
    kind = {IMAGE: "sc:ImageObject", pa.int32(): "sc:Integer"}.get(field.type, "sc:Text")
    source = {"fileObject": {"@id": "parquet"}, "extract": {"column": field.name}}
    return {
        "@type": "cr:Field",
        "@id": f"scenarios/{field.name}",
        "name": field.name,
        "description": field.metadata[b"meaning"].decode(),
        "dataType": kind,
        "source": source | ({"transform": {"jsonPath": "bytes"}} if field.type == IMAGE else {}),
    }


def _responsible_use(sources: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    personal = [
        "Health data of persons: pictures, findings and, where the labels have them, age and sex.",
        "Names, dates, identifiers and names of source files are left out; a picture with suspected words is refused,"
        " unless the user asked that nobody look for them.",
    ]
    cited = "; ".join(f"{source['title']} ({source['doi'] or 'no DOI'})" for source in sources) or "none"
    return {
        "rai:dataCollection": (
            "Nothing was collected for this set. Casebook chose cases of existing data sets by their labels, and one"
            f" frame of each by a fixed rule; no model took part in the choice. Data sets: {cited}."
        ),
        "rai:dataCollectionType": ["Secondary Data Analysis"],
        "rai:dataPreprocessingProtocol": [
            "The picture is the source frame at its own resolution, shown through a window where it holds CT values;"
            " what lies outside the imaged field is blanked, and the file holds no metadata.",
            "The text is a template whose fields are filled from the case's labels and from nothing else.",
        ],
        "rai:dataAnnotationProtocol": [
            f"The labels are those of the source data sets; the strongest of each case is of: {', '.join(labels)}."
            " The decision, its category and its severity are written by the author of the template.",
        ],
        "rai:dataBiases": [
            "The cases are those of few institutions, chosen so that each kind of scenario is filled: how often a"
            " finding, an age or a sex occurs here says nothing of any population.",
        ],
        "rai:dataLimitations": [
            "The decisions are made up, and so are charges: no patient was treated as a scenario says.",
            "One frame stands for an examination, and the text says less than a report would.",
            "The set is small and its texts repeat: a model can do well without looking at the picture. Compare with"
            " the text alone, and with always giving one answer.",
        ],
        "rai:personalSensitiveInformation": (
            ["None: every picture is a phantom, drawn by a program."] if set(labels) == {PHANTOM} else personal
        ),
        "rai:dataUseCases": [
            "Testing whether a model notices that a decision does not fit picture and findings.",
            "Not for training, for diagnosis, or for judging any clinician or patient.",
        ],
        "rai:dataSocialImpact": (
            "It can show that a model waves errors through or raises false alarms before anybody relies on it; a good"
            " score on it is no proof of safety."
        ),
        "rai:dataReleaseMaintenancePlan": (
            "The pictures stay under the terms of their data sets. Who holds the same data makes the same set again."
        ),
    }
