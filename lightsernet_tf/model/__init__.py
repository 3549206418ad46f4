"""The network, its layers and its losses, in pure Keras 3."""
