"""What learning does with bad input, where the tests of its parts leave it out: one line that says how to mend it."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="a lean environment has no torch")

import segmentation_models_pytorch as smp  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from tests.unit.test_train_model import SPEC, pictures, write_set  # noqa: E402
from workflow_scripts.command import Refusal  # noqa: E402
from workflow_scripts.imaging.stills import encode_png  # noqa: E402
from workflow_scripts.segment.network import build_network, load_network, save_network  # noqa: E402
from workflow_scripts.segment.pictures import deal, read_pictures  # noqa: E402
from workflow_scripts.segment.predict_masks import Predictor, check_card  # noqa: E402
from workflow_scripts.segment.split_cases import split_cases  # noqa: E402
from workflow_scripts.segment.train_model import Trainer, train_model  # noqa: E402
from workflow_scripts.tables import cases, inputs  # noqa: E402
from workflow_scripts.tables.table import read_rows, write_rows  # noqa: E402

LOG = logging.getLogger("test")
ENCODER = "tu-lcnet_050"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a network that learnt nothing."""
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_network(path, build_network("Unet", ENCODER, None), f"Unet/{ENCODER}")
    return path


@pytest.mark.parametrize(("channels", "classes"), [(3, 1), (1, 2)], ids=["takes colours", "knows two classes"])
def test_a_network_of_the_right_name_and_other_ends_is_refused(tmp_path: Path, channels: int, classes: int) -> None:
    other = smp.create_model("Unet", ENCODER, encoder_weights=None, in_channels=channels, classes=classes)
    save_network(tmp_path / "other.safetensors", other, f"Unet/{ENCODER}")
    with pytest.raises(Refusal, match=f"does not hold the tensors of Unet/{ENCODER}, which its header names"):
        load_network(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "kept", [0, 5, 400, -9], ids=["empty", "cut in the length", "cut in the header", "cut in a tensor"]
)
def test_weights_that_break_off_are_refused(tmp_path: Path, weights: Path, kept: int) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(Refusal, match=r"model.weights: .*cut.safetensors is not safetensors"):
        load_network(tmp_path / "cut.safetensors")


def test_a_checkpoint_under_another_name_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"state_dict": Trap()}, tmp_path / "own.safetensors")
    with pytest.raises(Refusal, match="a pickled checkpoint can run code and is refused"):
        load_network(tmp_path / "own.safetensors")
    assert not (tmp_path / "ran").exists()


def test_out_of_memory_with_one_picture_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Trainer, "train_epoch", no_memory)
    with pytest.raises(Refusal, match="out of memory with a batch of one; lower preprocess.size"):
        train_model(pictures(4), pictures(2), SPEC, tmp_path, LOG)


def test_masks_that_are_nodule_everywhere_are_one_class(tmp_path: Path) -> None:
    write_set(tmp_path, 3)
    path = tmp_path / "datasets" / "clinic" / "inputs" / "000.parquet"
    full = {"bytes": encode_png(np.ones((64, 96), np.uint8)), "path": None}
    write_rows(path, [row | {"mask": full} for row in read_rows(path, inputs.SCHEMA)], inputs.SCHEMA)
    with pytest.raises(Refusal, match=r"training pictures: the 3 masks hold one class only \(nodule\)"):
        read_pictures(tmp_path / "datasets", {("clinic", str(k)) for k in range(3)}, "training pictures")


def test_a_validation_without_a_nodule_is_refused_by_its_name(tmp_path: Path) -> None:
    write_set(tmp_path, 3, empty=True)
    with pytest.raises(Refusal, match="validation pictures: the 3 masks hold one class only"):
        read_pictures(tmp_path / "datasets", {("clinic", str(k)) for k in range(3)}, "validation pictures")


def test_a_fold_that_leaves_nobody_to_train_on_is_refused() -> None:
    rows = [{"dataset": "d", "case_id": str(k), "group_id": f"d/{k}", "fold": k} for k in range(2)]
    with pytest.raises(Refusal, match="fold 0: no group is left to train on; lower split.folds, or add patients"):
        deal(rows, 0, 0)


def write_outlined(root: Path, empty: set[int], given: str | None = None) -> dict[str, Any]:
    """Write four cases of four patients, some with a mask without a nodule; return the parameters of split_cases."""
    write_set(root, 4)
    folder = root / "datasets" / "clinic"
    rows = [{"case_id": str(k), "dataset": "clinic", "group_id": str(k)} for k in range(4)]
    write_rows(folder / "chunks" / "000.parquet", rows, cases.SCHEMA)
    path = folder / "inputs" / "000.parquet"
    blank = {"bytes": encode_png(np.zeros((64, 96), np.uint8)), "path": None}
    found = [row | ({"mask": blank} if int(row["case_id"]) in empty else {}) for row in read_rows(path, inputs.SCHEMA)]
    write_rows(path, found, inputs.SCHEMA)
    return {"datasets": ["clinic"], "folds": 2, "seed": 0, "given": given, "cross_validate": False}


def test_no_fold_is_dealt_without_a_nodule(tmp_path: Path) -> None:
    dealt = split_cases(tmp_path / "datasets", write_outlined(tmp_path, {1, 2}))
    assert sorted((row["case_id"], row["fold"]) for row in dealt) in ([("0", 0), ("3", 1)], [("0", 1), ("3", 0)])
    with pytest.raises(Refusal, match="2 folds asked for, 1 groups of patients with outlines found; lower split.folds"):
        split_cases(tmp_path / "datasets", write_outlined(tmp_path, {1, 2, 3}))


def test_a_given_fold_without_a_nodule_is_refused(tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("dataset,case_id,fold\n" + "".join(f"clinic,{k},{k // 2}\n" for k in range(4)))
    with pytest.raises(Refusal, match="fold 1 of the given split has no case with an outlined frame"):
        split_cases(tmp_path / "datasets", write_outlined(tmp_path, {2, 3}, str(split)))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    network = build_network("Unet", ENCODER, None)
    next(network.parameters()).data[0] = float("nan")
    save_network(tmp_path / "nan.safetensors", network, f"Unet/{ENCODER}")
    with pytest.raises(Refusal, match=r"nan.safetensors holds numbers that are none \(NaN or infinite\), in encoder"):
        load_network(tmp_path / "nan.safetensors")


def test_a_single_step_that_went_astray_is_seen_at_once(tmp_path: Path) -> None:
    astray = SPEC | {"learning_rate": 1e30, "epochs": 1, "batch_size": 4}
    with pytest.raises(Refusal, match=r"the loss is (nan|inf) in epoch 1; lower model.learning_rate"):
        train_model(pictures(4), pictures(2), astray, tmp_path, LOG)


def no_memory(than: int, enough: Any) -> Any:
    """Return a method that fails as torch does on a processor without memory, for more pictures than so many."""

    def method(self: Any, found: Any, *rest: Any) -> Any:
        if (rest[0] if rest else self.batch) > than:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
            )
        return enough(self, found, *rest)

    return method


def test_a_processor_without_memory_halves_the_batch_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Trainer, "train_epoch", no_memory(2, Trainer.train_epoch))
    train_model(pictures(4), pictures(2), SPEC | {"epochs": 1}, tmp_path, LOG)
    assert "halved to 2" in caplog.text


def test_a_prediction_without_memory_takes_fewer_at_a_time_and_says_so(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images = pictures(5).images
    whole = Predictor(weights, None, 1).probabilities(images)
    monkeypatch.setattr(Predictor, "_batch", no_memory(2, Predictor._batch))
    parts = Predictor(weights, None, 1).probabilities(images)
    assert np.allclose(parts, whole, atol=0.02)
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: the batch is halved to 4",
        "out of memory: the batch is halved to 2",
    ]
    monkeypatch.setattr(Predictor, "_batch", no_memory(0, Predictor._batch))
    with pytest.raises(Refusal, match="prediction: out of memory with one picture at a time; lower preprocess.size"):
        Predictor(weights, None, 1).probabilities(images)


def test_a_model_for_pictures_of_another_size_is_refused(tmp_path: Path) -> None:
    here = {"size": [192, 256], "contrast": "clahe", "text": "off"}
    check_card(tmp_path / "own.safetensors", here)  # no card: nobody knows
    (tmp_path / "own.json").write_text(json.dumps({"preprocess": here | {"text": "rapidocr"}}))
    check_card(tmp_path / "own.safetensors", here)
    for change in ({"size": [96, 128]}, {"contrast": "none"}):
        (name,) = change
        (tmp_path / "own.json").write_text(json.dumps({"preprocess": here | change}))
        with pytest.raises(Refusal, match=rf"trained with preprocess.{name}: .* here it is") as refused:
            check_card(tmp_path / "own.safetensors", here)
        assert "\n" not in str(refused.value)


def colour_encoder(path: Path, encoder: str) -> dict[str, Any]:
    """Write an encoder of colour pictures as it is published, with a classifier; return its tensors."""
    found = smp.create_model("Unet", encoder, encoder_weights=None, in_channels=3, classes=1).encoder.state_dict()
    published = {key.removeprefix("model."): tensor.contiguous() for key, tensor in found.items()}
    save_file(published | {"fc.weight": torch.zeros(10, 4)}, path)
    return published


@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet-b0", ENCODER])
def test_an_encoder_of_ones_own_starts_from_its_file(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "encoder.safetensors"
    published = colour_encoder(path, encoder)
    network: Any = build_network("Unet", encoder, str(path))
    own = network.encoder.state_dict()
    summed = 0
    for key, tensor in own.items():
        wanted = published[key.removeprefix("model.")]
        summed += tensor.shape != wanted.shape
        assert torch.equal(tensor, wanted if tensor.shape == wanted.shape else wanted.sum(1, keepdim=True))
    assert summed == 1  # grey for three colours, in the first convolution alone


def test_an_encoders_file_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    colour_encoder(tmp_path / "other.safetensors", "resnet18")
    with pytest.raises(Refusal, match=r"model.encoder_weights: .*other.safetensors lacks \d+ of the \d+ tensors"):
        build_network("Unet", "resnet34", str(tmp_path / "other.safetensors"))
    with pytest.raises(Refusal, match=r"model.encoder_weights: .*none.safetensors is not safetensors"):
        build_network("Unet", "resnet18", str(tmp_path / "none.safetensors"))
