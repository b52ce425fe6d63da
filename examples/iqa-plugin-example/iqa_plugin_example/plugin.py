"""What the plugin contributes. Nothing heavy is imported here, so that ``iqa list`` stays fast."""

from iqa_registry.plugin import Configuration, MetricSpec, hookimpl

NCC = MetricSpec(
    name="ncc", summary="normalized cross-correlation", kind="full-reference", dimensions=(2,), minimum_size=1,
    higher_is_better=True, score_range=(-1, 1), identity_score=1, symmetric=True, supports_gradient=True,
    mask_support="exact", validated_on="none: a plain statistic", license="Apache-2.0",
    reference="10.1109/42.730403", factory="iqa_plugin_example.ncc:NCC",
)  # fmt: skip


@hookimpl
def iqa_register_metrics(register):
    """A metric, and a configuration of an existing one."""
    register(NCC)
    register(Configuration("ssim-7", base="ssim", defaults={"window": 7}, summary="SSIM with window 7"))
