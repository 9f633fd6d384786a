"""A live set is one of those that ship, or a YAML file that the client may read; nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from osc_bridge.stage.liveset import list_sets, load_set
from server.errors import NotFound

SET = "name: Elsewhere\n"


@pytest.mark.parametrize(
    "name", ["../kick", "{there}", "./first-steps", "{there}.yaml/", "{there}.yaml/.", "x" * 1000]
)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    there.with_suffix(".yaml").write_text(SET)
    with pytest.raises(NotFound, match="no live set"):
        load_set(name.format(there=there))


def test_sets_that_ship_and_files(tmp_path: Path) -> None:
    assert [load_set(name).name for name in list_sets()]
    path = tmp_path / "mine.yaml"
    path.write_text(SET)
    assert load_set(str(path)).name == "Elsewhere"
