"""Sample rates that are accepted anywhere."""

from __future__ import annotations

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 768_000  # a damaged header may say 1 Hz: resampled, that fills the memory
