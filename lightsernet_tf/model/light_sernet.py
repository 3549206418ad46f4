"""Light-SERNet (Aftab et al., ICASSP 2022): the architecture as a table, built by one block function.

It uses Keras 3 only, so it runs on any Keras backend.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import keras
from keras import layers

from lightsernet_tf.model.batch_norm import FusedBatchNormalization

Pair = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """Convolution, batch normalisation, ReLU, average pooling (or none), all with "same" padding."""

    name: str
    filters: int
    kernel_size: Pair
    pool_size: Pair | None
    use_bias: bool = False


# [frames, bins, 1] -> each [frames / 2, bins / 2, 32]
PATHS = (
    Block("path_1", 32, (11, 1), (2, 2), use_bias=True),  # along time
    Block("path_2", 32, (1, 9), (2, 2), use_bias=True),  # along frequency
    Block("path_3", 32, (3, 3), (2, 2), use_bias=True),  # along both
)
# [frames / 2, bins / 2, 96] -> [frames / 32, bins / 8, 320]
BLOCKS = (
    Block("block_1", 64, (3, 3), (2, 2)),
    Block("block_2", 96, (3, 3), (2, 2)),
    Block("block_3", 128, (3, 3), (2, 1)),
    Block("block_4", 160, (3, 3), (2, 1)),
    Block("block_5", 320, (1, 1), None),
)


def light_sernet(
    input_shape: tuple[int, int] | tuple[int, int, int],
    num_classes: int,
    dropout: float = 0.3,
    l2: float = 1e-6,
    *,
    seed: int | None = None,
    synchronized: bool = False,
) -> keras.Model:
    """Return Light-SERNet, a map from features to class probabilities.

    Parameters
    ----------
    input_shape
        Shape of one utterance's features, ``[frames, bins]`` or ``[frames, bins, 1]``; ``[184, 40, 1]`` is 3 s of MFCC.
    num_classes
        Number of labels, at least 2.
    dropout
        Share of the 320 pooled channels dropped in training.
    l2
        Weight decay of the kernels of the second part (those of ``BLOCKS``).
    seed
        Of the initial weights and of dropout; None: Keras's global seed decides.
    synchronized
        Whether batch normalisation takes its statistics over all replicas of a distributed training (TensorFlow only).

    Returns
    -------
    keras.Model
        float32 ``[batch, frames, bins, 1]`` -> ``[batch, num_classes]``; 463,431 parameters for ``[184, 40, 1]`` and 7
        classes, on any number of frames and bins.

    References
    ----------
    Aftab, Morsali, Ghaemmaghami and Champagne: Light-SERNet: a lightweight fully convolutional neural network for
    speech emotion recognition, ICASSP 2022.
    """
    frames, bins = input_shape[:2]
    seeds = random if seed is None else random.Random(seed)

    def glorot() -> keras.Initializer:
        return keras.initializers.GlorotUniform(seed=seeds.getrandbits(31))

    def apply(block: Block, x: keras.KerasTensor, kernel_regularizer: keras.Regularizer | None) -> keras.KerasTensor:
        x = layers.Conv2D(
            block.filters,
            block.kernel_size,
            padding="same",
            use_bias=block.use_bias,
            kernel_initializer=glorot(),
            kernel_regularizer=kernel_regularizer,
            name=f"{block.name}_conv",
        )(x)  # [batch, frames, bins, filters]
        x = FusedBatchNormalization(
            momentum=0.99, epsilon=1e-3, synchronized=synchronized, name=f"{block.name}_batch_norm"
        )(x)
        x = layers.ReLU(name=f"{block.name}_relu")(x)
        if block.pool_size is None:
            return x
        # [batch, frames / pool_size[0], bins / pool_size[1], filters], rounded up
        return layers.AveragePooling2D(block.pool_size, padding="same", name=f"{block.name}_pool")(x)

    features = keras.Input((frames, bins, 1), name="features")
    x = layers.Concatenate(name="paths")([apply(path, features, None) for path in PATHS])
    # [batch, frames / 2, bins / 2, 96]
    for block in BLOCKS:
        x = apply(block, x, keras.regularizers.L2(l2))
    # [batch, frames / 32, bins / 8, 320]
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)  # [batch, 320]
    x = layers.Dropout(dropout, seed=seeds.getrandbits(31), name="dropout")(x)
    # [batch, num_classes]
    x = layers.Dense(num_classes, activation="softmax", kernel_initializer=glorot(), name="probabilities")(x)
    return keras.Model(features, x, name="light_sernet")
