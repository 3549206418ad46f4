"""What ``import lightsernet_tf`` offers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lightsernet_tf

SOURCE = Path(lightsernet_tf.__file__).read_text(encoding="utf-8")
NAMES = {name for name in dir(lightsernet_tf) if not name.startswith("__")}


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_every_public_name_has_its_line_in_the_docstring():
    assert set(re.findall(r"^    (\w+) {2,}\S", lightsernet_tf.__doc__, re.MULTILINE)) == NAMES


def test_type_checkers_see_the_names_where_they_are_loaded_from():
    (block,) = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.If)]
    typed = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        for alias in node.names
    }  # fmt: skip
    assert typed == {name: f"lightsernet_tf.{home}" for name, home in lightsernet_tf._HOMES.items()}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lightsernet_tf' has no attribute 'trian'"):
        lightsernet_tf.trian  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'trian' from 'lightsernet_tf'"):
        from lightsernet_tf import trian  # noqa: F401


def test_importing_the_package_and_its_settings_loads_nothing_heavy():
    loaded = run(
        "import sys, lightsernet_tf\n"
        "lightsernet_tf.Config, lightsernet_tf.load_config, lightsernet_tf.demo_config(), dir(lightsernet_tf)\n"
        "print(*{name.split('.')[0] for name in sys.modules}, sep='\\n')"
    )
    assert not {"tensorflow", "keras", "keras_tuner", "librosa", "sklearn", "matplotlib", "scipy"} & set(loaded)


@pytest.mark.slow
def test_a_function_keeps_its_place_from_a_subpackage_of_the_same_name():
    """In both orders: the function first, and the subpackage first."""
    lines = run(
        """
import lightsernet_tf.train.fold, lightsernet_tf.export, pickle, pydoc, sys
evaluate = lightsernet_tf.evaluate
import lightsernet_tf.evaluate.run
from lightsernet_tf import train
from lightsernet_tf.train import fold
assert lightsernet_tf.train is train is fold.train
assert lightsernet_tf.evaluate is evaluate
assert sys.modules["lightsernet_tf.train"].fold is fold
for name in dir(lightsernet_tf):
    if not name.startswith("__"):
        value = getattr(lightsernet_tf, name)
        assert callable(value), name
        assert pickle.loads(pickle.dumps(value)) is value
assert lightsernet_tf.config.Config is lightsernet_tf.Config
print(pydoc.plain(pydoc.render_doc(lightsernet_tf)))
"""
    )
    assert "        train                       train one fold into a new run" in lines
    assert len(lines) < 130
