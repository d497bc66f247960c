"""FID, KID, Inception Score, precision and recall are those of pytorch-fid and torch-fidelity on the same features."""

import numpy as np
import pytest
from references import torchvision_importable

from minigan.metrics import InceptionScore, Moments, frechet_distance, kernel_distance, precision_recall

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle


def reference(module):
    """Both packages import torchvision."""
    torchvision_importable()
    return pytest.importorskip(module)


def draw_features(seed, n, F):
    """Correlated features around a mean of their own, with a spectrum that falls off, as that of Inception's does."""
    rng = np.random.default_rng(seed)
    return np.abs(rng.normal(size=(n, F)) * np.exp(-4 * np.arange(F) / F) @ rng.normal(size=(F, F)) / 3) + 0.1


def moments_of(features, batch=64):
    moments = Moments(features.shape[1])
    for start in range(0, len(features), batch):
        moments.update(features[start : start + batch])
    return moments.mean, moments.covariance


@pytest.mark.filterwarnings("ignore:The `disp` argument")
@pytest.mark.parametrize(("n", "m", "F"), [(300, 200, 64), (500, 400, 192)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frechet_distance_of_pytorch_fid(n, m, F, dtype):
    """From the same features, through our mean and covariance and through theirs."""
    theirs = reference("pytorch_fid.fid_score")
    x, y = draw_features(0, n, F).astype(dtype), draw_features(1, m, F).astype(dtype)
    statistics = [z(s) for s in (x, y) for z in (lambda s: s.mean(axis=0), lambda s: np.cov(s, rowvar=False))]
    expected = theirs.calculate_frechet_distance(*statistics)
    assert frechet_distance(*moments_of(x), *moments_of(y)) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(*statistics) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "F"), [(300, 200, 64), (40, 30, 64)])
def test_frechet_distance_of_torch_fidelity(n, m, F):
    """Regular and singular. Theirs takes roots of the eigenvalues of Σ₁Σ₂, of which rounding leaves some of 1e-16."""
    theirs = reference("torch_fidelity.metric_fid")
    x, y = draw_features(0, n, F), draw_features(1, m, F)
    statistics = [theirs.fid_features_to_statistics(torch.tensor(z)) for z in (x, y)]
    expected = theirs.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(*moments_of(x), *moments_of(y)) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_singular_covariances_in_sixty_digits():
    """Eigenvalues of Σ₁Σ₂ without structure, and their roots, where rounding can't reach."""
    mp = pytest.importorskip("mpmath").mp
    x, y = draw_features(0, 6, 9), draw_features(1, 5, 9)
    with mp.workdps(60):
        means, covariances = [], []
        for z in (x, y):
            mean = [sum(map(mp.mpf, column)) / len(z) for column in z.T.tolist()]
            centered = mp.matrix([[mp.mpf(v) - mu for v, mu in zip(row, mean, strict=True)] for row in z.tolist()])
            means.append(mp.matrix(mean))
            covariances.append(centered.T * centered / (len(z) - 1))
        eigenvalues, _ = mp.eig(covariances[0] * covariances[1])
        root = sum(mp.sqrt(max(mp.re(value), 0)) for value in eigenvalues)
        gap = means[0] - means[1]
        expected = mp.fdot(gap, gap) + sum(c[i, i] for c in covariances for i in range(9)) - 2 * root
    assert frechet_distance(*moments_of(x), *moments_of(y)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(("n", "m", "size", "subsets"), [(300, 250, 100, 20), (60, 60, 60, 2)])
def test_kernel_distance_of_torch_fidelity(n, m, size, subsets):
    """A generator in the same state draws the same subsets."""
    theirs = reference("torch_fidelity.metric_kid")
    x, y = draw_features(0, n, 64), draw_features(1, m, 64)
    options = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": 7, "verbose": False}
    expected = theirs.kid_features_to_metric(torch.tensor(x), torch.tensor(y), **options)
    same = np.random.RandomState(7)  # noqa: NPY002
    mean, std = kernel_distance(x, y, size, subsets, rng=same)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    assert std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "splits"), [(1000, 10), (1234, 7), (50, 1)])
@pytest.mark.parametrize("loudness", [1, 300])
def test_inception_score_of_torch_fidelity(n, splits, loudness):
    """Also where probabilities underflow to 0."""
    theirs = reference("torch_fidelity.metric_isc")
    logits = torch.tensor(loudness * np.random.default_rng(0).normal(size=(n, 20)))
    score = InceptionScore(n, splits)
    for part in logits.softmax(dim=1).split(64):
        score.update(part.numpy())
    expected = theirs.isc_features_to_metric(logits, splits, shuffle=False)
    mean, std = score.result()
    assert mean == pytest.approx(expected["inception_score_mean"], rel=1e-11)
    assert std == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("save_cpu_ram", [False, True])
def test_precision_and_recall_of_torch_fidelity(k, save_cpu_ram):
    theirs = reference("torch_fidelity.metric_prc")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 8)), rng.normal(0.4, 1.2, size=(250, 8))
    options = {"prc_neighborhood": k, "prc_batch_size": 64, "save_cpu_ram": save_cpu_ram, "verbose": False}
    expected = theirs.prc_features_to_metric(torch.tensor(x), torch.tensor(y), **options)
    found = precision_recall(x, y, k)
    assert found == pytest.approx((expected["precision"], expected["recall"]), abs=1e-6)  # theirs are means in float32
    assert 0.1 < min(found) < max(found) < 1
