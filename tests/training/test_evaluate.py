"""``audioldm-train evaluate``: from a model folder or two folders of files to a report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from synthetic_sounds import CLASSES, band_noise

from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from server.note_names import nearest_note
from server.render.pipeline import Pipeline
from training.evaluation import sound_classes
from training.evaluation.evaluate import FIRST_PARTS, PARTS, main
from training.evaluation.judge import Judge
from training.evaluation.parts import judge_noises
from training.evaluation.prompt_list import PromptList
from training.evaluation.report import model_markdown
from training.evaluation.setup import EvaluationSetup, RealClips, RenderSettings

pytestmark = pytest.mark.integration

HERE = str(Path(__file__).parent)
PROMPTS = {
    # The words of the tests' model mean bands; the last prompt asks for the wrong one.
    "classes": {"low": ["low", "low low"], "mid": ["mid"], "high": ["low"]},
    "notes": {"templates": ["{instrument} {note}"], "instruments": {"low": [40, 45]}},
    "loops": {"templates": ["{style} at {bpm} bpm"], "styles": {"high": [120]}},
}


@pytest.fixture
def _own_rules(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = sound_classes.load_rules(sounds / "rules.yaml")
    monkeypatch.setattr(sound_classes, "load_rules", lambda: rules)


@pytest.fixture(scope="module")
def judge_file(trained: Judge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    trained.save(path)
    return path


@pytest.mark.usefixtures("_own_rules")
def test_a_model_folder_is_judged(
    tiny_folder: Path, sounds: Path, judge_file: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text(yaml.safe_dump(PROMPTS), encoding="utf-8")
    out = tmp_path / "report"
    parts = ",".join(part for part in PARTS if part != "noises")
    arguments = [
        str(tiny_folder),
        "--parts",
        parts,
        "--sounds",
        str(sounds),
        "--judge",
        str(judge_file),
    ]
    arguments += ["--prompts", str(prompts), "--out", str(out), "--keep-takes", "--threads", "1"]
    assert main(arguments) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert set(report) == {*parts.split(","), "model"}
    classes = report["classes"]["classes"]
    assert classes["low"]["top1"] == classes["mid"]["top1"] == 1.0
    assert classes["high"]["top1"] == 0.0
    assert classes["high"]["classified_as"] == {"low": 1}
    assert report["classes"]["top1"] == pytest.approx(2 / 3)
    assert report["classes"]["real_top1"] > 0.9
    assert report["decoder"]["clips"] == len(CLASSES)
    assert report["notes"]["takes"] == 2
    assert report["loops"]["loops"][0]["bpm"] == 120.0
    assert report["copies"]["minimum"] >= 0.0
    assert math.isfinite(report["distributions"]["fd"])
    assert set(report["steps"]["steps"]) == {"20", "8", "4"}
    assert set(report["first"]) == set(FIRST_PARTS)
    texture = report["texture"]
    assert texture["relative"] == pytest.approx(texture["flux_db"] / texture["real_flux_db"])
    assert (out / "takes" / "low_low_1_best_of_1.wav").is_file()
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert "| judged top-1 | 0.667 |" in markdown
    assert "| measure | real | first takes | defaults |" in markdown
    assert f"| flux, dB | {texture['real_flux_db']:.3f} |" in markdown
    beside = model_markdown(report, before=report).splitlines()
    header = "| measure | real | first takes | defaults | first takes, before | defaults, before |"
    assert header in beside
    assert any(line.startswith("| named tempo | ") for line in beside)
    assert markdown.index("| high | 0.000") < markdown.index("| low | 1.000")


def test_noises_are_distinguished_only_among_themselves(
    tiny_folder: Path, sounds: Path, judge_file: Path
) -> None:
    judge = Judge.load(judge_file)
    rules = sound_classes.load_rules(sounds / "rules.yaml")
    real = RealClips(judge, sound_classes.label_clips(sounds, rules))
    setup = EvaluationSetup(
        Pipeline(tiny_folder, threads=1), judge, real, RenderSettings(), CLASSES
    )
    takes = [
        setup.take("low", "low"),
        setup.take("high", "low"),
        setup.take("high", "high"),
        setup.take("mid", "low"),
    ]
    report = judge_noises(setup, takes, names=("low", "high"))
    assert report["generated"]["confusion"] == [[1, 0], [1, 1]]
    assert report["generated"]["rate"] == pytest.approx(0.75)
    assert report["real"]["rate"] == pytest.approx(1.0)
    assert report["relative"] == pytest.approx(0.75)


def test_two_folders_are_compared_by_name(judge_file: Path, tmp_path: Path) -> None:
    for folder, seed in (("generated", 0), ("references", 100)):
        (tmp_path / folder).mkdir()
        for number in range(12):
            samples = band_noise(CLASSES[number % 3], 0.5, seed=seed + number)
            data = Waveform.mono(samples, 16000).encode("wav16")
            (tmp_path / folder / f"clip {number}.wav").write_bytes(data)
    folders = ["--generated", str(tmp_path / "generated")]
    folders += ["--references", str(tmp_path / "references"), "--judge", str(judge_file)]
    assert main([*folders, "--out", str(tmp_path / "out")]) == 0
    paired = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert paired["judge"]["pairs"] == 12
    assert 0.0 <= paired["judge"]["kl_softmax"] < 0.5
    (tmp_path / "generated" / "clip 0.wav").rename(tmp_path / "generated" / "other.wav")
    assert main([*folders, "--out", str(tmp_path / "out")]) == 0
    unpaired = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert unpaired["judge"]["kl_softmax"] is None
    assert unpaired["judge"]["fd"] == pytest.approx(paired["judge"]["fd"], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--generated"),
        (["missing"], "--sounds"),
        (["--generated", HERE, "--references", HERE], "no sound files"),
    ],
)
def test_mistakes_are_explained(
    arguments: list[str], message: str, judge_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--judge", str(judge_file)]) == 1
    assert message in capsys.readouterr().err


def test_prompt_lists() -> None:
    listed = PromptList.load()
    assert nearest_note(60)[0] == "C4"
    assert nearest_note(33)[0] == "A1"
    assert all(nearest_note(note.midi)[0] in note.prompt for note in listed.notes)
    assert all(str(round(loop.bpm)) in loop.prompt for loop in listed.loops)


def test_a_prompt_list_without_notes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text("classes: {kick: [kick]}\n", encoding="utf-8")
    with pytest.raises(InvalidRequest, match="notes"):
        PromptList.load(path)


def test_parts_that_were_not_run_are_left_out_of_the_report() -> None:
    model = {
        "name": "m",
        "digest": "0" * 64,
        "steps": 8,
        "guidance_scale": 2.5,
        "candidates": 1,
        "sampler": "ddim",
        "seconds": 5.12,
        "prompts": "x",
    }
    markdown = model_markdown({"model": model})
    assert "guidance 2.5" in markdown
    assert "judged" not in markdown


def test_a_judge_ships_with_the_package() -> None:
    judge = Judge.load()
    assert len(judge.classes) >= 30
    assert set(judge.classes) <= {rule.name for rule in sound_classes.load_rules()}
