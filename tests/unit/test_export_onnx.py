"""Export: another program comes to the same probabilities and masks, and the card says all that it must know."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="a lean environment has no torch")
pytest.importorskip("onnxscript", reason="the group `live` is not installed")
openvino = pytest.importorskip("openvino", reason="the group `live` is not installed")

import torch  # noqa: E402

from workflow_scripts.command import Refusal  # noqa: E402
from workflow_scripts.demo.nodules import Nodule  # noqa: E402
from workflow_scripts.demo.phantoms import draw_phantom  # noqa: E402
from workflow_scripts.preprocess.preprocess_frames import prepare_frame  # noqa: E402
from workflow_scripts.provenance import canonical_json, file_sha256  # noqa: E402
from workflow_scripts.segment.export_onnx import main  # noqa: E402
from workflow_scripts.segment.network import as_batch, build_network, load_network, save_network  # noqa: E402
from workflow_scripts.segment.runtimes import load_model  # noqa: E402

PREPROCESS: dict[str, Any] = {
    "field_of_view": True,
    "overlays": True,
    "text": "off",
    "speckle": "median",
    "contrast": "clahe",
    "size": [64, 96],
}


def save(folder: Path, name: str) -> Path:
    torch.manual_seed(1)
    architecture, encoder = name.split("/")
    network = build_network(architecture, encoder, None).eval()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # as after training: a fresh norm changes nothing
            assert norm.running_mean is not None
            norm.running_mean.normal_(0, 0.1)
    save_network(folder / "fold-0.safetensors", network, name)
    return folder / "fold-0.safetensors"


def export(weights: Path, onnx: Path, sha256: str | None = None) -> dict[str, Any]:
    spec = canonical_json({"preprocess": PREPROCESS, "sha256": sha256})
    main(["--weights", str(weights), "--spec", spec, "--onnx", str(onnx)])
    card: dict[str, Any] = json.loads(onnx.with_name(f"{onnx.name}.json").read_text())
    return card


def phantoms(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = [draw_phantom([Nodule()], (180, 260), rng, probe="linear")[0] for _ in range(n)]
    return np.stack([prepare_frame(picture, None, PREPROCESS).image for picture in drawn])


def test_onnx_comes_to_the_probabilities_and_masks_of_torch(tmp_path: Path) -> None:
    weights, onnx = save(tmp_path, "Unet/resnet18"), tmp_path / "fold-0.onnx"
    export(weights, onnx)
    pictures = phantoms(6)
    with torch.inference_mode():
        logits = load_network(weights)(as_batch(pictures, torch.device("cpu")))
    expected = logits.sigmoid()[:, 0].numpy()
    exact = openvino.Core().compile_model(onnx, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = np.stack([exact({0: picture[None, None]})[0][0, 0] for picture in pictures])
    assert np.abs(found - expected).max() < 1e-4
    level = float(np.median(expected))  # masks of some size, whatever an untrained network says
    one, other = found > level, expected > level
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.999
    run = load_model(onnx, (64, 96))  # in the processor's own precision
    assert np.abs(np.concatenate([run.probabilities(p[None]) for p in pictures]) - expected).max() < 0.05


def test_the_card_says_what_a_program_must_know_and_the_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    weights, onnx = save(tmp_path, "Unet/tu-lcnet_050"), tmp_path / "fold-0.onnx"
    weights.with_suffix(".json").write_text(json.dumps({"redistribution": "forbidden", "terms": "theirs"}))
    card = export(weights, onnx, file_sha256(weights))
    assert card["weights_sha256"] == file_sha256(weights)
    assert card["sha256"] == file_sha256(onnx)
    assert card["preprocess"] == PREPROCESS
    assert (card["input"]["shape"], card["input"]["type"], card["opset"]) == ([1, 1, 64, 96], "uint8", 18)
    assert (card["redistribution"], card["terms"]) == ("forbidden", "theirs")
    assert str(Path(__file__).parents[2]).encode() not in onnx.read_bytes()  # no path of this machine
    assert export(weights, tmp_path / "again.onnx")["sha256"] == card["sha256"]


def test_weights_with_another_hash_are_refused(tmp_path: Path) -> None:
    weights = save(tmp_path, "Unet/tu-lcnet_050")
    with pytest.raises(Refusal, match="expected 0000"):
        export(weights, tmp_path / "fold-0.onnx", "0000")
    assert not (tmp_path / "fold-0.onnx").exists()
