"""What runs a model on pictures outside the workflow, and how the model wants them prepared."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from workflow_scripts import command
from workflow_scripts.provenance import ROOT, file_sha256

CORES = 2  # as model.threads; an ONNX file's masks do not depend on it: each frame is one core's


@dataclass(frozen=True)
class Model:
    """A network ready to run: on how many pictures at once, and by what."""

    probabilities: Callable[[np.ndarray], np.ndarray]
    batch: int
    runtime: str


def preprocessing(model: Path, size: list[int] | None) -> dict[str, Any]:
    """Return the options `preprocess` that a model was trained with: its card's, else the defaults with a given size.

    Raises
    ------
    Refusal
        When neither is there, they contradict each other, or the card is of another file.
    """
    onnx = model.suffix == ".onnx"
    path = model.with_name(f"{model.name}.json") if onnx else model.with_suffix(".json")
    try:
        card = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        raise command.Refusal(f"{path} is not the card of a model: it is no JSON") from None
    if onnx and "sha256" in card and card["sha256"] != file_sha256(model):
        raise command.Refusal(f"{model} is not the file that {path.name} is the card of: export it again")
    stated = card.get("preprocess")
    if stated is None and size is None:
        raise command.Refusal(f"no card {path} says how {model.name} wants its pictures: give --size ROWS COLUMNS")
    if stated and size and list(stated["size"]) != size:
        raise command.Refusal(f"--size {size[0]} {size[1]}: {path} says {stated['size'][0]} {stated['size'][1]}")
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["preprocess"]
    # Words in the field change no pixel that a model sees.
    return (stated or default | {"size": size}) | {"text": "off"}


def load_model(path: Path, size: tuple[int, int]) -> Model:
    """Return the model of an ONNX file or of weights, for pictures of a size (rows, columns).

    Raises
    ------
    Refusal
        When the file cannot be used, wants pictures of another size, or what runs it is not installed.
    """
    return load_onnx(path, size) if path.suffix == ".onnx" else load_weights(path)


def load_onnx(path: Path, size: tuple[int, int]) -> Model:
    """Return the model of a file of `export_onnx`, run by OpenVINO: in bfloat16 where the processor has it."""
    # OpenVINO's converter, which is loaded with it, would ask whether it may report to its makers.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino  # an optional extra
    except ImportError:
        raise command.Refusal("OpenVINO is not installed; install the group `live` of pyproject.toml") from None
    core = openvino.Core()
    try:
        network = core.read_model(path)
        shapes = [list(port.shape) for port in (*network.inputs, *network.outputs)]
    except RuntimeError as error:
        raise command.Refusal(
            f"{path} is not an ONNX file of one picture ({str(error).split(chr(10))[0][:160]})"
        ) from None
    if shapes != [[1, 1, *size]] * 2 or network.inputs[0].element_type != openvino.Type.u8:
        raise command.Refusal(f"{path} takes and gives {shapes}, expected {[1, 1, *size]} grey levels: export it again")
    settings = {"NUM_STREAMS": CORES, "INFERENCE_NUM_THREADS": CORES, "ENABLE_CPU_PINNING": False}
    compiled = core.compile_model(network, "CPU", settings)

    def probabilities(pictures: np.ndarray) -> np.ndarray:
        found: np.ndarray = compiled.create_infer_request().infer({0: pictures[:, None]})[0]
        return found[:, 0]

    # Two threads that are the first to touch OpenVINO's arrays can wait for each other for ever.
    probabilities(np.zeros((1, *size), np.uint8))
    return Model(probabilities, 1, f"OpenVINO, {compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()}")


def load_weights(path: Path) -> Model:
    """Return the model of a safetensors file, run by torch as `predict_masks` does."""
    try:
        from workflow_scripts.segment.predict_masks import BATCH, Predictor
    except ImportError:
        raise command.Refusal(
            "torch is not installed: give an ONNX file of export_onnx, or install the group `learning`"
        ) from None
    predictor = Predictor(path, None, CORES)
    precision = str(predictor.precision).removeprefix("torch.")
    return Model(predictor.probabilities, BATCH, f"torch on {predictor.device.type}, {precision}")
