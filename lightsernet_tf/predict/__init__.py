"""Recognise emotions on a device, with NumPy and LiteRT alone."""
