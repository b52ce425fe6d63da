from .api import (
    agree as agree,
    correlate as correlate,
    evaluate as evaluate,
    list_metrics as list_metrics,
    maps as maps,
    metric as metric,
)
from .evaluation.run import load_run as load_run
from .evaluation.summary import summarize as summarize
from .hookspecs import hookimpl as hookimpl
from .images.formats import read_image as read_image
from .metrics import (
    DistributionMetric as DistributionMetric,
    FullReferenceMetric as FullReferenceMetric,
    NoReferenceMetric as NoReferenceMetric,
)
from .registry import Registry as Registry, build_registry as build_registry
from .specs import Configuration as Configuration, MetricSpec as MetricSpec

__version__: str
