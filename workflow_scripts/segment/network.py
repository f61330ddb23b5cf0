"""The network: built by name, kept as safetensors with what it is and what it was trained on, run on any processor."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from workflow_scripts.command import Refusal
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import canonical_json, file_sha256

CONVERT = (
    "python -c \"import torch, safetensors.torch as s; c = torch.load('{path}', weights_only=True);"
    " s.save_file(c.get('state_dict', c), '{stem}.safetensors', {{'architecture': 'Unet', 'encoder': 'resnet18'}})\""
)


def build_network(architecture: str, encoder: str, encoder_weights: str | None) -> torch.nn.Module:
    """Return an encoder-decoder network of segmentation-models-pytorch: one grey channel in, one logit a pixel out.

    Raises
    ------
    Refusal
        When there is no such architecture or encoder, or its weights cannot be had.
    """
    try:
        return smp.create_model(architecture, encoder, encoder_weights=encoder_weights, in_channels=1, classes=1)
    except (KeyError, ValueError, RuntimeError) as error:
        raise Refusal(f"model: {architecture} with encoder {encoder}: {' '.join(str(error).split())[:300]}") from None
    except OSError as error:
        raise Refusal(
            f"model.encoder_weights: the weights {encoder_weights!r} of {encoder} cannot be downloaded here"
            f" ({' '.join(str(error).split())[:120]}); write null to train from nothing"
        ) from None


def best_device() -> torch.device:
    """Return the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.dtype:
    """Return the precision that follows from the processor's features, never from timing: bfloat16 where it is native."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def be_deterministic(seed: int, threads: int) -> None:
    """Fix what decides numerics: seeds, algorithms, and the number of threads."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(threads)


def as_batch(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return grey pictures (n, H, W) uint8 as a batch (n, 1, H, W) float32 of about zero mean and unit variance."""
    batch = torch.from_numpy(pictures).to(device)[:, None].to(torch.float32)
    return ((batch - 64.0) / 64.0).contiguous(memory_format=torch.channels_last)


def save_network(path: Path, network: torch.nn.Module, about: dict[str, Any]) -> None:
    """Write weights as safetensors; `about` says what they are and goes into the header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with write_beside(path) as beside:
        save_file(
            tensors,
            beside,
            {key: value if isinstance(value, str) else canonical_json(value) for key, value in about.items()},
        )


def load_network(path: Path, sha256: str | None = None) -> tuple[torch.nn.Module, dict[str, str]]:
    """Return the network that a safetensors file holds, ready to predict, and what its header says.

    Raises
    ------
    Refusal
        When the file is no safetensors (a pickled checkpoint can run code), has another hash than `sha256`, does not say
        what network it is of, or holds other tensors than that network's.
    """
    if sha256 is not None and file_sha256(path) != sha256:
        raise Refusal(
            f"model.weights: {path} has the hash {file_sha256(path)}, expected {sha256}; fetch the file again"
        )
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        raise Refusal(
            f"model.weights: {path} is not safetensors; a pickled checkpoint can run code and is refused. Convert one that"
            f" you trust: {CONVERT.format(path=path, stem=path.with_suffix(''))}"
        ) from None
    if not {"architecture", "encoder"} <= about.keys():
        raise Refusal(f"model.weights: the header of {path} does not say architecture and encoder; write them into it")
    network = build_network(about["architecture"], about["encoder"], None)
    wrong = network.load_state_dict(tensors, strict=False) if _same_shapes(network, tensors) else None
    if wrong is None or wrong.missing_keys or wrong.unexpected_keys:
        raise Refusal(
            f"model.weights: {path} does not hold the tensors of {about['architecture']} with {about['encoder']}"
        )
    return network.eval().to(memory_format=torch.channels_last), about


def _same_shapes(network: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> bool:
    own = network.state_dict()
    return all(name not in own or own[name].shape == tensor.shape for name, tensor in tensors.items())


def read_card(path: Path) -> dict[str, Any]:
    """Read the card beside a model's weights."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
