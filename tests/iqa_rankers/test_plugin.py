"""What the plugin declares, built as users build it."""

import numpy as np
import pytest

from iqa_rankers.plugin import RANKERS
from iqa_registry.errors import ParameterError, UnknownNameError, UsageError
from iqa_registry.ranker import LevelRanker, align_out_of_sample
from iqa_registry.registry import build_registry

NAMES = [spec.name for spec in RANKERS]
SAMPLE = np.random.default_rng(0).normal(size=(2, 40))


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def test_the_registry_has_them(registry):
    assert set(NAMES) <= set(registry.rankers)
    assert type(registry.ranker("levels")) is LevelRanker
    assert registry.ranker("levels").spec.reference == "arXiv:2307.04296"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("logistic", "parameters", 4),
        ("logistic:parameters=5", "parameters", 5),
        ("levels-as-published", "higher_is_better", True),
        ("levels-as-published:higher_is_better=false", "higher_is_better", False),
    ],
)
def test_parameters_as_text(registry, text, name, value):
    assert getattr(registry.ranker(text), name) == value


def test_wrong_names_and_parameters(registry):
    with pytest.raises(ParameterError, match="4 or 5, got '6'"):
        registry.ranker("logistic:parameters=6")
    with pytest.raises(ParameterError, match="has no parameter 'folds'"):
        registry.ranker("levels:folds=2")
    with pytest.raises(UnknownNameError, match="Did you mean 'isotonic'"):
        registry.ranker("isotonik")


@pytest.mark.parametrize("name", NAMES)
def test_whether_it_is_fitted_is_declared_rightly(registry, name):
    """One that needs a fit rejects to go without and ignores the ratings of the rows that it is applied to."""
    ranker = registry.ranker(name)
    scores, ratings = SAMPLE
    assert ranker.needs_fit == (name in {"logistic", "isotonic"})
    if not ranker.needs_fit:
        assert ranker.align(scores, ratings).shape == (40,)
        return
    with pytest.raises(UsageError, match=f"ranker '{name}' is not fitted yet"):
        ranker.align(scores, ratings)
    ranker.fit(scores, ratings)
    np.testing.assert_array_equal(ranker.align(scores, ratings), ranker.align(scores, -ratings))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_published_arithmetic_warns(registry, name):
    warning = registry.ranker(name).warning
    if name == "levels-as-published":
        assert warning.count("\n") <= 1
        assert "order of the rows" in warning
        assert "Use levels" in warning
    else:
        assert warning is None


@pytest.mark.parametrize("name", [name for name in NAMES if name != "levels-as-published"])
def test_the_order_of_the_rows_does_not_matter(registry, name):
    scores, ratings = SAMPLE
    subjects = np.arange(40) // 4
    rows = np.random.default_rng(1).permutation(40)
    found = align_out_of_sample(registry.ranker(name), scores, ratings, subjects)
    again = align_out_of_sample(registry.ranker(name), scores[rows], ratings[rows], subjects[rows])
    np.testing.assert_allclose(again, found[rows], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("scores", "message"), [([1.0, np.nan], "score 1"), ([1.0], "one length")])
def test_wrong_columns_are_named(registry, name, scores, message):
    ranker = registry.ranker(name)
    if ranker.needs_fit:
        ranker.fit([1.0, 2.0], [0.1, 0.2])
    with pytest.raises(UsageError, match=message):
        ranker.align(scores, [0.1, 0.2])


@pytest.mark.parametrize("name", ["logistic", "isotonic"])
def test_held_out_ratings_have_no_say(registry, name):
    """Changing the ratings of one subject changes nothing for its own rows, and something for the others."""
    scores, ratings = SAMPLE
    subjects = np.arange(40) // 8
    changed = np.where(subjects == 2, ratings + 5, ratings)
    found, other = (
        align_out_of_sample(registry.ranker(name), scores, r, subjects) for r in (ratings, changed)
    )
    np.testing.assert_array_equal(found[subjects == 2], other[subjects == 2])
    assert (found[subjects != 2] != other[subjects != 2]).mean() > 0.5
