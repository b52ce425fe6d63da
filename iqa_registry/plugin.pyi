from .datasets import Dataset as Dataset, Subject as Subject
from .errors import (
    ImageError as ImageError,
    IQAError as IQAError,
    MissingExtraError as MissingExtraError,
    NotApplicableError as NotApplicableError,
    OptionError as OptionError,
    ParameterError as ParameterError,
    PluginError as PluginError,
    SpecError as SpecError,
    UnknownNameError as UnknownNameError,
    UsageError as UsageError,
    WeightsError as WeightsError,
    install_command as install_command,
    nearest as nearest,
)
from .files import write_atomically as write_atomically
from .hookspecs import hookimpl as hookimpl
from .images.formats import (
    Array as Array,
    Image as Image,
    LazyImage as LazyImage,
    as_picture as as_picture,
    as_volume as as_volume,
    probe_image as probe_image,
    read_image as read_image,
    read_labels as read_labels,
    stem as stem,
    suffix as suffix,
    unstack as unstack,
)
from .images.pair import Group as Group, Pair as Pair
from .images.pairs import natural as natural, pair_paths as pair_paths, read_manifest as read_manifest
from .metrics import (
    Comparison as Comparison,
    DistributionMetric as DistributionMetric,
    Features as Features,
    FullReferenceMetric as FullReferenceMetric,
    Metric as Metric,
    NoReferenceMetric as NoReferenceMetric,
    Summary as Summary,
)
from .ranker import LevelRanker as LevelRanker, Ranker as Ranker
from .registry import Registry as Registry, build_registry as build_registry
from .segmenter import Segmenter as Segmenter
from .specs import (
    Configuration as Configuration,
    DatasetSpec as DatasetSpec,
    MetricSpec as MetricSpec,
    RankerSpec as RankerSpec,
    SegmenterSpec as SegmenterSpec,
    WeightSpec as WeightSpec,
)
from .testing import (
    assert_conforms as assert_conforms,
    conformance_tests as conformance_tests,
    run_checks as run_checks,
)
from .inputs import Inputs as Inputs, open_inputs as open_inputs
from .weights.files import WeightFile as WeightFile, open_file as open_file
from .weights.hashing import file_sha256 as file_sha256, fingerprint as fingerprint
from .weights.sources import (
    IndexArchive as IndexArchive,
    PackageFile as PackageFile,
    Source as Source,
    TorchHubFile as TorchHubFile,
    UrlFile as UrlFile,
    torch_hub_folder as torch_hub_folder,
)
