"""Fréchet distance of features, and the same with each group of images left out: one pass for their moments serves all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
_BLOCK = 2048  # rows in float64 at a time


def frechet_distance(fake: Floats, real: Floats) -> float:
    """Fréchet distance of the gaussians fitted to two sets of features (N,D) and (M,D): 0 and up, 0 is best.

    `‖mean difference‖² + tr(A) + tr(B) - 2 tr((A B)^½)`, from the features' moments where both sets have more images than
    features, else from the features themselves, which are smaller then.

    Raises:
        ValueError: fewer than two images in a set, or different numbers of features.

    Source: Heusel et al., GANs trained by a two time-scale update rule, 2017.
    """
    check_sets(fake, real)
    if min(len(fake), len(real)) <= fake.shape[1]:
        return _distance_of_rows(fake, real)
    return _distance_of_moments(_moments(fake, _mean(fake)), _moments(real, _mean(real)))


def frechet_jackknife(fake: Floats, real: Floats, groups: Sequence[Rows]) -> tuple[float, list[float]]:
    """`frechet_distance` of paired sets, and the same with each group of pairs left out in turn.

    With more images than features the distances without a group are of the first order: `frechet_distance` is the maximum of
    `‖mean difference‖² + tr((I - S) A) + tr((I - S⁻¹) B)` over S, and the S of all images stays for those that are left. A
    distance without a group is then too small, by nearly the same for every group, which the jackknife's standard error does
    not see; one pass and one decomposition take the place of 20. With fewer images than features they are exact.

    Args:
        fake: (N,D).
        real: (N,D), of the same N images.
        groups: every image is in just one; at least two images are outside of each.

    Source: the maximum is Olkin and Pukelsheim's, The distance between two random vectors with given dispersion matrices,
    1982; the derivative is that of Rippl, Munk and Sturm, Limit laws of the empirical Wasserstein distance: Gaussian
    distributions, 2016.
    """
    check_sets(fake, real)
    if len(fake) <= fake.shape[1]:
        without = [_distance_of_rows(np.delete(fake, group, axis=0), np.delete(real, group, axis=0)) for group in groups]
        return _distance_of_rows(fake, real), without
    (a, parts_of_a), (b, parts_of_b) = (_moments_of_groups(features, groups) for features in (fake, real))
    cross, map_of_a, map_of_b = _cross_and_maps(a.covariance, b.covariance)
    distance = _distance(a.mean - b.mean, float(np.trace(a.covariance) + np.trace(b.covariance)), cross)
    spreads = _spreads_without(a, parts_of_a, map_of_a) + _spreads_without(b, parts_of_b, map_of_b)
    shifts = [a.mean_without(part) - b.mean_without(other) for part, other in zip(parts_of_a, parts_of_b, strict=True)]
    return distance, [float(shift @ shift + spread) for shift, spread in zip(shifts, spreads, strict=True)]


def check_sets(fake: Floats, real: Floats) -> None:
    """Raises ValueError for sets of features that cannot be compared."""
    if fake.ndim != 2 or real.ndim != 2 or fake.shape[1] != real.shape[1]:
        raise ValueError(f"features must be (N,D) and (M,D), got {fake.shape} and {real.shape}")
    if min(len(fake), len(real)) < 2:
        raise ValueError(f"comparing distributions needs at least 2 images each, got {len(fake)} and {len(real)}")


class _Moments(NamedTuple):
    """Sums over images of their features x less a centre c, near the mean: so nothing large cancels."""

    num_images: int
    centre: Floats
    """(D,), c."""
    total: Floats
    """(D,), Σ (x - c)."""
    products: Floats
    """(D,D), Σ (x - c) (x - c)ᵀ; of a group its upper triangle alone, (D(D+1)/2,)."""

    @property
    def mean(self) -> Floats:
        return self.centre + self.total / self.num_images

    def mean_without(self, part: _Moments) -> Floats:
        return self.centre + (self.total - part.total) / (self.num_images - part.num_images)

    @property
    def covariance(self) -> Floats:
        """Unbiased."""
        return (self.products - np.outer(self.total, self.total / self.num_images)) / (self.num_images - 1)


def _moments(features: Floats, centre: Floats) -> _Moments:
    size = features.shape[1]
    total, products = np.zeros(size), np.zeros((size, size))
    for start in range(0, len(features), _BLOCK):
        centred = features[start : start + _BLOCK] - centre
        total += centred.sum(axis=0)
        products += centred.T @ centred
    return _Moments(len(features), centre, total, products)


def _moments_of_groups(features: Floats, groups: Sequence[Rows]) -> tuple[_Moments, list[_Moments]]:
    """Of all images, and of each group: 20 triangles are as large as 20,000 images' features."""
    centre, size = _mean(features), features.shape[1]
    upper = np.triu_indices(size)
    total, products, parts = np.zeros(size), np.zeros((size, size)), []
    for group in groups:
        part = _moments(features[group], centre)
        total += part.total
        products += part.products
        parts.append(part._replace(products=part.products[upper]))
    return _Moments(len(features), centre, total, products), parts


def _spreads_without(whole: _Moments, parts: Sequence[_Moments], transport: Floats) -> Floats:
    """tr((I - T) A) for the covariance A of the images outside of each part."""
    potential = np.eye(len(transport)) - transport
    # The products are symmetric, so each entry off the diagonal stands for two.
    weights = (2 * potential - np.diag(np.diag(potential)))[np.triu_indices(len(potential))]
    of_all = float((potential * whole.products).sum())
    spreads = np.empty(len(parts))
    for i, part in enumerate(parts):
        count, total = whole.num_images - part.num_images, whole.total - part.total
        spreads[i] = (of_all - weights @ part.products - total @ potential @ total / count) / (count - 1)
    return spreads


def _mean(features: Floats) -> Floats:
    mean: Floats = features.mean(axis=0, dtype=np.float64)
    return mean


def _distance_of_moments(fake: _Moments, real: _Moments) -> float:
    a, b = fake.covariance, real.covariance
    squares = np.linalg.eigvalsh(_symmetric_product(a, b)[0])
    return _distance(fake.mean - real.mean, float(np.trace(a) + np.trace(b)), float(np.sqrt(squares.clip(0)).sum()))


def _symmetric_product(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Rᵀ A R with B = R Rᵀ, of the eigenvalues of A B: so no matrix root and no complex numbers. And R, and A R.

    R comes from a Cholesky factorisation with pivoting, which ends where a covariance has no more rank.
    """
    from scipy.linalg.lapack import dpstrf

    factor, order, rank, _ = dpstrf(b)
    root = np.empty((len(b), rank))
    root[order - 1] = np.triu(factor)[:rank].T  # LAPACK counts from 1
    image = a @ root
    return root.T @ image, root, image


def _cross_and_maps(a: Floats, b: Floats) -> tuple[float, Floats, Floats]:
    """tr((A B)^½), and twice its derivatives by A and B: the maps that carry a gaussian to the other and back."""
    product, root, image = _symmetric_product(a, b)
    squares, vectors = np.linalg.eigh(product)
    kept = squares > squares.max(initial=0) * len(squares) * np.finfo(float).eps  # the others are rounding
    lengths, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    of_a, of_b = root @ (vectors / lengths**0.5), image @ (vectors / lengths**1.5)
    return float(np.sqrt(squares.clip(0)).sum()), of_a @ of_a.T, of_b @ of_b.T


def _distance_of_rows(fake: Floats, real: Floats) -> float:
    """With A = XᵀX and B = YᵀY (X, Y the centred features over sqrt(N-1)) tr((A B)^½) is the sum of the singular values of
    X Yᵀ: as small as the images are few, and exact for covariances without full rank."""
    x, y = _centred(fake), _centred(real)
    cross = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
    return _distance(_mean(fake) - _mean(real), float(np.square(x).sum() + np.square(y).sum()), cross)


def _centred(features: Floats) -> Floats:
    """Over sqrt(N-1)."""
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0)
    centred /= np.sqrt(len(features) - 1)
    return centred


def _distance(difference: Floats, traces: float, cross: float) -> float:
    return max(float(difference @ difference) + traces - 2 * cross, 0.0)  # rounding alone can make it negative
