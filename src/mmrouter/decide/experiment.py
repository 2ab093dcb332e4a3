"""Experiments: which variant a request belongs to, and when a variant must stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

CONTROL = "control"
"""The variant that the others are compared with, and that gets the traffic of a stopped one."""


class Unit(StrEnum):
    """What is never split between variants."""

    PROMPT = "prompt"
    """A conversation, known by its first user turn: the same prompt goes the same way for all."""
    SESSION = "session"
    """A conversation of one client, by its id or by how it begins (`dialects.identity`)."""
    KEY = "key"
    """All requests of one API key."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the configs that are compared.

    Attributes:
        share: of the units, 0..1; those of all variants add up to 1.
    """

    name: str
    share: float


def unit_id(experiment: str, unit: str) -> str:
    """A unit's hash, 16 hex digits. The experiment's name is part of it, so that one experiment's
    split says nothing of the next one's."""
    digest = blake2b(f"{experiment}\0{unit}".encode("utf-8", "surrogatepass"), digest_size=8)
    return digest.hexdigest()


def assign(id: str, variants: Sequence[Variant]) -> str:
    """The variant of a unit, by its hash: the same whenever and wherever it is asked.

    The hash falls evenly into [0, 1), where each variant holds a stretch as long as its share.
    """
    point = int(id, 16) / 2**64
    reached = 0.0
    for variant in variants:
        reached += variant.share
        if point < reached:
            return variant.name
    return variants[-1].name  # shares that add up to a little less than 1


def breached(failed: int, requests: int, *, most: float, alpha: float = 0.01) -> bool:
    """More requests fail than `most` of them: sure enough to act, however often it is asked.

    A test martingale: the likelihood under a uniform prior against that of the rate `most`. By
    Ville's inequality it ever exceeds 1/alpha with a chance of alpha at most where the rate is
    `most`, and less below it, since more failures only raise it (Robbins 1970; Howard et al. 2021,
    section 3.2).

    Args:
        most: 0..1, both excluded.
        alpha: chance of stopping a variant that fails no more often than that.
    """
    if requests == 0 or failed / requests <= most:
        return False
    passed = requests - failed
    mixture = math.lgamma(failed + 1) + math.lgamma(passed + 1) - math.lgamma(requests + 2)
    at_most = failed * math.log(most) + passed * math.log1p(-most)
    return mixture - at_most >= math.log(1 / alpha)
