"""Variations of HTTP clients: the clips that a recipe names must be the client's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from server.audio.fence.pool import DECODERS
from server.engine.engine import Engine
from server.errors import NotFound
from server.http.access import Caller
from server.jobs.uploads import Uploads
from server.requests.fields import file_fields
from server.requests.request import REQUESTS, Vary

__all__ = ["with_checked_recipe"]

_FILE_FIELDS: Final = tuple({name for kind in REQUESTS for name in file_fields(kind)})


async def with_checked_recipe(
    request: Vary, client: Caller, uploads: Uploads, engine: Engine
) -> Vary:
    """``request`` with the recipe that was checked, which its file may not replace later.

    Raises:
        NotFound: it names a clip of another client, or none that is here.
        InvalidRequest, UnreadableAudio: there is no recipe.
    """
    from server.render.recipe import Recipe  # brings numpy, which the server else does without

    if request.recipe is None:
        facts = await DECODERS.facts(Path(request.clip))
        recipe = Recipe.parse(facts.recipe, "the clip")
    else:
        recipe = Recipe.of_values(request.recipe)
    kept = inner = msgspec.to_builtins(recipe)
    while isinstance(inner, dict):
        asked: dict[str, Any] = inner["request"]
        for path in filter(None, map(asked.get, _FILE_FIELDS)):
            _check_own(Path(path), client, uploads, engine)
        inner = asked.get("recipe")
    return msgspec.structs.replace(request, recipe=kept)


def _check_own(path: Path, client: Caller, uploads: Uploads, engine: Engine) -> None:
    if path.resolve().parent == uploads.folder.resolve():
        uploads.path(path.stem, client.sees_as)
    for job in engine.jobs():
        # The name of a take holds the id of its job.
        if job.owner != client.name and any(take.path.name == path.name for take in job.takes):
            raise NotFound("a clip that the recipe names is not here")
