"""The name under which the cards of shipped models import the recogniser."""

from lightsernet_tf.predict.recognizer import EmotionRecognizer as EmotionRecognizer
