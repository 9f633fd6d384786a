"""The tree of errors: each has a code of its own, and the code leads back to it."""

from __future__ import annotations

import pytest

from server import errors
from server.errors import AudioLDMError, error_for

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AudioLDMError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_code_leads_back_to_its_error(kind: type[AudioLDMError]) -> None:
    error = error_for(kind.code, "a sentence")
    assert type(error) is kind
    assert str(error) == "a sentence"
    assert f" {kind.code}\n" in f"{errors.__doc__}\n" or kind is AudioLDMError


def test_codes_differ_and_an_unknown_one_is_the_root() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert type(error_for("of a later version", "a sentence")) is AudioLDMError
