"""The network: built by name, kept as safetensors with what it is and what it was trained on, run on any processor."""

import os
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from workflow_scripts.command import Refusal
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import file_sha256

CONVERT = (
    "python -c \"import torch, safetensors.torch as s; c = torch.load('{path}', weights_only=True);"
    " c = c.get('state_dict', c); s.save_file({{k: v.contiguous() for k, v in c.items()}}, '{stem}.safetensors',"
    " {{'network': 'Unet/resnet18'}})\""
)


def build_network(architecture: str, encoder: str, encoder_weights: str | None) -> torch.nn.Module:
    """Return an encoder-decoder network of segmentation-models-pytorch: one grey channel in, one logit a pixel out.

    The encoder starts from nothing (None), from weights that are downloaded by name (imagenet), or from a safetensors
    file of its own tensors.

    Raises
    ------
    Refusal
        When there is no such architecture or encoder, or its weights cannot be had.
    """
    local = Path(encoder_weights) if encoder_weights and encoder_weights.endswith(".safetensors") else None
    try:
        network = smp.create_model(
            architecture, encoder, encoder_weights=None if local else encoder_weights, in_channels=1, classes=1
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise Refusal(f"model: {architecture} with encoder {encoder}: {' '.join(str(error).split())[:300]}") from None
    except OSError as error:
        raise Refusal(
            f"model.encoder_weights: the weights {encoder_weights!r} of {encoder} cannot be downloaded here"
            f" ({' '.join(str(error).split())[:120]}); write null to train from nothing, or the path"
            " of its safetensors file"
        ) from None
    if local:
        load_encoder(network.encoder, local, encoder)
    return network


def load_encoder(encoder: torch.nn.Module, path: Path, name: str) -> None:
    """Put the tensors of a file into an encoder; what the file holds besides, such as a classifier, is left.

    Where the file's encoder takes three colours, its first weights are summed over them: grey is all three alike.

    Raises
    ------
    Refusal
        When the file is no safetensors, or lacks a tensor of the encoder.
    """
    tensors = read_tensors(path, "model.encoder_weights")[1]
    own = encoder.state_dict()
    found = {}
    for key, wanted in own.items():
        tensor = tensors.get(key, tensors.get(key.removeprefix("model.")))  # timm's own names
        if tensor is not None and tensor.ndim == 4 and (tensor.shape[1], wanted.shape[1]) == (3, 1):
            tensor = tensor.sum(1, keepdim=True)
        if tensor is not None and tensor.shape == wanted.shape:
            found[key] = tensor
    if missing := sorted(own.keys() - found.keys()):
        raise Refusal(
            f"model.encoder_weights: {path} lacks {len(missing)} of the {len(own)} tensors of the encoder {name}, or"
            f" has them of another shape: {missing[0]}; give the file of this encoder"
        )
    encoder.load_state_dict(found)


def read_tensors(path: Path, option: str) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return the header and the tensors of a safetensors file.

    Raises
    ------
    Refusal
        When the file is no safetensors (a pickled checkpoint can run code), or a number in it is none.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        raise Refusal(
            f"{option}: {path} is not safetensors; a pickled checkpoint can run code and is refused. Convert one"
            f" that you trust: {CONVERT.format(path=path, stem=path.with_suffix(''))}"
        ) from None
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise Refusal(f"{option}: {path} holds numbers that are none (NaN or infinite), in {name}: train it again")
    return about, tensors


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory does not suffice: of a processor's, torch only says so in words."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def best_device() -> torch.device:
    """Return the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed_precision(device: torch.device) -> torch.dtype:
    """Return the precision that the processor's features decide, never timing: bfloat16 where it is native."""
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


def save_network(path: Path, network: torch.nn.Module, name: str) -> None:
    """Write weights as safetensors; the header says what network they are of: `Unet/resnet18`.

    The header holds that alone: safetensors writes several entries in an order of its own, and the same weights must
    give the same bytes. What else is known of a model is in the card beside it.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    with write_beside(path) as beside:
        save_file(tensors, beside, {"network": name})


def load_network(path: Path, sha256: str | None = None) -> torch.nn.Module:
    """Return the network that a safetensors file holds, ready to predict.

    Raises
    ------
    Refusal
        When the file cannot be trusted (`read_tensors`), has another hash than `sha256`, does not say what network it
        is of, or holds other tensors than that network's.
    """
    if sha256 is not None and file_sha256(path) != sha256:
        raise Refusal(
            f"model.weights: {path} has the hash {file_sha256(path)}, expected {sha256}; fetch the file again"
        )
    about, tensors = read_tensors(path, "model.weights")
    name = about.get("network", "")
    if name.count("/") != 1:
        raise Refusal(
            f"model.weights: the header of {path} does not say what network it is of, as network: Unet/resnet18"
        )
    architecture, encoder = name.split("/")
    network = build_network(architecture, encoder, None)
    wrong = network.load_state_dict(tensors, strict=False) if _same_shapes(network, tensors) else None
    if wrong is None or wrong.missing_keys or wrong.unexpected_keys:
        raise Refusal(f"model.weights: {path} does not hold the tensors of {name}, which its header names")
    return channels_last(network.eval())


def channels_last(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network with its weights laid out as processors convolve fastest; numbers stay the same."""
    moved: torch.nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def _same_shapes(network: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> bool:
    own = network.state_dict()
    return all(name not in own or own[name].shape == tensor.shape for name, tensor in tensors.items())
