import logging
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from lightsernet_tf.reporting import fonts
from lightsernet_tf.reporting.fonts import AROUND_NAMES, UNASSIGNED, drawable, names_and_font

OWN_FONTS = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
CHINESE = ("愤怒", "高兴", "中性")


def box(width):
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, 700), (width - 50, 700), (width - 50, 0)):
        pen.lineTo(corner)
    pen.closePath()
    return pen.glyph()


def make_font(path, characters):
    """A font with a box for each of the characters."""
    names = {ord(character): f"u{ord(character):04X}" for character in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: box(900) for name in [".notdef", *names.values()]})
    builder.setupHorizontalMetrics({name: (1000, 50) for name in [".notdef", *names.values()]})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture(autouse=True)
def _no_memory():
    fonts._font_with.cache_clear()
    yield
    fonts._font_with.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    """Install exactly these fonts, beside those that come with matplotlib."""

    def install(*paths):
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path) for path in paths])
        monkeypatch.setattr(font_manager.fontManager, "ttflist", OWN_FONTS)

    return install


def test_latin_names_are_drawn_in_matplotlibs_own_font(installed, caplog):
    installed()
    names, font = names_and_font(("anger", "Ärger", "гнев"))
    assert names == ("anger", "Ärger", "гнев")
    assert "DejaVu" in font_manager.findfont(font)
    assert not caplog.records


def test_chinese_names_are_drawn_in_a_font_that_has_them(installed, tmp_path, caplog):
    ascii_only = make_font(tmp_path / "ASans.ttf", "abc")
    chinese = make_font(tmp_path / "ChineseSerif.ttf", "".join(CHINESE) + AROUND_NAMES)
    installed(ascii_only, chinese)
    names, font = names_and_font(CHINESE)
    assert names == CHINESE
    assert Path(font.get_file()) == chinese
    assert not caplog.records


def test_a_plain_face_is_preferred(installed, tmp_path):
    faces = [
        make_font(tmp_path / name, "".join(CHINESE) + AROUND_NAMES) for name in ("ZSans-Bold.ttf", "ZSans-Regular.ttf")
    ]
    installed(*faces)
    assert Path(names_and_font(CHINESE)[1].get_file()).name == "ZSans-Regular.ttf"


def test_without_such_a_font_the_classes_are_numbered_with_one_warning(installed, caplog):
    installed()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            names, font = names_and_font(CHINESE)
    assert names == ("1", "2", "3")
    assert "DejaVu" in font_manager.findfont(font)
    assert len(caplog.records) == 1
    assert "number the classes" in caplog.text
    assert "Noto Sans CJK" in caplog.text


def test_a_font_that_shows_boxes_for_everything_does_not_count(installed, tmp_path):
    installed(make_font(tmp_path / "Boxes.ttf", "".join(CHINESE) + AROUND_NAMES + UNASSIGNED))
    assert names_and_font(CHINESE)[0] == ("1", "2", "3")


def test_a_damaged_font_is_passed_over(installed, tmp_path):
    damaged = tmp_path / "ASans.ttf"
    damaged.write_bytes(b"not a font")
    good = make_font(tmp_path / "BSans.ttf", "".join(CHINESE) + AROUND_NAMES)
    installed(damaged, good)
    assert Path(names_and_font(CHINESE)[1].get_file()) == good


def test_text_keeps_what_its_font_can_draw(installed):
    installed()
    font = names_and_font(("anger",))[1]
    assert drawable("run 愤 7 – Ä\nb", font) == "run ? 7 – Ä\nb"
