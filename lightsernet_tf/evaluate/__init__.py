"""Judge runs and .tflite files: figures, intervals, pictures and a diagnosis."""
