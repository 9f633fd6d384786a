"""Paths that people give, and names that are made from their words."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from server.audio.fence.reading import load_clip
from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.file_names import existing, is_same_file, path_of, words_of

NAMES = [
    "Größe é Kick.wav",
    "🥁 drum 🤣💕❤️.wav",
    "👩\u200d🎤 vocals.wav",
    "太鼓\u3000ループ.wav",
    "kick\u00a0one.wav",
    "kick\u00adone.wav",
    "می\u200cخواهم.wav",
    "طبل.wav",
    "\u200ekick.wav",
    "10\u202fkHz.wav",
    "\uf8ff loop.wav",
    'it\'s "50%" #1 & co; $HOME?.wav',
    "k" * 251 + ".wav",
    "x /a.wav",
    "take 1:30.wav",
]


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses some of these names")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("as_uri", [False, True])
def test_a_clip_may_have_any_name(tmp_path: Path, name: str, as_uri: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(Waveform.mono([0.1, 0.2], 48000).encode("wav16"))
    clip = load_clip(path.as_uri() if as_uri else str(path))
    assert clip.source == path


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_both_unicode_forms_find_a_file(tmp_path: Path, written: str, asked: str) -> None:
    words = ("Ünïcode", "Übung ñ Snare.wav")
    folder, name = (unicodedata.normalize(written, word) for word in words)  # type: ignore[arg-type]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_bytes(b"here")
    wanted = Path(*(unicodedata.normalize(asked, word) for word in words))  # type: ignore[arg-type]
    assert existing(tmp_path / wanted).read_bytes() == b"here"


def test_a_mixed_form_is_found_and_what_is_missing_stays_as_it_is(tmp_path: Path) -> None:
    mixed = unicodedata.normalize("NFC", "ö") + unicodedata.normalize("NFD", "é")
    (tmp_path / mixed).mkdir()
    asked = tmp_path / unicodedata.normalize("NFC", mixed) / "new ä.wav"
    assert existing(asked) == tmp_path / mixed / "new ä.wav"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///tmp/my%20kick%231.wav", "/tmp/my kick#1.wav"),
        ("file://localhost/tmp/%E5%A4%AA%E9%BC%93.wav", "/tmp/太鼓.wav"),
        ("file:/tmp/kick.wav", "/tmp/kick.wav"),
        ("FILE://LOCALHOST/tmp/a?b#c.wav", "/tmp/a?b#c.wav"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_file_uris(uri: str, path: str) -> None:
    assert str(path_of(uri)) == path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a\nb.wav", r"'a\\nb.wav' holds the control character '\\n' \(U\+000A\)"),
        ("file:///a%00b", r"U\+0000"),
        ("file://studio/kick.wav", "is on studio; name a file of this machine"),
        ("file:///caf%E9.wav", "%E9 is not UTF-8"),
        ("caf\udce9.wav", "not UTF-8; rename the file"),
        ("k" * 300 + ".wav", "has 304 bytes; a file or folder has at most 255"),
        ("太" * 100, "has 300 bytes"),
        ("", "1 to 4000 characters"),
        ("a/" * 2001, "1 to 4000 characters"),
    ],
)
def test_a_refusal_names_the_path_and_the_character(name: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as refused:
        path_of(name)
    assert len(str(refused.value)) < 900


def test_one_file_under_several_names(tmp_path: Path) -> None:
    clip = tmp_path / unicodedata.normalize("NFD", "Pâd.wav")
    clip.write_bytes(b"")
    (tmp_path / "link.wav").symlink_to(clip)
    assert is_same_file(tmp_path / unicodedata.normalize("NFC", "Pâd.wav"), clip)
    assert is_same_file(tmp_path / "link.wav", clip)
    assert not is_same_file(tmp_path / "other.wav", clip)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("太鼓のループ", "太鼓のループ"),
        ("Glöckchen", "glöckchen"),
        (unicodedata.normalize("NFD", "Glöckchen"), "glöckchen"),
        ("🥁", "🥁"),
        ("Колокол, тихо!", "колокол-тихо"),
        ("हिन्दी ढोल", "हिन्दी-ढोल"),
        ("../../etc/passwd", "etc-passwd"),
        ('a\\b:c*d?e"f<g>h|i', "a-b-c-d-e-f-g-h-i"),
        ("\u202egnp.exe", "gnp-exe"),
        ("rain\x01\x02 drum\n", "rain-drum"),
        ("...", ""),
    ],
)
def test_names_keep_the_script_of_a_prompt(prompt: str, words: str) -> None:
    assert words_of(prompt) == words


@pytest.mark.parametrize("word", ["x", "太", "e\u0301\u0323", "👩\u200d🎤"])
def test_names_are_bounded_in_characters_and_bytes(word: str) -> None:
    words = words_of(word * 600)
    assert 0 < len(words) <= 40
    assert len(words.encode()) <= 80
    assert words == unicodedata.normalize("NFC", words)
