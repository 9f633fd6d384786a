"""The pipeline: from a request to takes.

prompt -> text_encoder -> unet (num_inference_steps times) -> vae_decoder -> vocoder -> take

A render yields its unet calls (:mod:`server.render.denoise`). The worker runs them and decides
which of several renders continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from server.audio.clip import Clip, ClipLoader
from server.audio.fence.reading import load_clip
from server.audio.waveform import Waveform
from server.errors import RenderError
from server.fullband.upper_band import UpperBand, built_in_upper_band
from server.model.autoencoder import Autoencoder
from server.model.clap_audio import ClapAudio
from server.model.known_sounds import KnownSounds
from server.model.listener import NO_SCORE, Listener
from server.model.manifest import LISTENER, Manifest
from server.model.noise import INITIAL_STREAM
from server.model.runtimes.choice import load_in_turn, runtime_for
from server.model.schedule import Latents
from server.model.session import Device, OutOfMemory, default_threads
from server.model.text import Embedding, TextEncoder
from server.render.conditioning import names_tempo, notation_of, prompt_embedding
from server.render.denoise import UnetCall, Work, finished
from server.render.diffusion import Diffusion, part_of
from server.render.finishing.delivery import deliver
from server.render.finishing.full_band import completed
from server.render.finishing.note_tempo_check import measured, missed
from server.render.joining import JoinedUnet
from server.render.plan import Finished, Plan, RenderContext
from server.render.plans import plan
from server.render.plans.sound import DEFAULT_RATE
from server.render.preview import OnPreview, previewing
from server.render.ranking import Candidate, best_first, enough, ranked
from server.render.recipe import Recipe
from server.render.redraw import Draw, heard
from server.render.samplers import OnEstimate, OnStep
from server.render.take import Take
from server.render.working_memory import FreeMemory, MemoryLimit, MemoryNeed, free_memory
from server.requests.request import NewSound, Request, TextToAudio, validate
from server.requests.resolved import AnyResolved, resolve

__all__ = ["WARM_UP_S", "Pipeline"]

WARM_UP_S: Final = 0.5


class Pipeline:
    """A model folder ready to render. Graphs are loaded at their first use.

    Args:
        folder: the model folder.
        device: where the graphs run.
        threads: CPU threads of a graph; 0: all cores.
        clips: reads the clips that requests name.
        free: returns the free memory; called before each job.
        cache: folder of compiled graphs, for the runtimes that compile; None: nothing is kept.

    Raises:
        ModelError: the folder is not a usable model folder.
    """

    def __init__(
        self,
        folder: Path,
        device: Device = "auto",
        threads: int = 0,
        clips: ClipLoader = load_clip,
        free: Callable[[bool], FreeMemory | None] = free_memory,
        *,
        cache: Path | None = None,
    ) -> None:
        self.manifest = Manifest.load(folder)
        runtime = runtime_for(device, self.manifest, cache)
        threads = threads or default_threads()
        self.graphs = runtime.graphs(folder, self.manifest, threads)
        self.text = TextEncoder(folder, self.manifest, self.graphs["text_encoder"])
        self.audio = ClapAudio(self.manifest, self.graphs["audio_encoder"])
        self.autoencoder = Autoencoder(self.manifest, self.graphs)
        self.listener = (
            Listener(self.graphs[LISTENER], self.autoencoder) if self.manifest.listener else None
        )
        self.clips = clips
        self.upper_band = UpperBand(built_in_upper_band(), threads)
        self.known_sounds = KnownSounds.load(folder)
        self._on_cpu = runtime.on_cpu
        self.unet = JoinedUnet(self.graphs["unet"], self._on_cpu)
        self._free = free
        self._memory = MemoryLimit(self.manifest, self.autoencoder.chunk)

    def warm_up(self, on_loading: OnStep = lambda done, total: None) -> float:
        """Load the graphs for text prompts, so that the first take is as quick as later ones.

        ``on_loading`` is called before each graph and at the end, with the bytes that are loaded.

        Returns:
            seconds that the second step took, of ``WARM_UP_S`` of sound.
        """
        load_in_turn(self.graphs, self.manifest, on_loading)
        steps_s: list[float] = []
        request = TextToAudio(
            prompt="warm up", num_inference_steps=2, num_candidates=1, audio_length_in_s=WARM_UP_S
        )
        self.render(request, lambda done, total: steps_s.append(time.monotonic()))
        return steps_s[1] - steps_s[0]

    def render(self, request: Request, on_step: OnStep = lambda done, total: None) -> list[Take]:
        """All takes of ``request``, the one with the best score first.

        ``on_step`` is called after each denoising step, and between takes while they are decoded.
        An exception in it ends the render.

        Raises:
            InvalidRequest: a value is out of range.
            TooLarge: the job does not fit into the memory.
            UnreadableAudio: a clip cannot be read.
            RenderError: ONNX Runtime failed.
        """
        resolved = resolve(validate(request), self.manifest)
        return finished(self.rendering(resolved, on_step), self.unet)

    def rendering(
        self, request: AnyResolved, on_step: OnStep, on_preview: OnPreview | None = None
    ) -> Work[list[Take]]:
        """:meth:`render` as a generator of unet calls, paused between planning, steps and takes.

        ``on_preview`` receives previews of the first take, as many as the request asks for.
        """
        digests: dict[str, str] = {}
        planned = plan(request, self.context(digests))
        familiarity = self._familiarity(planned.settings)
        seeds = range(request.seed, request.seed + request.num_renders)
        run = Diffusion(self.manifest, planned)
        num_steps = len(run.steps)
        on_estimate = None
        if on_preview is not None and request.previews:
            on_estimate = previewing(planned, request.previews, num_steps, on_preview)
        yield None
        candidates = yield from self._candidates(planned, run, seeds, on_step, on_estimate)
        wanted = request.num_waveforms_per_prompt
        takes: list[Take] = []
        silent: dict[int, Finished] = {}
        for candidate in best_first(candidates):
            if enough(takes, candidates, planned, wanted):
                break
            if takes:
                on_step(num_steps, num_steps)
            yield None
            take, decoded = self._take(planned, planned.recipe or request, candidate, digests)
            takes.append(replace(take, measures=take.measures | familiarity))
            if take.silent and decoded.sound_wanted:
                silent[candidate.seed] = decoded
        ranks = len(seeds) > 1 and planned.way is None
        chosen = ranked(takes, planned)[:wanted] if ranks else takes
        draw = self._drawing(
            planned.recipe or request, digests, partial(on_step, num_steps, num_steps)
        )
        for k, take in enumerate(chosen):
            if take.seed in silent:
                chosen[k] = yield from heard(take, silent[take.seed], planned, draw)
        return chosen

    def _drawing(
        self, request: AnyResolved, digests: dict[str, str], on_work: Callable[[], None]
    ) -> Draw:
        """Renders further takes of ``request``; ``on_work`` is called after each of their steps."""

        def draw(planned: Plan, seed: int) -> Work[tuple[Take, Finished]]:
            run = Diffusion(self.manifest, planned)
            latents = yield from run.latents(
                [seed], self.unet.frames_a_call, lambda done, total: on_work()
            )
            yield None
            return self._take(planned, request, Candidate(seed, latents[0], None), digests)

        return draw

    def denoise(self, planned: Plan, seeds: Sequence[int], on_step: OnStep) -> Latents:
        """Clean latents [len(seeds), channels, C, T, F] of a plan."""
        run = Diffusion(self.manifest, planned)
        return finished(run.latents(seeds, self.unet.frames_a_call, on_step), self.unet)

    def context(self, digests: dict[str, str]) -> RenderContext:
        """What a plan may use; ``digests`` receives the digest of each clip that it reads."""

        def clips(name: str) -> Clip:
            clip = self.clips(name)
            digests[name] = clip.digest
            return clip

        return RenderContext(
            self.manifest, self.text, self.audio, self.autoencoder, clips, self.known_sounds
        )

    def _candidates(
        self,
        planned: Plan,
        run: Diffusion,
        seeds: range,
        on_step: OnStep,
        on_estimate: OnEstimate[UnetCall | None] | None,
    ) -> Work[list[Candidate]]:
        """Denoise all seeds, as many together as fit into the memory."""
        together = self._takes_at_once(planned, seeds)
        candidates: list[Candidate] = []
        for begun in range(0, len(seeds), together):
            group = seeds[begun : begun + together]
            progress = part_of(on_step, begun, len(group), len(seeds))
            latents = yield from run.latents(group, self.unet.frames_a_call, progress, on_estimate)
            on_estimate = None  # previews are of the first take
            for seed, latent in zip(group, latents, strict=True):
                yield None
                ranks = len(seeds) > 1 and planned.way is None
                score = self._score(latent, planned) if ranks else None
                candidates.append(Candidate(seed, latent, score))
        return candidates

    def _takes_at_once(self, planned: Plan, seeds: Sequence[int]) -> int:
        """How many takes are denoised together; it does not change how they sound."""
        windows, settings = planned.windows, planned.settings
        need = MemoryNeed(
            takes=len(seeds),
            channels=len(planned.noise(seeds[0], INITIAL_STREAM)),
            frames=windows.total,
            window=max(map(len, windows.frames)),
            windows=len(windows),
            rows=1 if settings.guidance_scale == 1.0 else 2,
            sample_rate=settings.delivery.sample_rate or DEFAULT_RATE,
            delivered=settings.layout[0] if isinstance(settings, NewSound) else 1,
        )
        return self._memory.takes_at_once(need, self.unet.frames_a_call, self._free(self._on_cpu))

    def _score(self, latent: Latents, planned: Plan) -> float | None:
        """The listener's score, where the model has a listener; its failure costs no take."""
        if self.listener is None:
            return None
        try:
            return self.listener.score(latent, planned.target)
        except OutOfMemory:
            raise
        except RenderError:
            return NO_SCORE

    def _take(
        self, planned: Plan, request: AnyResolved, candidate: Candidate, digests: dict[str, str]
    ) -> tuple[Take, Finished]:
        """Decode and deliver one take, with the recipe that reproduces it alone."""
        decoded = planned.finish(candidate.latent)
        whole = completed(decoded, planned.settings, self.upper_band, candidate.seed)
        delivered = deliver(whole, planned.settings.delivery)
        sound = delivered.sound
        rendered = delivered.rendered
        measures = delivered.measures
        if rendered is not None:
            measures = measures | measured(rendered, planned.notation)
        credit = planned.credit_of(candidate.seed)
        alone = planned.request_of(request, candidate.seed)
        recipe = Recipe.of(alone, self.manifest, digests, **credit)
        embedding, score = self._embedding(sound), candidate.score
        measures = measures | credit | planned.place_of(candidate.seed, embedding)
        if score is None:
            target = planned.target_of(candidate.seed)
            score = NO_SCORE if embedding is None else float(embedding @ target)
        take = Take(
            waveform=sound,
            recipe=recipe,
            seed=candidate.seed,
            measures=measures,
            file_format=delivered.file_format,
            embedding=embedding,
            audio_tower=self.manifest.audio_tower,
            score=score,
            exact=delivered.exact,
            metadata=delivered.metadata,
            warnings=(*delivered.warnings, *_missed(planned, measures, rendered)),
        )
        return take, decoded

    def _familiarity(self, settings: Request) -> dict[str, Any]:
        """Measures of how near the prompt is to the captions that the model was trained on."""
        if self.known_sounds is None:
            return {}
        embedding = prompt_embedding(settings, self.text)
        return {} if embedding is None else self.known_sounds.nearest(embedding)

    def _embedding(self, sound: Waveform) -> Embedding | None:
        """The CLAP embedding of a take; None where the tower fails, which costs no take."""
        try:
            return self.audio(sound)
        except OutOfMemory:
            raise
        except RenderError:
            return None


def _missed(planned: Plan, measures: dict[str, Any], rendered: Waveform | None) -> tuple[str, ...]:
    """What the sound that was rendered misses of what was asked for."""
    if rendered is None:
        return ()
    asked = notation_of(planned.settings)
    beat_expected = names_tempo(planned.settings)
    sentence = missed(measures, asked, rendered.seconds, beat_expected=beat_expected)
    return (sentence,) if sentence else ()
