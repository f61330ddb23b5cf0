"""What of a DICOM header may be told, and what is kept of it while a folder is sorted into cases.

An age above 89 is told as 90 (45 CFR 164.514(b)(2)(i)(C)), a date as its year, free text not at all: where the standard
has words for something, only those are told, for a name may stand in any field.
"""

from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, uid

from workflow_scripts.imaging.dicom import UnreadableDicom, attributes, count_frames, identifiers

OLDEST = 90  # stands for every age above 89 years
CAPTURE = uid.SecondaryCaptureImageStorage  # and its multi-frame kinds, whose UIDs begin with it
FILMS = ("CR", "DX", "MG", "RG", "XR")
MODALITIES = (  # of pictures, with the retired ones (PS3.3 C.7.3.1.1.1); DR and XR are usual, though no codes
    "BI CR CT DX ES GM IO IVOCT IVUS LS MG MR NM OAM OCT OP OPM OPT OPTENF OPV OT PT PX RF RG RTIMAGE SM TG US XA XC"
    " CD CF CP CS DD DF DG DM DS EC FA FS LP MA MS OPR PA ST VF AS BDUS BMD DR XR"
)
BODY_PARTS = (  # the usual ones of PS3.16 Annex L
    "ABDOMEN ABDOMENPELVIS ADRENAL ANKLE ANUS AORTA ARM ARTERY AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK"
    " CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS CLAVICLE COCCYX"
    " COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER"
    " FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG"
    " LIVER LSPINE LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT"
    " OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RECTUM RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER"
    " SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TLSPINE TMJ TOE TONGUE"
    " TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VEIN VULVA WHOLEBODY WRIST ZYGOMA"
    " ABDOMINALAORTA LOWERLEG THORAX UPPERARM"
)
PROJECTIONS = (  # View Position of CR, DX and mammography
    "AP PA LL RL RLD LLD RLO LLO LAO RAO LPO RPO CC MLO ML LM LMO FB SIO ISO XCC XCCL XCCM LATERAL LAT OBLIQUE"
)
SIDES = {"R": "right", "L": "left"}
PLACE = ("SOPInstanceUID", "Rows", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "InstanceNumber")


@dataclass(frozen=True)
class Told:
    """What the header of a picture tells; the files of one series that are told alike are one case."""

    patient: str | None
    study: str | None
    series: str
    modality: str
    body_part: str | None
    laterality: str | None
    view: str | None
    age: int | None
    sex: str | None
    year: int | None
    doubtful: str | None  # why a name may stand in the picture
    withheld: bool  # it is for that reason not used


@dataclass(frozen=True)
class Picture:
    """One file that holds a picture; of its header only what sorts the slices of a series is kept."""

    name: str
    sop: str | None
    told: Told
    n_frames: int
    place: Dataset


def picture_of(root: Path, name: str, header: Dataset) -> Picture:
    """Return what is kept of a file.

    Raises
    ------
    UnreadableDicom
        When it does not say its modality: whether its edges may hold a name hangs on it.
    """
    ids, about = identifiers(header), attributes(header)
    modality = _known(about["modality"], MODALITIES)
    if modality is None:
        raise UnreadableDicom("its Modality is missing, or no code of the standard such as CT: expected one")
    age = about["age_years"]
    view, year = _known(about["view_position"], PROJECTIONS), about["study_year"]
    capture, burned_in = header.SOPClassUID.startswith(CAPTURE), header.get("BurnedInAnnotation")
    grey = about["photometric_interpretation"] in ("MONOCHROME1", "MONOCHROME2")
    film = modality in FILMS and view is not None and grey and burned_in != "YES"
    told = Told(
        patient=ids["patient_id"],
        study=ids["study_uid"],
        series=ids["series_uid"] or f"no series: {name}",
        modality=modality,
        body_part=(_known(about["body_part"], BODY_PARTS) or "").lower() or None,
        laterality=SIDES.get(str(about["laterality"])),
        view=view,
        age=min(age, OLDEST) if isinstance(age, int) else None,
        sex={"F": "female", "M": "male"}.get(str(about["sex"])),
        year=year if isinstance(year, int) else None,
        doubtful=(
            "text is burned into it, as the file itself says (BurnedInAnnotation YES): it may be a name"
            if burned_in == "YES"
            else "a Secondary Capture, not as it left the scanner: it may show a name"
            if capture and burned_in != "NO"
            else None
        ),
        withheld=capture and burned_in != "NO" and not (modality == "US" or film),
    )
    place = Dataset()
    for keyword in PLACE:
        if keyword in header:
            place[keyword] = header[keyword]
    place.filename = str(root / name)
    return Picture(name, ids["sop_uid"], told, count_frames(header), place)


def _known(text: object, words: str) -> str | None:
    """Return what a header says where it is one of `words`, a blank between each."""
    return text if isinstance(text, str) and text in words.split() else None


def class_name(header: Dataset) -> str:
    """Return what kind of object a file is, as the standard calls it."""
    name = uid.UID(header.SOPClassUID).name
    return name if name != header.SOPClassUID else "objects of an unknown class"
