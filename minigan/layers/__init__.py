"""Layers: forward, backward and double backward, written out. One file per family."""

from minigan.layers.activations import Activation, LeakyReLU, Maxout, PReLU, ReLU, Sigmoid, Softplus, Tanh
from minigan.layers.adain import AdaIN, WithStyle
from minigan.layers.affine import AdaptiveAffine, ConditionalAffine
from minigan.layers.attention import DotProductAttention, Gain, SelfAttention
from minigan.layers.base import Layer
from minigan.layers.bicubic import BicubicDownsample, BicubicUpsample
from minigan.layers.bilinear import BilinearUpsample
from minigan.layers.blocks import down_block, first_down_block, up_block
from minigan.layers.branches import Branches, Concat, Fork, Parallel, Skip
from minigan.layers.constant import Constant
from minigan.layers.containers import Conditional, Residual, Sequential
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.embedding import Embedding
from minigan.layers.equalized import Equalized
from minigan.layers.fade import Fade
from minigan.layers.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    icnr,
    normal,
    orthogonal,
    uniform,
)
from minigan.layers.minibatch import MinibatchStdDev
from minigan.layers.modulated import ModulatedConv2D
from minigan.layers.noise import NoiseBias, ScaledLeakyReLU
from minigan.layers.norms import BatchNorm, ConditionalBatchNorm, InstanceNorm, LayerNorm
from minigan.layers.padding import ReflectionPad2D, ReplicationPad2D
from minigan.layers.parameters import Parameters
from minigan.layers.pixel_norm import PixelNorm
from minigan.layers.pixel_shuffle import PixelShuffle, PixelUnshuffle
from minigan.layers.pooling import AvgPool2D, GlobalAvgPool, GlobalSumPool, MaxPool2D, Upsample
from minigan.layers.projection import Projection
from minigan.layers.reach import Chain, Ways, Window
from minigan.layers.reparametrize import Reparametrize
from minigan.layers.resample import Blur, DownsampleFIR, UpsampleFIR
from minigan.layers.shape import Columns, Flatten, Reshape
from minigan.layers.softmax import Softmax
from minigan.layers.spectral_norm import SpectralNorm

__all__ = [
    "Activation",
    "AdaIN",
    "AdaptiveAffine",
    "AvgPool2D",
    "BatchNorm",
    "BicubicDownsample",
    "BicubicUpsample",
    "BilinearUpsample",
    "Blur",
    "Branches",
    "Chain",
    "Columns",
    "Concat",
    "Conditional",
    "ConditionalAffine",
    "ConditionalBatchNorm",
    "Constant",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "DownsampleFIR",
    "DotProductAttention",
    "Dropout",
    "Embedding",
    "Equalized",
    "Fade",
    "Flatten",
    "Fork",
    "Gain",
    "GlobalAvgPool",
    "GlobalSumPool",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2D",
    "Maxout",
    "MinibatchStdDev",
    "ModulatedConv2D",
    "NoiseBias",
    "PReLU",
    "Parallel",
    "Parameters",
    "PixelNorm",
    "PixelShuffle",
    "PixelUnshuffle",
    "Projection",
    "ReLU",
    "ReflectionPad2D",
    "ReplicationPad2D",
    "Reparametrize",
    "Reshape",
    "Residual",
    "ScaledLeakyReLU",
    "SelfAttention",
    "Sequential",
    "Sigmoid",
    "Skip",
    "Softmax",
    "Softplus",
    "SpectralNorm",
    "Tanh",
    "Upsample",
    "UpsampleFIR",
    "Ways",
    "Window",
    "WithStyle",
    "down_block",
    "first_down_block",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "icnr",
    "normal",
    "orthogonal",
    "uniform",
    "up_block",
]
