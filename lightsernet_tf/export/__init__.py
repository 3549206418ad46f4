"""Turn a run into one .tflite file that is proved against Keras and describes itself."""
