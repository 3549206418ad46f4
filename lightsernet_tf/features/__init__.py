"""The front end: from a waveform to a spectrogram, a log mel spectrogram or MFCCs."""
