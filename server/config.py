"""Settings of a running instance, in one frozen struct.

A value comes from the flag, else from the environment (``AUDIOLDM_OSC_PORT``), else from the YAML
file (``--config``), else from the default here. Flags are made from the fields, see
:mod:`server.config_flags`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from server.errors import InvalidRequest
from server.model.manifest import MANIFEST_FILE
from server.requests.explain import explain
from server.requests.fields import fields_of

__all__ = ["ENVIRONMENT_PREFIX", "Config", "built_in_model", "load_config"]

ENVIRONMENT_PREFIX: Final = "AUDIOLDM_"
Port = Annotated[int, Meta(ge=0, le=65535)]
_DEVICE: Final = re.compile(r"auto|cpu|coreml|directml|(cuda|tensorrt)(:\d{1,2})?")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set from outside."""

    host: Annotated[str, Meta(description="address to listen on; loopback unless you open it")] = (
        "127.0.0.1"
    )
    osc_port: Annotated[Port, Meta(description="OSC over UDP and TCP (0: any free one)")] = 9536
    http_port: Annotated[Port, Meta(description="HTTP and OSCQuery (0: any free one)")] = 9537
    model: Annotated[
        tuple[str, ...],
        Meta(
            description='model folder, name of an added model, or "built-in"; may be repeated, '
            "the first renders what names no model"
        ),
    ] = ()
    models_folder: Annotated[
        str, Meta(description="folder of added models, loaded when a job names them")
    ] = "~/AudioLDM/models"
    default_model: Annotated[
        str, Meta(description="the model among all that renders what names no model")
    ] = ""
    memory: Annotated[
        float,
        Meta(
            ge=0.0,
            description="GiB that loaded models may take on each device (0: 0.6 of the machine's)",
            extra={"metavar": "GIB"},
        ),
    ] = 0.0
    takes_folder: Annotated[str, Meta(description="where takes are written")] = "~/AudioLDM/takes"
    allowed_folders: Annotated[
        tuple[str, ...],
        Meta(description="further folders that clients may name for takes and clips"),
    ] = ()
    threads: Annotated[
        int, Meta(ge=0, le=256, description="CPU threads a model run uses (0: what fits)")
    ] = 0
    device: Annotated[
        str,
        Meta(
            description="where models run: auto, cpu, cuda, tensorrt, coreml or directml; "
            "cuda:0,cuda:1 is a worker on each",
        ),
    ] = "auto"
    max_queued: Annotated[
        int, Meta(ge=1, le=100_000, description="jobs that may wait; more are refused")
    ] = 256
    max_job_s: Annotated[
        float,
        Meta(ge=0.0, description="longest estimated rendering time of a job, in s (0: no limit)"),
    ] = 3600.0
    max_owner_s: Annotated[
        float,
        Meta(
            ge=0.0,
            description="longest estimated rendering time of a client's unfinished jobs together, "
            "in s (0: no limit)",
        ),
    ] = 28_800.0
    max_live_s: Annotated[
        float,
        Meta(
            ge=0.0,
            description="longest estimated rendering time of a live job, in s, or that of one and "
            "a half takes with the model's defaults; longer ones wait among the bulk jobs "
            "(0: no limit)",
        ),
    ] = 10.0
    engine: Annotated[
        str, Meta(description="URL of an audioldm-server that renders; empty: this machine does")
    ] = ""
    engine_token: Annotated[str, Meta(description="the token that the server gave you")] = ""
    state_folder: Annotated[
        str, Meta(description="journal of jobs, uploaded clips and access tokens")
    ] = "~/AudioLDM/state"
    max_upload_mb: Annotated[
        int, Meta(ge=1, le=100_000, description="largest clip that is taken over HTTP")
    ] = 200
    max_connections: Annotated[
        int, Meta(ge=1, le=65536, description="HTTP connections at a time; idle ones make room")
    ] = 256
    max_connections_per_address: Annotated[
        int, Meta(ge=1, le=65536, description="of them from one address that is not loopback")
    ] = 64
    max_streams: Annotated[
        int, Meta(ge=1, le=65536, description="event streams and WebSockets at a time")
    ] = 64
    max_osc_connections: Annotated[
        int, Meta(ge=1, le=65536, description="OSC connections over TCP at a time")
    ] = 64
    head_s: Annotated[
        float, Meta(ge=0.1, description="seconds for the head of an HTTP request")
    ] = 10.0
    stall_s: Annotated[
        float, Meta(ge=0.1, description="seconds that a body or a reader may make no progress")
    ] = 30.0
    keep_gb: Annotated[
        float, Meta(ge=0.0, description="oldest takes beyond this are deleted (0: never)")
    ] = 0.0
    keep_days: Annotated[
        float, Meta(ge=0.0, description="takes older than this are deleted (0: never)")
    ] = 0.0
    sound_card: Annotated[
        str,
        Meta(description='number or part of the name, see `audioldm-daw devices`; "none": silent'),
    ] = ""
    blocksize: Annotated[
        int,
        Meta(ge=0, le=4096, description="frames a block of the sound card (0: its own)"),
    ] = 128
    audio_hold_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=86400.0,
            description="seconds that the sound goes on if this program dies; started again "
            "meanwhile, it takes it over (0: the sound stops)",
        ),
    ] = 60.0
    live_set: Annotated[
        str, Meta(description="live set to load at the start: its name, or a YAML file")
    ] = ""
    announce: Annotated[
        bool, Meta(description="let control surfaces find us by mDNS (needs zeroconf)")
    ] = False
    trace_osc: Annotated[
        bool, Meta(description="print every OSC message that arrives or leaves")
    ] = False

    @property
    def is_loopback(self) -> bool:
        """True where only this machine can connect."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def model_folder(self) -> Path:
        """The model for requests that name none."""
        return self.model_folders[0]

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Folders of all models: the named ones, else the built-in one; then the added ones.

        ``default_model`` comes first.

        Raises:
            InvalidRequest: there is no model of that name.
        """
        found = self.models.glob(f"*/{MANIFEST_FILE}") if self.models_folder else ()
        added = sorted(path.parent for path in found)
        named = self.named_folders or (built_in_model(),)
        folders = (*named, *(folder for folder in added if folder not in named))
        if not self.default_model:
            return folders
        wanted = self._folder(self.default_model)
        if wanted not in folders:
            names = ", ".join(["built-in", *(folder.name for folder in added)])
            raise InvalidRequest(
                f"settings: there is no default_model {self.default_model!r}; there are {names}"
            )
        return (wanted, *(folder for folder in folders if folder != wanted))

    @property
    def named_folders(self) -> tuple[Path, ...]:
        """Folders of the models that ``model`` names."""
        return tuple(self._folder(name) for name in self.model)

    @property
    def models(self) -> Path:
        """The folder of added models."""
        return Path(self.models_folder).expanduser()

    def _folder(self, name: str) -> Path:
        """The model folder that a setting means: a path, or the name of a model."""
        if name == "built-in":
            return built_in_model()
        added = self.models / name
        path = Path(name).expanduser()
        return added if (added / MANIFEST_FILE).is_file() and not path.exists() else path

    @property
    def devices(self) -> tuple[str, ...]:
        """Where models run, one worker on each."""
        return tuple(self.device.split(","))

    @property
    def state(self) -> Path:
        """The folder of the journal, the uploads and the tokens."""
        return Path(self.state_folder).expanduser()

    @property
    def journal_file(self) -> Path:
        """The journal of jobs and takes."""
        return self.state / "journal.sqlite3"

    @property
    def tokens_file(self) -> Path:
        """Who may use the server over the network."""
        return self.state / "tokens.json"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders that clients may name in paths, the takes folder first."""
        folders = (self.takes_folder, *self.allowed_folders)
        return tuple(Path(folder).expanduser() for folder in folders)


def built_in_model() -> Path:
    """The model folder that ships with the package."""
    from importlib.resources import files  # slow to import, and --help does not need it

    return Path(str(files("models"))) / "tiny"


def load_config(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """Flag > environment > YAML file > default.

    ``flags`` are the parsed arguments (None: not given); ``environment`` defaults to the process's.

    Raises:
        InvalidRequest: an unknown setting, a value out of range, an unreadable file.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    surroundings = os.environ if environment is None else environment
    file = given.get("config") or surroundings.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    values = _read_yaml(Path(file)) if file else {}
    for field in fields_of(Config):
        in_environment = surroundings.get(ENVIRONMENT_PREFIX + field.name.upper())
        if field.type == "j" and isinstance(values.get(field.name), str):
            values[field.name] = [values[field.name]]
        if in_environment is not None:
            values[field.name] = (
                in_environment.split(os.pathsep) if field.type == "j" else in_environment
            )
        if field.name in given:
            values[field.name] = given[field.name]
    coerced = {
        field.name: field.coerce(values.pop(field.name))
        for field in fields_of(Config)
        if field.name in values
    }
    return _converted({**values, **coerced})


def _converted(values: dict[str, Any]) -> Config:
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"settings: {explain(error, values, Config)}") from error
    for device in config.devices:
        if not _DEVICE.fullmatch(device):
            raise InvalidRequest(
                "settings: device must be auto, cpu, cuda, tensorrt, coreml or directml, or "
                f"several cards: cuda:0,cuda:1 (got {device!r})"
            )
    return config


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InvalidRequest(f"{path} must hold `name: value` lines")
    return {str(name): value for name, value in values.items()}
