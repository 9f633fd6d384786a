"""The heart: a request becomes takes.

prompt -> text_encoder -> unet (num_inference_steps times) -> vae_decoder -> vocoder -> take

Nothing here waits for the device: a render yields its unet calls (:mod:`server.render.denoise`),
and whoever holds it says when it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from server.audio.clip import Clip, ClipLoader, load_clip
from server.audio.waveform import Waveform
from server.errors import RenderError
from server.model.autoencoder import Autoencoder
from server.model.clap_audio import ClapAudio
from server.model.known_sounds import KnownSounds
from server.model.listener import UNHEARD, Listener
from server.model.manifest import LISTENER, Manifest
from server.model.noise import FIRST_STEP_STREAM, INITIAL_STREAM
from server.model.schedule import Latents, Steps, make_steps
from server.model.session import Device, Graph, OutOfMemory, default_threads, providers_for
from server.model.text import Embedding, TextEncoder
from server.render.conditioning import meaning
from server.render.delivery import deliver
from server.render.denoise import GuidedUnet, UnetCall, Work, finished
from server.render.joining import JoinedUnet
from server.render.known_part import known_part
from server.render.note_tempo_check import played
from server.render.plan import Plan, RenderContext
from server.render.plans import plan
from server.render.plans.sound import DEFAULT_RATE
from server.render.preview import OnPreview, previewing
from server.render.ranking import Candidate, best_first, enough, ranked
from server.render.recipe import Recipe
from server.render.samplers import SAMPLERS, SPACINGS, Hear, sample
from server.render.take import Take
from server.render.working_memory import Free, Need, Room, free_memory
from server.requests.notation import Notation
from server.requests.request import Request, TextToAudio, validate
from server.requests.resolved import AnyResolved, resolve

__all__ = ["OnStep", "Pipeline"]

OnStep = Callable[[int, int], None]


class Pipeline:
    """A model folder ready to render. Graphs are loaded when they are first needed.

    ``clips`` finds the clips that requests name; a service gives one that checks paths.
    ``free`` tells what memory there is before a job starts.

    Raises:
        ModelError: the folder is not a usable model folder.
    """

    def __init__(
        self,
        folder: Path,
        device: Device = "auto",
        threads: int = 0,
        clips: ClipLoader = load_clip,
        free: Callable[[bool], Free | None] = free_memory,
    ) -> None:
        self.manifest = Manifest.load(folder)
        providers = providers_for(device)
        threads = threads or default_threads()
        self.graphs = {
            name: Graph(folder / f"{name}.onnx", providers, threads)
            for name in self.manifest.components
        }
        self.text = TextEncoder(folder, self.manifest, self.graphs["text_encoder"])
        self.audio = ClapAudio(self.manifest, self.graphs["audio_encoder"])
        self.autoencoder = Autoencoder(self.manifest, self.graphs)
        self.listener = (
            Listener(self.graphs[LISTENER], self.autoencoder) if self.manifest.listener else None
        )
        self.clips = clips
        self.known_sounds = KnownSounds.load(folder)
        self._on_cpu = len(providers) == 1
        self.unet = JoinedUnet(self.graphs["unet"], self._on_cpu)
        self._free = free
        self._room = Room(self.manifest, self.autoencoder.chunk)

    def warm_up(self) -> None:
        """Load what a text prompt needs, so that the first take is as quick as the tenth."""
        self.render(TextToAudio(prompt="warm up", num_inference_steps=1, audio_length_in_s=0.5))

    def render(self, request: Request, on_step: OnStep = lambda done, total: None) -> list[Take]:
        """All takes of ``request``, the one that fits its prompt best first.

        ``on_step`` is called after each denoising step, and again between takes while they are
        decoded; an exception it raises ends the render.

        Raises:
            InvalidRequest: a value is out of range.
            TooLarge: it does not fit into the memory.
            UnreadableAudio: a clip cannot be read.
            RenderError: ONNX Runtime failed.
        """
        resolved = resolve(validate(request), self.manifest)
        return finished(self.rendering(resolved, on_step), self.unet)

    def rendering(
        self, request: AnyResolved, on_step: OnStep, on_preview: OnPreview | None = None
    ) -> Work[list[Take]]:
        """:meth:`render` in pieces: one that plans, the unet calls, one a take that is finished.

        ``on_preview`` hears the first take as often as the request asks for ``previews``, each a
        piece of its own.
        """
        digests: dict[str, str] = {}
        planned = plan(request, self.context(digests))
        familiarity = self._familiarity(planned.settings)
        seeds = range(request.seed, request.seed + request.num_renders)
        num_steps = len(self._steps(planned))
        hear = None
        if on_preview is not None and request.previews:
            hear = previewing(planned, request.previews, num_steps, on_preview)
        yield None
        renders = yield from self._renders(planned, seeds, on_step, hear)
        wanted = request.num_waveforms_per_prompt
        takes: list[Take] = []
        for render in best_first(renders):
            if enough(takes, renders, planned, wanted):
                break
            if takes:
                on_step(num_steps, num_steps)
            yield None
            take = self._take(planned, planned.recipe or request, render, digests)
            takes.append(replace(take, measures=take.measures | familiarity))
        return ranked(takes, planned)[:wanted] if len(seeds) > 1 else takes

    def _renders(
        self,
        planned: Plan,
        seeds: range,
        on_step: OnStep,
        hear: Hear[UnetCall | None] | None,
    ) -> Work[list[Candidate]]:
        """All seeds denoised, as many together as fit into the memory."""
        together = self._takes_at_once(planned, seeds)
        renders: list[Candidate] = []
        for begun in range(0, len(seeds), together):
            group = seeds[begun : begun + together]
            progress = _part_of(on_step, begun, len(group), len(seeds))
            latents = yield from self.denoising(planned, group, progress, hear)
            hear = None
            for seed, latent in zip(group, latents, strict=True):
                yield None
                fit = self._fit(latent, planned) if len(seeds) > 1 else None
                renders.append(Candidate(seed, latent, fit))
        return renders

    def context(self, digests: dict[str, str]) -> RenderContext:
        """What a plan may use; the digests of the clips it reads are noted."""

        def clips(name: str) -> Clip:
            clip = self.clips(name)
            digests[name] = clip.digest
            return clip

        return RenderContext(
            self.manifest, self.text, self.audio, self.autoencoder, clips, self.known_sounds
        )

    def denoise(self, planned: Plan, seeds: Sequence[int], on_step: OnStep) -> Latents:
        """Clean latents [len(seeds), lanes, C, T, F]."""
        return finished(self.denoising(planned, seeds, on_step), self.unet)

    def denoising(
        self,
        planned: Plan,
        seeds: Sequence[int],
        on_step: OnStep,
        hear: Hear[UnetCall | None] | None = None,
    ) -> Work[Latents]:
        """:meth:`denoise`, call by call; ``hear`` gets the first take's [lanes, C, T, F]."""
        settings, steps = planned.settings, self._steps(planned)

        def noise(stream: int) -> Latents:
            return np.concatenate([planned.noise(seed, stream) for seed in seeds])

        x = noise(INITIAL_STREAM)
        lanes = len(x) // len(seeds)
        denoiser = GuidedUnet(
            steps,
            planned.windows,
            np.repeat(np.stack([planned.conditions(seed) for seed in seeds]), lanes, axis=0),
            planned.unconditional,
            settings.guidance_scale,
            settings.guidance_end,
            self.unet.frames_a_call,
            self._telling(planned.notation),
        )
        if planned.start is not None:
            start = np.tile(planned.start, (len(seeds), 1, 1, 1))
            x = steps.add_noise(start, x, 0) if len(steps) else start
        hold = known_part(planned, steps, noise, len(seeds))

        def takes_of(x: Latents) -> Latents:
            whole = hold(x, len(steps)) if hold else x
            return whole.reshape(len(seeds), lanes, *x.shape[1:])

        x = yield from sample(
            denoiser,
            x,
            steps,
            SAMPLERS[settings.sampler](steps, settings.eta, lambda i: noise(FIRST_STEP_STREAM + i)),
            constrain=hold,
            on_step=on_step,
            hear=hear and (lambda clean, done: hear(takes_of(clean)[0], done)),
        )
        return takes_of(x)

    def _telling(self, notation: Notation) -> Callable[[int], tuple[float, ...]] | None:
        """What a unet that takes notation is told about frames from a first one on."""
        if not self.manifest.notation:
            return None
        seconds = self.manifest.seconds_per_latent_frame
        return lambda first: notation.columns(first * seconds)

    def _steps(self, planned: Plan) -> Steps:
        """The steps that are run."""
        settings = planned.settings
        return make_steps(
            self.manifest.schedule,
            settings.num_inference_steps,
            SPACINGS[settings.sampler],
            planned.strength,
        )

    def _takes_at_once(self, planned: Plan, seeds: Sequence[int]) -> int:
        """How many takes are denoised together; a take sounds the same whatever it is."""
        windows, settings = planned.windows, planned.settings
        need = Need(
            takes=len(seeds),
            lanes=len(planned.noise(seeds[0], INITIAL_STREAM)),
            frames=windows.total,
            window=max(map(len, windows.frames)),
            windows=len(windows),
            rows=1 if settings.guidance_scale == 1.0 else 2,
            sample_rate=settings.delivery.sample_rate or DEFAULT_RATE,
        )
        return self._room.takes_at_once(need, self.unet.frames_a_call, self._free(self._on_cpu))

    def _fit(self, latent: Latents, planned: Plan) -> float | None:
        """What the model's ear for that says, where it has one; its failure costs no take."""
        if self.listener is None:
            return None
        try:
            return self.listener.fit(latent, planned.target)
        except OutOfMemory:
            raise
        except RenderError:
            return UNHEARD

    def _take(
        self, planned: Plan, request: AnyResolved, render: Candidate, digests: dict[str, str]
    ) -> Take:
        """One take as a file of its own would have it, with its recipe."""
        finished = planned.finish(render.latent)
        sound, measures = deliver(finished, planned.settings.delivery)
        measures |= played(sound, planned.notation)
        alone = msgspec.structs.replace(
            request,
            seed=render.seed,
            num_waveforms_per_prompt=1,
            num_candidates=1,
            priority=None,
            previews=0,
        )
        recipe = Recipe.of(alone, self.manifest, digests)
        file_format = planned.settings.delivery.file_format or finished.file_format
        heard, fit = self._heard(sound), render.fit
        if fit is None:
            fit = UNHEARD if heard is None else float(heard @ planned.target)
        return Take(
            waveform=sound,
            recipe=recipe,
            seed=render.seed,
            measures=measures,
            file_format=file_format,
            embedding=heard,
            fit=fit,
            fine=finished.fine,
        )

    def _familiarity(self, settings: Request) -> dict[str, Any]:
        """How near the words are to what the model was trained on, where that is known."""
        if self.known_sounds is None:
            return {}
        meant = meaning(settings, self.text)
        return {} if meant is None else self.known_sounds.nearest(meant)

    def _heard(self, sound: Waveform) -> Embedding | None:
        """A take whose sound the tower fails on is still a take."""
        try:
            return self.audio(sound)
        except OutOfMemory:
            raise
        except RenderError:
            return None


def _part_of(on_step: OnStep, begun: int, group: int, takes: int) -> OnStep:
    """Tells the steps of a group of takes as steps of the whole job."""

    def progress(done: int, total: int) -> None:
        on_step((begun * total + group * done) // takes, total)

    return progress
