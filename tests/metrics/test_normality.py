"""The simple scores of abnormality, by their definitions."""

import numpy as np
import pytest

from minigan.errors import MiniganError
from minigan.metrics.normality import NearestNormal, PrincipalComponents


def pictures(n, seed=0, shape=(3, 2, 3)):
    return np.random.default_rng(seed).uniform(-1, 1, (n, *shape)).astype(np.float32)


def test_the_distance_to_the_nearest_normal_picture():
    normal, x = pictures(20), pictures(40, 1)
    expected = [((normal.astype(float) - one) ** 2).mean(axis=(1, 2, 3)).min() for one in x]
    np.testing.assert_allclose(NearestNormal(normal).score(x), expected, rtol=1e-10)
    np.testing.assert_allclose(NearestNormal(normal).score(normal), 0, atol=1e-14)


@pytest.mark.parametrize("n", [12, 60])  # fewer pictures than numbers in one, and more
@pytest.mark.parametrize("components", [1, 4])
def test_the_error_of_principal_components(n, components):
    """Against the singular vectors; what is in their span has no error."""
    normal, x = pictures(n), pictures(7, 1)
    rows, mean = normal.reshape(n, -1).astype(float), normal.reshape(n, -1).mean(axis=0, dtype=float)
    axes = np.linalg.svd(rows - mean, full_matrices=False)[2][:components]  # (K, D)
    centered = x.reshape(7, -1) - mean
    expected = ((centered - centered @ axes.T @ axes) ** 2).mean(axis=1)
    pca = PrincipalComponents(normal, components)
    np.testing.assert_allclose(pca.score(x), expected, rtol=1e-9)
    inside = (mean + np.random.default_rng(2).normal(size=(5, components)) @ axes).reshape(5, 3, 2, 3)
    np.testing.assert_allclose(pca.score(inside), 0, atol=1e-14)
    assert pca.title == f"PCA, {components} components"


def test_few_pictures_have_few_components():
    assert PrincipalComponents(pictures(4), 50).title == "PCA, 3 components"
    with pytest.raises(MiniganError, match="two normal pictures or more"):
        PrincipalComponents(pictures(1))
