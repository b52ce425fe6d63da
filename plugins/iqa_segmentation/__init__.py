"""Segmenters: nnU-Net v2 folders, networks of MONAI, masks given by the user, none; and a command that trains one."""
