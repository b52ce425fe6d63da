"""nnU-Net itself, to compare with."""

import torch

from iqa_segmentation.nnunet_predictor import unchanged


def by_nnunet(folder, image, spacing, mirror=False):
    """What nnU-Net itself gives for a folder on disk."""
    with unchanged():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(use_mirroring=mirror, device=torch.device("cpu"), allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
        volume = image.reshape((1,) * (4 - image.ndim) + image.shape)
        labels = predictor.predict_single_npy_array(volume, {"spacing": spacing})
    return labels.reshape(image.shape)
