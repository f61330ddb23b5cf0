"""A twin of the Zhejiang record: a table in GB18030 with Chinese headers, pictures, and masks of an expert and a model.

Names of headers are likely ones, for no file of the record is public; the rows are made up.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from workflow_scripts.demo.nodules import (
    ANECHOIC,
    CYSTIC,
    HYPERECHOIC,
    HYPOECHOIC,
    ILL_DEFINED,
    LOBULATED,
    MACRO,
    MIXED,
    PUNCTATE,
    SPONGIFORM,
    VERY_HYPOECHOIC,
    Nodule,
)
from workflow_scripts.demo.phantoms import burn_in, draw_phantom

SHAPE = (240, 360)
HEADER = (
    "记录编号,患者编号,甲状腺超声影像图片,真实分割标签,预测分割标签,结节位置特征（左叶）,结节位置特征（右叶）,"
    "结节形态特征（左叶）,结节形态特征（右叶）,结节回声特征（左叶）,结节回声特征（右叶）,结节内部结构,血流信号,"
    "结节TI-RADS分级,AI辅助诊断建议,医生诊断结论,筛查日期"
)
Predict = Callable[[np.ndarray], np.ndarray]


def moved_to(dice: float) -> Predict:
    """Return a model whose mask is the expert's, moved sideways until their Dice is nearest to `dice`."""

    def predict(mask: np.ndarray) -> np.ndarray:
        moved = [np.roll(mask, step, axis=1) for step in range(60)]
        return min(moved, key=lambda other: abs((mask & other).sum() - dice * mask.sum()))

    return predict


GOOD = moved_to(0.93)


def nothing(mask: np.ndarray) -> np.ndarray:
    """Return the mask of a model that finds nothing."""
    return np.zeros_like(mask)


def too_small(mask: np.ndarray) -> np.ndarray:
    """Return a mask that was left at half the size that the model works at."""
    return mask[::2, ::2]


@dataclass(frozen=True)
class Entry:
    """One row, and what its picture shows.

    Attributes
    ----------
    texts
        Location, morphology and echo of the left lobe, then of the right one.
    of_the_row
        Inner structure, blood flow, TI-RADS level, the AI's advice, the physician's conclusion.
    image
        What the table names as the picture, where that is not the picture that is drawn.
    """

    patient: int
    nodules: tuple[Nodule, ...]
    texts: tuple[str, str, str, str, str, str]
    of_the_row: tuple[str, str, str, str, str]
    date: str = "2025-09-12"
    predict: Predict = GOOD
    image: str = ""


def write_thyroid_table(root: Path, seed: int = 0, scale: int = 1) -> None:
    """Write ``records.csv``, ``images``, ``masks`` and ``predicted``, with `scale` times the demo's rows."""
    for name in ("images", "masks", "predicted"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (turn, entry) in enumerate(((turn, entry) for turn in range(scale) for entry in ENTRIES), 1):
        picture, labels = draw_phantom(
            entry.nodules, SHAPE, np.random.default_rng([seed, number]), probe=("linear", "convex")[number % 2]
        )
        mask = (labels > 0).astype(np.uint8)
        if not entry.image:
            cv2.imwrite(str(root / "images" / f"{number}.png"), burn_in(picture, "TH", f"{number:03d}"))
            cv2.imwrite(str(root / "masks" / f"{number}.png"), 255 * mask)
            cv2.imwrite(str(root / "predicted" / f"{number}.png"), 255 * entry.predict(mask))
        uris = (
            (entry.image, "", "")
            if entry.image
            else (f"{name}/{number}.png" for name in ("images", "masks", "predicted"))
        )
        left, right = entry.texts[:3], entry.texts[3:]
        lobes = [text for pair in zip(left, right, strict=True) for text in pair]
        who = (f"TS2025{number:05d}", f"P{100 * turn + entry.patient:05d}")
        rows.append([*who, *uris, *lobes, *entry.of_the_row, entry.date])
    with (root / "records.csv").open("w", newline="", encoding="gb18030") as file:
        csv.writer(file, lineterminator="\r\n").writerows([HEADER.split(","), *rows])


_SUSPICIOUS = Nodule((0.42, 0.5), (0.17, 0.15, 0.2), echogenicity=HYPOECHOIC, margin=LOBULATED, foci=(PUNCTATE,))
_PLAIN = Nodule()

ENTRIES = (
    Entry(
        1,
        (_SUSPICIOUS,),
        ("左叶中部", "边缘不规则，纵横比＞1，可见微钙化", "低回声", "", "", ""),
        ("实性", "内部见丰富血流信号", "4c类", "考虑恶性，建议穿刺活检", "恶性可能，建议细针穿刺"),
    ),
    Entry(
        2,
        (_PLAIN,),
        ("", "", "", "右叶下极", "边缘光整，纵横比<1，未见钙化", "等回声"),
        ("实性", "周边血流", "３类", "考虑良性，建议随访", "良性结节，六个月后复查"),
        date="2025/9/3",
        predict=moved_to(0.81),  # IoU 0.68
    ),
    Entry(
        3,  # the two disagree, and the one patient was seen twice
        (Nodule(radii=(0.15, 0.19, 0.2), echogenicity=VERY_HYPOECHOIC, margin=ILL_DEFINED),),
        ("左叶上极", "边界不清，纵横比<1，未见钙化", "极低回声", "", "", ""),
        ("实性", "少许血流", "4B类", "考虑恶性", "未见恶性征象，考虑良性"),
        date="2025年9月5日",
    ),
    Entry(
        3,
        (Nodule((0.4, 0.45), (0.16, 0.2, 0.2), composition=MIXED, echogenicity=HYPOECHOIC),),
        ("左叶上极", "边缘光滑，纵横比<1，无钙化", "低回声", "", "", ""),
        ("囊实性", "", "Ⅳa类", "建议穿刺", "暂不穿刺，定期随访"),
        predict=moved_to(0.6),
    ),
    Entry(
        5,  # both lobes: no mask is of one of them
        (Nodule((0.40, 0.32), (0.13, 0.12, 0.1)), Nodule((0.42, 0.68), (0.10, 0.13, 0.1), CYSTIC, ANECHOIC)),
        ("左叶中部", "边缘光整", "无回声", "右叶中部", "边缘光整", "等回声"),
        ("左叶囊性，右叶实性", "未见血流", "左叶2类，右叶3类", "良性可能大", "良性，随访"),
    ),
    Entry(
        6,  # from a host that nobody permitted
        (_PLAIN,),
        ("左叶", "", "低回声", "", "", ""),
        ("实性", "", "4a", "建议随访", "随访"),
        image="https://images.example.org/thyroid/6.png?signature=of-the-demo",
    ),
    Entry(
        7,  # the file is not there
        (_PLAIN,),
        ("", "", "", "右叶", "", "高回声"),
        ("实性", "", "3", "良性", "良性"),
        image="images/missing 100%.png",
    ),
    Entry(
        8,
        (Nodule((0.45, 0.55), (0.19, 0.18, 0.2), composition=SPONGIFORM),),
        ("", "", "", "右叶中部", "边缘光整，无钙化", "等回声"),
        ("海绵状", "未见明显血流", "2类", "良性", "性质待定"),
        predict=too_small,
    ),
    Entry(
        9,  # a gland without a nodule: expert and model outline nothing
        (),
        ("", "", "", "", "", ""),
        ("", "正常", "1类", "未见异常", "未见异常"),
    ),
    Entry(
        10,
        (Nodule((0.4, 0.5), (0.16, 0.2, 0.2), echogenicity=HYPERECHOIC, foci=(MACRO,)),),
        ("", "", "", "右叶上极", "边界清晰，粗大钙化", "高回声"),
        ("实性", "条状血流", "4A（低度可疑）", "恶性不除外，建议穿刺", "建议穿刺"),
        predict=nothing,
    ),
)
"""Rows whose files lack nothing, and some that show what is wrong with real ones."""
