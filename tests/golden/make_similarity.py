#!/usr/bin/env python3
# Makes similarity.json, the golden values of test_similarity.cpp and test_frequency_noise.cpp, by
# numpy 1.24 (Debian 12: python3-numpy) from the definitions, with covariances and eigenvalues where
# the program uses singular vectors.
#   make_similarity.py      writes similarity.json beside this script
# The data are numpy's legacy generator: X = randn(100, 10), Y = randn(100, 10) + X (Kornblith's
# demonstration, seed 1337), and, seed 7, A = randn(60, 12) * 3 / (1 + column), B = A[:, :5] @
# randn(5, 8) + 0.5 randn(60, 8).
import json
import os

import numpy as np

values = {}


def centred(k):
    n = len(k)
    h = np.eye(n) - 1 / n
    return h @ k @ h


def hsic0(k, l):
    return np.trace(centred(k) @ centred(l)) / (len(k) - 1) ** 2


def hsic1(k, l):
    """Song et al. 2007, equation 5."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    one = np.ones(n)
    total = np.trace(k @ l) - 2 / (n - 2) * (one @ k @ l @ one)
    total += (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return total / (n * (n - 3))


def cka(hsic, k, l):
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def squared_distances(x):
    return ((x[:, None] - x[None]) ** 2).sum(-1)


def rbf(x, fraction, kornblith):
    d2 = squared_distances(x)
    if kornblith:
        sigma2 = fraction ** 2 * np.median(d2)
    else:
        sigma2 = (fraction * np.median(np.sqrt(d2)[np.triu_indices(len(x), 1)])) ** 2
    return np.exp(-d2 / (2 * sigma2))


def canonical(x, y):
    """Correlations and the variates of x by whitening the covariances."""
    def whitener(c):
        w, v = np.linalg.eigh(c)
        return v @ np.diag(w ** -0.5) @ v.T
    wx, wy = whitener(x.T @ x), whitener(y.T @ y)
    u, rho, _ = np.linalg.svd(wx @ x.T @ y @ wy)
    return rho, x @ wx @ u


def leading(x, share):
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    kept = 1 + int(np.searchsorted(np.cumsum(s ** 2) / np.sum(s ** 2), share))
    return u[:, :kept] * s[:kept]


def subspace(name, x, y, share):
    x, y = x - x.mean(0), y - y.mean(0)
    rho, variates = canonical(x, y)
    rank = len(rho)
    fitted = y @ np.linalg.lstsq(y, x, rcond=None)[0]
    kept, _ = canonical(leading(x, share), leading(y, share))
    alpha = np.abs(variates[:, :rank].T @ x).sum(1)
    values[name] = {
        "regression": np.sum(fitted ** 2) / np.sum(x ** 2),
        "cca_r2": np.mean(rho ** 2), "cca_rho": np.mean(rho),
        "svcca_r2": np.mean(kept ** 2), "svcca_rho": np.mean(kept), "svcca_kept": len(kept),
        "pwcca": np.sum(alpha * rho) / np.sum(alpha),
    }


def kernels(name, x, y):
    k, l = x @ x.T, y @ y.T
    values[name] = {
        "hsic_biased": hsic0(k, l), "hsic_unbiased": hsic1(k, l),
        "cka_biased": cka(hsic0, k, l), "cka_unbiased": cka(hsic1, k, l),
        "rbf_kornblith_0.5": cka(hsic0, rbf(x, 0.5, True), rbf(y, 0.5, True)),
        "rbf_median_0.4": cka(hsic0, rbf(x, 0.4, False), rbf(y, 0.4, False)),
        "rbf_median_0.4_unbiased": cka(hsic1, rbf(x, 0.4, False), rbf(y, 0.4, False)),
    }


def published_ring(h, f, s):
    """The mask of the published noise script, zero frequency at (0, 0): a square less a smaller
    one, after fftshift."""
    def square(edge):
        half = min(max(int(edge * h / (2 * np.pi)), 0), h // 2)
        mask = np.zeros((h, h))
        mask[h // 2 - half:h // 2 + half, h // 2 - half:h // 2 + half] = 1
        return mask
    return np.roll(square(f + s) - square(f - s), (-(h // 2), -(h // 2)), (0, 1))


def noise():
    """Band noise of known white noise: checks of the transform and of the mask."""
    random = np.random.RandomState(11)
    signs = np.where(random.rand(16, 16) < 0.5, -1.0, 1.0)
    mask = published_ring(16, 0.5 * np.pi, 0.4)
    band = np.real(np.fft.ifft2(np.fft.fft2(signs) * mask))
    values["noise"] = {
        "signs": signs.ravel().tolist(), "mask": mask.ravel().tolist(),
        "band": band.ravel().tolist()
    }


demo = np.random.RandomState(1337)
x = demo.randn(100, 10)
y = demo.randn(100, 10) + x
kernels("demo_kernels", x, y)
subspace("demo_subspace", x, y, 0.99)
second = np.random.RandomState(7)
a = second.randn(60, 12) * 3 / (1 + np.arange(12))
b = a[:, :5] @ second.randn(5, 8) + 0.5 * second.randn(60, 8)
kernels("second_kernels", a, b)
subspace("second_subspace", a, b, 0.9)
noise()
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "similarity.json")
with open(path, "w") as file:
    json.dump(values, file, indent=1)
    file.write("\n")
