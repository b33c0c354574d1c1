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


def frechet_distances_without(fake: Floats, real: Floats, groups: Sequence[Rows]) -> list[float]:
    """`frechet_distance` of paired sets with each group of pairs left out in turn.

    Args:
        fake: (N,D).
        real: (N,D), of the same N images.
        groups: every image is in just one.
    """
    check_sets(fake, real)
    if len(fake) <= fake.shape[1]:
        return [_distance_of_rows(np.delete(fake, group, axis=0), np.delete(real, group, axis=0)) for group in groups]
    centres = _mean(fake), _mean(real)
    wholes = [_moments(features, centre) for features, centre in zip((fake, real), centres, strict=True)]
    distances = []
    for group in groups:
        parts = [_moments(features[group], centre) for features, centre in zip((fake, real), centres, strict=True)]
        # Moments of a group are made twice, not kept: 20 groups of 2,048 features would be 1.3 GB.
        distances.append(_distance_of_moments(*(whole.without(part) for whole, part in zip(wholes, parts, strict=True))))
    return distances


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
    """(D,D), Σ (x - c) (x - c)ᵀ."""

    def without(self, part: _Moments) -> _Moments:
        """Those of the other images."""
        return _Moments(
            self.num_images - part.num_images, self.centre, self.total - part.total, self.products - part.products
        )

    @property
    def mean(self) -> Floats:
        return self.centre + self.total / self.num_images

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


def _mean(features: Floats) -> Floats:
    mean: Floats = features.mean(axis=0, dtype=np.float64)
    return mean


def _distance_of_moments(fake: _Moments, real: _Moments) -> float:
    """With B = RᵀR, A B has the eigenvalues of R A Rᵀ: symmetric, so no matrix root and no complex numbers.

    R comes from a Cholesky factorisation with pivoting, which ends where a covariance has no more rank.
    """
    from scipy.linalg.lapack import dpstrf

    a, b = fake.covariance, real.covariance
    factor, order, rank, _ = dpstrf(b)
    root, order = np.triu(factor)[:rank], order - 1  # LAPACK counts from 1
    squares = np.linalg.eigvalsh(root @ a[np.ix_(order, order)] @ root.T)
    return _distance(fake.mean - real.mean, float(np.trace(a) + np.trace(b)), float(np.sqrt(squares.clip(0)).sum()))


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
