"""nnU-Net's predictor on a folder of PNGs, with the network that it plans for such, untrained. Part of tests/bench.py.

`PYTHON tests/bench_nnunet.py PICTURES OUT`, by an interpreter that has nnunetv2; it prints what both took.
"""

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO  # type: ignore[import-not-found]
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # type: ignore[import-not-found]
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # type: ignore[import-not-found]
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # type: ignore[import-not-found]

CLASS = "dynamic_network_architectures.architectures.unet.PlainConvUNet"
STAGES, PATCH = 6, (192, 256)
NETWORK = {
    "n_stages": STAGES,
    "features_per_stage": [32, 64, 128, 256, 512, 512],
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "kernel_sizes": [[3, 3]] * STAGES,
    "strides": [[1, 1], *[[2, 2]] * (STAGES - 1)],
    "n_conv_per_stage": [2] * STAGES,
    "n_conv_per_stage_decoder": [2] * (STAGES - 1),
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
IMPORTED = ["conv_op", "norm_op", "dropout_op", "nonlin"]
RESAMPLED = {"order": 1, "order_z": 0, "force_separate_z": None}
PLANS = {
    "dataset_name": "Dataset001_Bench",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "NaturalImage2DIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "configurations": {
        "2d": {
            "data_identifier": "nnUNetPlans_2d",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 12,
            "patch_size": list(PATCH),
            "median_image_size_in_voxels": list(PATCH),
            "spacing": [1.0, 1.0],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": RESAMPLED | {"is_seg": False, "order": 3},
            "resampling_fn_seg_kwargs": RESAMPLED | {"is_seg": True},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": RESAMPLED | {"is_seg": False},
            "architecture": {
                "network_class_name": CLASS,
                "arch_kwargs": NETWORK,
                "_kw_requires_import": IMPORTED,
            },
            "batch_dice": True,
        }
    },
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {}},
}
DATASET = {"channel_names": {"0": "US"}, "labels": {"background": 0, "nodule": 1}, "numTraining": 1}
DATASET |= {"file_ending": ".png", "overwrite_image_reader_writer": "NaturalImage2DIO"}


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Do something; return its seconds of the processor, and by the clock."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start


def main(pictures: Path, out: Path) -> None:
    """Predict every picture from file to file, without mirroring, and pass each through the network alone; in turn."""
    torch.set_num_threads(1)
    plans = PlansManager(PLANS)
    network = get_network_from_plans(
        CLASS,
        NETWORK,
        IMPORTED,
        input_channels=1,
        output_channels=2,
        allow_init=True,
        deep_supervision=False,
    ).eval()
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network, plans, plans.get_configuration("2d"), [network.state_dict()], DATASET, "nnUNetTrainer", None
    )
    files = [[str(path)] for path in sorted(pictures.glob("*.png"))]
    names = [str(out / Path(file).stem) for (file,) in files]
    read = [torch.from_numpy(np.asarray(NaturalImage2DIO().read_images(file)[0])).float() / 255 for file in files]

    def whole() -> None:
        with contextlib.redirect_stdout(sys.stderr):
            predictor.predict_from_files_sequential(files, names, False, True, None)

    def bare() -> None:
        with torch.inference_mode():
            for picture in read:
                network(picture[:, 0][None])

    turns = [(cost(whole), cost(bare)) for _ in range(2)]
    print(json.dumps([min(turn[k] for turn in turns) for k in range(2)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
