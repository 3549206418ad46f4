"""From a corpus to batches: splits, the guard against leaks, the feature cache, augmentation."""
