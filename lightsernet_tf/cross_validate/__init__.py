"""Train all folds of a protocol and pool what they say about their test data."""
