"""What the disk says while a model is added."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from server.errors import AudioLDMError, Conflict, ModelError, StorageFull
from server.store.adding import _alone, add_model
from server.store.plan import AddRequest, Plan
from server.store.progress import Meter


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, StorageFull) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        *((number, ModelError) for number in (errno.EACCES, errno.EROFS, errno.ENOENT)),
    ],
)
def test_only_a_full_disk_is_called_full(
    number: int, kind: type[AudioLDMError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("server.store.adding.convert", refuse)
    monkeypatch.setattr("server.store.adding.built_in_templates", lambda: None)
    request = AddRequest(source="/weights", name="new")
    plan = Plan(request=request, name="new", licence="CC0", path="/weights", free_bytes=2**40)
    with pytest.raises(kind, match=os.strerror(number)):
        add_model(plan, tmp_path, Meter("new", lambda _: None))


def test_of_two_additions_at_once_the_second_is_refused(tmp_path: Path) -> None:
    with (
        _alone(tmp_path, "new"),
        pytest.raises(Conflict, match="being added"),
        _alone(tmp_path, "new"),
    ):
        pass
    with _alone(tmp_path, "new"):
        pass
