"""Light-SERNet in Keras: train, judge and ship a 0.46 M parameter network that hears emotion in speech."""

import os

# Read by TensorFlow when it is imported, so they are set before any module of the package can import it. oneDNN is off
# by default on CPUs without VNNI, where it trains this network about 1.6 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
