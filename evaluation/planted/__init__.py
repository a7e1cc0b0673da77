"""Planted truth: a subject whose features are known, to find out whether they are found."""

from evaluation.planted.meaning import Planted
from evaluation.planted.subject import FEATURES, PlantedSubject, planted_subject

__all__ = ["FEATURES", "Planted", "PlantedSubject", "planted_subject"]
