"""Texts to token ids and back to what each token looks like."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (transformers' tokenizers are typed too loosely for strict checking.)

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import cast

from transformers import PreTrainedTokenizerBase

from tools.errors import CorruptSubject, InvalidText

_NO_LIMIT = 10**30

_MOST_RECENT = 1_024
"""Texts whose token ids are remembered."""

_LONGEST_REMEMBERED = 2_000
"""Characters; documents of a corpus are read once, and would only fill the memory."""

_SAMPLE = (
    "The 42 Quick-brown foxes\n\n\tdef jump(self, x): return \u00fcber  don't\u2026 \u6f22\u5b57"
)


class TextTokens:
    """A tokenizer without its special tokens, with the surface of every token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Wrap `tokenizer`; length is the caller's concern, so its own limit is lifted."""
        tokenizer.model_max_length = _NO_LIMIT
        self._tokenizer = tokenizer
        self._surfaces: dict[int, str] = {}
        self._recent: dict[str, list[int]] = {}
        self._anchor = self._find_anchor()
        self.special_ids = frozenset(tokenizer.all_special_ids)

    def __len__(self) -> int:
        """Number of token ids, special tokens included."""
        return len(self._tokenizer)

    def ids(self, text: str) -> list[int]:
        """Token ids of `text`; the name of a special token is read as ordinary characters."""
        return self.ids_of_all([text])[0]

    def ids_of_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each of `texts`, as by `ids`."""
        recent = self._recent
        new = [text for text in dict.fromkeys(texts) if text not in recent]
        found = dict(zip(new, self._encode(new), strict=True))
        short = {text: ids for text, ids in found.items() if len(text) <= _LONGEST_REMEMBERED}
        if short:
            # Who runs a text has usually asked for its length just before. Assigned whole: other
            # threads may be reading.
            kept = recent if len(short) + len(recent) <= _MOST_RECENT else {}
            self._recent = kept | short
        known = recent | found if found else recent
        return [list(known[text]) for text in texts]

    def surfaces(self, token_ids: Sequence[int]) -> list[str]:
        """The surface of each token id on its own, a word-initial token with its space."""
        new = {token_id for token_id in token_ids if token_id not in self._surfaces}
        for token_id in new:
            self._surfaces[token_id] = self._surface(token_id)
        return [self._surfaces[token_id] for token_id in token_ids]

    def bos_id(self, *, or_end: bool) -> int | None:
        """The id that begins a sequence.

        Args:
            or_end: where the tokenizer has none, take the one that ends a sequence, as
                TransformerLens does.
        """
        begin = cast(int | None, self._tokenizer.bos_token_id)
        end = cast(int | None, self._tokenizer.eos_token_id)
        return end if begin is None and or_end else begin

    def digest(self) -> str:
        """A hash over the vocabulary and over how a sample text is cut."""
        digest = hashlib.sha256(json.dumps(self._tokenizer.get_vocab(), sort_keys=True).encode())
        digest.update(json.dumps(self.ids(_SAMPLE)).encode())
        return digest.hexdigest()

    def _encode(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        for text in texts:
            _check_unicode(text)
        encoded = self._tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        return cast(list[list[int]], encoded["input_ids"])

    def _surface(self, token_id: int) -> str:
        # Decoders strip a leading space at the start of a text, so the token is read behind
        # another one. Bytes that are no character alone come out as U+FFFD.
        prefix_id, prefix = self._anchor
        return self._decode([prefix_id, token_id])[len(prefix) :]

    def _find_anchor(self) -> tuple[int, str]:
        """A token, with its surface, that stays as it is whatever follows it."""
        for character in "ax1.":
            ids = self.ids(character)
            if ids and self._decode([ids[-1], ids[-1]]).startswith(character):
                return ids[-1], self._decode([ids[-1]])
        raise CorruptSubject(
            "the tokenizer cannot write even single letters: it seems not to belong to a "
            "language model; check the tokenizer files in the model's directory"
        )

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return cast(str, text)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"character {error.start} of the text {text[:40]!r} is half of a surrogate pair; "
            "remove it or decode the text anew"
        ) from error
