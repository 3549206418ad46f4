"""Train one fold, keep every epoch, and resume to the bit."""
