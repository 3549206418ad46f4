"""``python -m lightsernet_tf.features``: draw what the front end makes of audio files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightsernet_tf.cli import run_command
from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.config_parser import SettingsParser
from lightsernet_tf.errors import ConfigError

_EPILOG = """examples:
  python -m lightsernet_tf.features speech.wav --png speech.png
  python -m lightsernet_tf.features calm.wav angry.flac --png both.png --features.max_frequency_hz 4000"""


def main(arguments: Sequence[str]) -> int:
    """Parse, draw, print."""
    description = "Draw waveform, spectrogram, log mel spectrogram and MFCC of audio files."
    parser = SettingsParser("features", description, _EPILOG, usage="%(prog)s FILE [FILE ...] --png OUT [options]")
    parser.add_argument("files", nargs="+", type=str, metavar="FILE", help="audio file; several make columns")
    parser.add_argument("--png", type=str, required=True, metavar="OUT", help="picture to write")
    parser.add_class_arguments(FeatureConfig, "features")
    parsed = parser.parse_args(list(arguments))
    config = parser.instantiate(parsed).features
    path = Path(parsed.png)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--png: expected a name that ends in .png. Received: {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"--png: expected a folder that is there. Received: {path.parent}")
    # Only here: drawing needs libraries that `--help` does without.
    from lightsernet_tf.features.figure import draw_features

    draw_features([Path(file) for file in parsed.files], path, config)
    print(f"drew {len(parsed.files)} file{'s' * (len(parsed.files) > 1)}: {path}")
    return 0


if __name__ == "__main__":
    run_command(main)
