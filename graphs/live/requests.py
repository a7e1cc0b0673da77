"""What the page's forms send, checked."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from tools.errors import LivePageError

LONGEST_TEXT = 20_000
"""Characters of the longest text that is measured."""


class Form(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProbeForm(Form):
    """A text to be measured."""

    run: str
    feature: int = Field(ge=0)
    text: str = Field(min_length=1, max_length=LONGEST_TEXT)


F = TypeVar("F", bound=Form)


async def read_form(request: Request, kind: type[F]) -> F:
    """The request's body as a form of that kind.

    Raises:
        LivePageError: it is no JSON, or something in it is missing or wrong.
    """
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the form'}: {each['msg']}"
            for each in error.errors()
        )
        raise LivePageError(f"the form cannot be used: {told}.") from error
