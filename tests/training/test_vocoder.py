"""The vocoder's parts against what they stand for: transforms, partials, phases, sinusoids."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from training.evaluation.tuning import TIMBRES, line_cents, steady_tone
from training.networks.mel import HOP_LENGTH, LogMel
from training.networks.projection import MelProjection
from training.networks.vocoder.cells import NUM_CELLS, cell_centres, cell_widths
from training.networks.vocoder.frames import Frames
from training.networks.vocoder.lone_partials import LonePartials
from training.networks.vocoder.low_notes import (
    NUM_CLASSES,
    NUM_NOTES,
    LowNotes,
    fundamental,
    fundamental_loss,
    in_line,
)
from training.networks.vocoder.onsets import without_pre_echo
from training.networks.vocoder.oscillators import Oscillators
from training.networks.vocoder.partials import Cells, Partials
from training.networks.vocoder.phases import carried
from training.networks.vocoder.sinusoids import Sinusoids
from training.networks.vocoder.vocoder import TunedVocoder
from training.sounds.tones import draw_tones
from training.vocoder.partial_targets import partials_of


def tones_of(waveform: torch.Tensor) -> torch.Tensor:
    """The sinusoids of ``waveform``, made again from the truth about its cells."""
    truth = partials_of(waveform)
    logit = torch.logit(truth.tonality, eps=1e-4)
    no_note = torch.full((*logit.shape[:2], NUM_CLASSES), -9.0)
    no_note[..., -1] = 9.0
    tones = Sinusoids()(Cells(truth.offset, truth.amplitude.log(), logit), no_note)
    return Oscillators()(tones.amplitude, tones.phase, tones.offset)


@pytest.mark.parametrize("n_fft", [640, 1024])
def test_frames_are_a_short_time_fourier_transform(n_fft: int) -> None:
    frames, waveform = Frames(n_fft), torch.randn(2, 37 * HOP_LENGTH)
    bases = frames.bases()
    real, imaginary = frames.analyse(waveform, bases)
    padding = (n_fft - HOP_LENGTH) // 2
    padded = functional.pad(waveform[:, None], (padding, padding), mode="reflect")[:, 0]
    window = torch.hann_window(n_fft)
    expected = torch.stft(
        padded, n_fft, HOP_LENGTH, window=window, center=False, return_complex=True
    ).transpose(1, 2)[..., frames.order]
    torch.testing.assert_close(torch.complex(real, imaginary), expected, atol=1e-4, rtol=0)
    again = frames.synthesise(real, imaginary, bases) / frames.overlap(real)
    torch.testing.assert_close(again, waveform, atol=1e-5, rtol=0)


def test_projection_brings_the_mel_nearer() -> None:
    to_mel = LogMel()
    wanted = to_mel(0.1 * torch.randn(2, 48 * HOP_LENGTH))
    start = 0.03 * torch.randn(2, 48 * HOP_LENGTH)
    nearer = MelProjection()(start, wanted)
    errors = [(to_mel(wave) - wanted).abs().mean() for wave in (start, nearer)]
    assert errors[1] < 0.4 * errors[0]


@pytest.mark.parametrize("start", [0, 20])
def test_phases_add_up_along_the_paths(start: int) -> None:
    frames, cells = 70, 12
    advance = 3.0 * torch.rand(2, frames, cells)
    source = torch.clamp(torch.arange(cells) + torch.randint(-2, 3, (2, frames, cells)), 0, 11)
    phase = torch.rand(1, cells)
    expected = torch.zeros_like(advance)
    expected[:, start] = phase
    for frame in range(start + 1, frames):
        before = torch.gather(expected[:, frame - 1], 1, source[:, frame])
        expected[:, frame] = before + advance[:, frame]
    for frame in reversed(range(start)):
        expected[:, frame] = expected[:, frame + 1] - advance[:, frame + 1]
    wrong = carried(advance, source, phase, torch.tensor([start])) - expected
    assert (wrong - wrong.round()).abs().max() < 1e-4


def test_cells_tell_tones_from_noise() -> None:
    time = torch.arange(24000) / 16000
    truth = partials_of(0.5 * torch.sin(2 * math.pi * 441.3 * time)[None])
    loudest = truth.amplitude[0, 75].argmax()
    assert truth.tonality[0, 75, loudest] > 0.99
    width = cell_centres()[loudest + 1] - cell_centres()[loudest]
    frequency = cell_centres()[loudest] + width * truth.offset[0, 75, loudest]
    assert abs(frequency - 441.3) < 0.01
    noise = partials_of(torch.randn(1, 24000))
    assert (noise.tonality * noise.amplitude**2).sum() < 0.1 * (noise.amplitude**2).sum()


@pytest.mark.parametrize("hertz", [110.0, 261.6, 440.0, 987.8, 1975.5, 4500.0])
def test_a_lone_partial_is_read_from_the_mel_in_closed_form(hertz: float) -> None:
    lone = LonePartials()(LogMel()(torch.from_numpy(steady_tone("sine", hertz))[None]))
    nearest = (cell_centres() - hertz).abs().argmin()
    frequency = (cell_centres() + cell_widths() * lone.offset[0, 100])[nearest]
    assert abs(1200.0 * math.log2(frequency / hertz)) < 3.0
    assert lone.excess[0, 100, nearest] < 0.05
    noise = LonePartials()(LogMel()(0.1 * torch.randn(1, 32000)))
    assert noise.excess.quantile(0.01) > 0.2


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize("hertz", [41.2, 130.8, 523.3, 1975.5])
def test_true_partials_make_the_tone_again(timbre: str, hertz: float) -> None:
    tone = torch.from_numpy(steady_tone(timbre, hertz))[None]
    again = tones_of(tone)[0].numpy()
    assert abs(line_cents(again, hertz) - line_cents(tone[0].numpy(), hertz)) < 1.0


def test_partials_of_a_low_note_are_put_in_line() -> None:
    hertz = torch.tensor([[55.3, 0.0, math.nan]])
    logits = torch.zeros(1, 3, NUM_CLASSES, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(100):
        optimizer.zero_grad()
        fundamental_loss(logits, hertz).backward()
        optimizer.step()
    assert torch.equal(logits[0, 2], torch.zeros(NUM_CLASSES))
    frequency, sure = fundamental(logits.detach())
    assert abs(1200.0 * math.log2(frequency[0, 0] / 55.3)) < 2.0
    assert sure[0, :2, 0].tolist() == [True, False]
    assert logits[0, 1].argmax() == NUM_NOTES
    partials = torch.tensor([54.0, 112.0, 140.0, 498.0]).expand(1, 3, 4)
    placed = in_line(partials, logits.detach())
    ratios = torch.tensor([1.0, 2.0, 140.0 / 55.3, 9.0])
    torch.testing.assert_close(placed[0, 0] / frequency[0, 0], ratios, rtol=0, atol=0.01)
    assert torch.equal(placed[0, 1], partials[0, 1])


def test_a_glide_keeps_its_loudness() -> None:
    time = torch.arange(32000) / 16000
    turns = torch.cumsum(220.0 * 2.0**time, 0) / 16000
    again = tones_of(0.5 * torch.sin(2 * math.pi * turns)[None])[0, 4000:28000]
    levels = again.unfold(0, 320, 320).std(1)
    assert levels.std() < 0.1 * levels.mean()


def test_tones_are_drawn_again_from_the_same_seed() -> None:
    first, again = (draw_tones(6, 32, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    waves, notes = first
    assert waves.shape == (6, 32 * HOP_LENGTH)
    assert notes.shape == (6, 32)
    assert waves.abs().amax(1).min() > 1e-3
    assert waves.abs().max() < 1.5


def test_a_waveform_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    vocoder = TunedVocoder(Partials(16, 1), LowNotes(16, 1), 16, 1).eval()
    log_mel = LogMel()(draw_tones(3, 40, torch.Generator().manual_seed(1))[0])
    with torch.no_grad():
        together = vocoder(log_mel)
        alone = vocoder(log_mel[1:2])
    assert together[1].shape == (3, 40, NUM_CELLS)
    torch.testing.assert_close(together[0][1:2], alone[0], atol=1e-5, rtol=0)


def test_what_precedes_an_onset_is_turned_down() -> None:
    waveform = 0.01 * torch.randn(1, 60 * HOP_LENGTH)
    waveform[:, 30 * HOP_LENGTH :] *= 30.0
    ratio = without_pre_echo(waveform, LogMel()(waveform)) / waveform
    before = ratio[0, 28 * HOP_LENGTH : 29 * HOP_LENGTH]
    assert 0.3 < before.mean() < 0.7
    assert ratio[0, : 24 * HOP_LENGTH].mean() > 0.98
    assert ratio[0, 30 * HOP_LENGTH + 80 :].mean() > 0.99
