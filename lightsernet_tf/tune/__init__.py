"""Search hyperparameters with Keras Tuner, alone or as a chief with workers."""
