"""Metrics of generated samples: FID, KID, Inception Score, precision and recall, class counts; SSIM and PSNR of pairs;
pixel accuracy and mean IoU of class maps.
"""

from minigan.metrics.class_maps import class_iou, confusion, mean_iou, pixel_accuracy
from minigan.metrics.classes import ClassCounts
from minigan.metrics.classifier import DigitClassifier
from minigan.metrics.evaluation import METRICS, NEEDS_FEATURES, NEEDS_REFERENCE, Evaluation, check_metrics, evaluate
from minigan.metrics.features import FeatureNetwork
from minigan.metrics.inception import Inception, load_inception
from minigan.metrics.inception_score import InceptionScore
from minigan.metrics.kernel_distance import kernel_distance, kernel_distance_error
from minigan.metrics.manifold import nearest, precision_recall
from minigan.metrics.mixture import modes_and_quality
from minigan.metrics.moments import Moments, frechet_distance
from minigan.metrics.networks import FEATURE_NETWORKS, open_features, read_network
from minigan.metrics.photo_classifier import PhotoClassifier
from minigan.metrics.similarity import psnr, ssim
from minigan.metrics.statistics import Statistics, network_of, observe, read_statistics, write_statistics
from minigan.metrics.super_resolution import cut_to_multiple, luma, protocol_scores

__all__ = [
    "FEATURE_NETWORKS",
    "METRICS",
    "NEEDS_FEATURES",
    "NEEDS_REFERENCE",
    "ClassCounts",
    "DigitClassifier",
    "Evaluation",
    "FeatureNetwork",
    "Inception",
    "InceptionScore",
    "Moments",
    "PhotoClassifier",
    "Statistics",
    "check_metrics",
    "class_iou",
    "confusion",
    "cut_to_multiple",
    "evaluate",
    "frechet_distance",
    "kernel_distance",
    "kernel_distance_error",
    "load_inception",
    "luma",
    "mean_iou",
    "modes_and_quality",
    "nearest",
    "network_of",
    "observe",
    "open_features",
    "pixel_accuracy",
    "precision_recall",
    "protocol_scores",
    "psnr",
    "read_network",
    "read_statistics",
    "ssim",
    "write_statistics",
]
