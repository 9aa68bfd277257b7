"""Exact intervals and tests of shares. Pure, and without scipy, which no worker has."""

from __future__ import annotations

from math import exp, lgamma, log

__all__ = ["interval", "sign_test"]

_TINY = 1e-300
_STEPS = 100_000  # of the fraction; it takes about the square root of the count
_HALVINGS = 60


def interval(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson, 1934); (0, 1) where nothing was counted."""
    tail = (1 - level) / 2
    low = _quantile(tail, hits, count - hits + 1) if hits else 0.0
    high = _quantile(1 - tail, hits + 1, count - hits) if hits < count else 1.0
    return low, high


def sign_test(one: int, other: int) -> float:
    """How likely equals differ by so much (McNemar, 1947, exact, two sides); 1 where nothing was counted."""
    fewer, count = min(one, other), one + other
    return min(1.0, 2 * _beta(0.5, count - fewer, fewer + 1)) if count else 1.0


def _quantile(chance: float, a: int, b: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta(middle, a, b) < chance else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: int, b: int) -> float:
    """The regularized incomplete beta function, by its continued fraction (DLMF 8.17.22, Lentz' way)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):  # beyond the middle the other end's fraction is the short one
        return 1 - _beta(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: int, b: int) -> float:
    value, above, below = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1 / (1 + term * below or _TINY)
        above = 1 + term / above or _TINY
        value *= above * below
        if abs(above * below - 1) < 1e-14:
            break
    return value
