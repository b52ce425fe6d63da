"""Plans of nnU-Net name Python objects: those of networks are accepted, nothing else is imported or called."""

import json
import shutil
from pathlib import Path

import pytest

from command_line import run_in_process
from iqa_registry.errors import WeightsError
from iqa_segmentation.allowed import OBJECTS, check_plans
from iqa_segmentation.nnunet_folder import SHIPPED, read_folder


@pytest.fixture
def folder(tmp_path):
    """The shipped model with one entry of its plans replaced."""

    def make(*place, value):
        path = tmp_path / "model"
        shutil.copytree(SHIPPED, path, dirs_exist_ok=True)
        plans = json.loads((path / "plans.json").read_text())
        entry = plans
        for key in place[:-1]:
            entry = entry[key]
        entry[place[-1]] = value
        (path / "plans.json").write_text(json.dumps(plans))
        return path

    return make


ARCHITECTURE = ("configurations", "2d", "architecture")


def test_plans_do_not_run_a_command(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = folder(*ARCHITECTURE, "arch_kwargs", "nonlin", value="subprocess.Popen")
    plans = json.loads((path / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["nonlin_kwargs"] = {"args": ["touch", "ran"]}
    (path / "plans.json").write_text(json.dumps(plans))
    shutil.copyfile(Path(__file__).parents[2] / "docs/images/maps-ssim.png", "image.png")
    done = run_in_process(
        "segment", "predict", "image.png", "labels.png", "--segmenter", f"nnunet:path={path}"
    )
    assert done.returncode == 1
    assert "names 'subprocess.Popen'" in done.stderr
    scored = run_in_process("evaluate", "-m", f"kcross:segmenter=[nnunet:path={path}]")
    assert scored.returncode == 1
    assert "names 'subprocess.Popen'" in scored.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*ARCHITECTURE, "network_class_name"), "os.system"),
        ((*ARCHITECTURE, "arch_kwargs", "conv_op"), "builtins.eval"),
        ((*ARCHITECTURE, "arch_kwargs", "norm_op"), "torch.nn.modules.conv"),
        ((*ARCHITECTURE, "arch_kwargs", "conv_op"), ["os.system"]),
        (("configurations", "2d", "UNet_class_name"), "os.system"),
        (("configurations", "2d", "resampling_fn_data"), "os.system"),
        (("configurations", "2d", "normalization_schemes"), ["os.system"]),
        (("image_reader_writer",), "../reader"),
        (("label_manager",), {"os": "system"}),
    ],
)
def test_other_names_are_rejected_wherever_they_are(folder, place, value):
    with pytest.raises(WeightsError, match=r"plans\.json names .*not a part of a network"):
        read_folder(folder(*place, value=value))


def test_more_objects_to_import_than_usual_are_checked_too(folder):
    path = folder(*ARCHITECTURE, "_kw_requires_import", value=["nonlin", "stem"])
    plans = json.loads((path / "plans.json").read_text())
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["stem"] = "webbrowser.open"
    with pytest.raises(WeightsError, match=r"webbrowser\.open"):
        check_plans(plans, path / "plans.json")


def test_the_folder_that_ships_and_networks_of_nnunet_are_accepted(folder):
    assert read_folder(SHIPPED).dimensions == 2
    path = folder(*ARCHITECTURE, "arch_kwargs", "nonlin", value="torch.nn.modules.activation.GELU")
    assert read_folder(path).settings["architecture"]["arch_kwargs"]["nonlin"] in OBJECTS


def test_every_accepted_layer_is_a_layer():
    import torch

    for name in OBJECTS:
        if name.startswith("torch.nn.modules.") and name.count(".") == 4:
            module, _, layer = name.rpartition(".")
            found = getattr(__import__(module, fromlist=[layer]), layer)
            assert issubclass(found, torch.nn.Module), name


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*ARCHITECTURE, "arch_kwargs", "strides"), [[], []]),
        ((*ARCHITECTURE, "arch_kwargs", "n_stages"), 10**12),
        ((*ARCHITECTURE, "arch_kwargs", "n_conv_per_stage"), 10**12),
        ((*ARCHITECTURE, "arch_kwargs", "n_conv_per_stage_decoder"), {"a": 1}),
        ((*ARCHITECTURE, "arch_kwargs", "features_per_stage"), 2**18),
        ((*ARCHITECTURE, "arch_kwargs", "kernel_sizes"), 2**40),
        ((*ARCHITECTURE, "arch_kwargs", "norm_op_kwargs"), {"epsilon": 1}),
        (ARCHITECTURE, 7),
        (("configurations", "2d", "patch_size"), ["a", "b"]),
        (("configurations", "2d", "patch_size"), [10**9, 10**9]),
        (("configurations", "2d", "spacing"), [0, 1]),
        (("configurations",), []),
    ],
)
def test_plans_of_another_form_are_refused(folder, place, value):
    from iqa_segmentation.nnunet import NnUNet

    path = folder(*place, value=value)
    with pytest.raises(WeightsError, match=r"plans\.json"):
        NnUNet(str(path))


def test_plans_nested_too_deeply_are_refused(folder):
    path = folder("plans_name", value="x")
    (path / "plans.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match=r"plans\.json: cannot be read as JSON"):
        read_folder(path)
