"""Write models as ONNX, for programs without torch: grey levels in, probabilities out; a card says the rest."""

import json
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.provenance import file_sha256
from workflow_scripts.segment.network import load_network
from workflow_scripts.segment.predict_masks import quicken

OPSET = 18


class Deployed(torch.nn.Module):
    """A network with the steps before and after it that `as_batch` and the prediction do in torch."""

    def __init__(self, network: torch.nn.Module) -> None:
        """Take a network that returns logits."""
        super().__init__()
        self.network = network

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return the probability of nodule (1, 1, H, W) float32 of a grey picture (1, 1, H, W) uint8."""
        return self.network((picture.to(torch.float32) - 64) / 64).sigmoid()


def export_onnx(weights: Path, sha256: str | None, preprocess: dict[str, Any], onnx: Path) -> dict[str, Any]:
    """Write a network as one ONNX file, quickened as for prediction, and return its card.

    Raises
    ------
    Refusal
        When the weights cannot be used (`load_network`), or the network does what ONNX has no words for.
    """
    network = Deployed(quicken(load_network(weights, sha256)).to(memory_format=torch.contiguous_format))  # type: ignore[call-overload]
    shape = (1, 1, *preprocess["size"])
    for library in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own making
            program = torch.onnx.export(
                network.eval(),
                (torch.zeros(shape, dtype=torch.uint8),),
                input_names=["picture"],
                output_names=["probability"],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise command.Refusal(
            f"export_onnx: {weights} cannot be written as ONNX ({' '.join(str(error).split())[:200]})"
        ) from None
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the exporter notes lines of files of this machine
    with write_beside(onnx) as beside:
        program.save(beside)
    about = weights.with_suffix(".json")
    known = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    return {
        "sha256": file_sha256(onnx),
        "weights_sha256": file_sha256(weights),
        "input": {"name": "picture", "layout": "NCHW", "shape": shape, "type": "uint8", "channel": "grey"},
        "output": {"name": "probability", "layout": "NCHW", "shape": shape, "type": "float32"},
        "opset": OPSET,
        "preprocess": preprocess,
        "redistribution": known.get("redistribution", "unclear"),
        "terms": known.get("terms", "those of the weights, which no card beside them states; not for diagnosis"),
    }


def main(argv: list[str] | None = None) -> None:
    """Export models, each with a card `<name>.onnx.json` beside it."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--weights", type=command.existing, nargs="+", required=True, help="safetensors")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="preprocess, sha256 as JSON")
    arguments.add_argument("--onnx", type=Path, nargs="+", required=True, help="files to write, one for each of them")
    args = arguments.parse_args(argv)
    log = command.start("export_onnx")
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise command.Refusal(
                f"export_onnx: {package} is not installed; install the group `live` of pyproject.toml"
            )
    for weights, onnx in zip(args.weights, args.onnx, strict=True):
        card = export_onnx(weights, args.spec["sha256"], args.spec["preprocess"], onnx)
        with write_beside(onnx.with_name(f"{onnx.name}.json")) as beside:
            beside.write_text(json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        log.info("%s: opset %d, %d x %d", onnx, OPSET, *args.spec["preprocess"]["size"])


if __name__ == "__main__":
    main()
