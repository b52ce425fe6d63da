"""Images for the adapters, and what each of two processes does with them: a fresh one imports this module."""

import warnings

import torch
import torch.distributed as dist

from iqa_registry.testing.probes import degraded, head_images


def batches(count=7, side=48):
    reference = head_images(count, (side, side + 3))
    return degraded(reference), reference


def empty_second(reference):
    mask = torch.ones_like(reference, dtype=torch.bool)
    mask[1] = False
    return mask


def share(rank, file, results):
    """One of two processes: an unequal share of the images, one of them left out."""
    from iqa_registry.adapters.monai import ImageQualityMetric
    from iqa_registry.adapters.torchmetrics import ImageQuality

    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    synthesized, reference = batches()
    mine = slice(0, 2) if rank == 0 else slice(2, None)
    mask = empty_second(reference)[mine]
    quality, monai = ImageQuality("mae"), ImageQualityMetric("mae", get_not_nans=True)
    quality.update(synthesized[mine], reference[mine], mask)
    monai(synthesized[mine], reference[mine], mask=mask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results[rank] = (quality.compute().item(), *(value.item() for value in monai.aggregate()))
    dist.destroy_process_group()
