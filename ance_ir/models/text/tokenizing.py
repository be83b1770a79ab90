"""Texts to token ids, as the text settings say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from typing import Generic, TypeVar

from transformers import PreTrainedTokenizerBase
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils.generic import PaddingStrategy

from ance_ir.digests import digest_of
from ance_ir.errors import ModelError, UsageError
from ance_ir.models.text.ending import ending_with
from ance_ir.models.text.settings import PassageScheme, Settings, Text, TextSettings
from ance_ir.models.text.tokens import Tokens

S = TypeVar("S", bound=Settings)


class FastTokenizer(Generic[S]):
    """A fast tokeniser and the cleaning of texts before it; what tokenisers of single texts and of pairs have in common.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads text.
        longest: the most tokens that the model takes.
        lower_case: lower-case texts first.
        max_characters: cut texts there first; ``None`` never cuts.

    Raises:
        ModelError: the tokeniser is not a fast one.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        settings: S,
        longest: int,
        *,
        lower_case: bool = False,
        max_characters: int | None = None,
    ) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                f"{tokenizer.name_or_path}: a fast tokeniser (tokenizer.json) is needed, this one is {type(tokenizer).__name__}"
            )
        self.tokenizer = tokenizer
        self.settings = settings
        self.longest = longest
        self.pad_id = int(tokenizer.pad_token_id or 0)
        self._lower_case = lower_case
        self._max_characters = max_characters

    @cached_property
    def vocabulary_hash(self) -> str:
        """Hash of the tokens and their ids."""
        return digest_of(sorted(self.tokenizer.get_vocab().items()))

    def clean(self, text: str, cut: bool = True) -> str:
        """A text as the tokeniser gets it, perhaps not cut."""
        if cut and self._max_characters is not None:
            text = text[: self._max_characters]
        if not text.isascii():  # lone surrogates cannot be encoded, and would stop the tokeniser
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.lower() if self._lower_case else text

    def bare(self, texts: list[str]) -> list[list[int]]:
        """Token ids of cleaned texts, without special ones."""
        return _token_ids(self.tokenizer, texts)

    def around(self, ids: list[int] | None = None) -> tuple[list[int], list[int]]:
        """What stands before and after the text "a", by default the special tokens of a single text."""
        whole: list[int] = self.tokenizer("a")["input_ids"] if ids is None else ids
        bare = self.bare(["a"])[0]
        start = next(i for i in range(len(whole) + 1) if whole[i : i + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]


class TextTokenizer(FastTokenizer[TextSettings]):
    """Turns texts into token ids as the settings say.

    Attributes:
        reader: the tokeniser with the end that the settings ask for.

    Args:
        tokenizer: a fast Hugging Face tokeniser.
        settings: how the model reads text.
        longest: the most tokens that the model takes.

    Raises:
        ModelError: the tokeniser is not a fast one.
        UsageError: a length in the settings is more than the model takes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: TextSettings, longest: int) -> None:
        super().__init__(tokenizer, settings, longest, lower_case=settings.lower_case, max_characters=settings.max_characters)
        for name in ("query_length", "passage_length"):
            if getattr(settings, name) > longest:
                raise UsageError(f"{name} {getattr(settings, name)} is more than the {longest} tokens that the model takes")
        self._mask_id = tokenizer.mask_token_id
        if settings.mask_padding and self._mask_id is None:
            raise UsageError(f"mask_padding pads queries with mask tokens, and the tokeniser of {tokenizer.name_or_path} has none")
        self.reader = tokenizer if settings.end_token is None else ending_with(tokenizer, settings.end_token)
        self._before, self._after = self.around(self.reader("a")["input_ids"])

    @cached_property
    def _between(self) -> list[int]:
        """What stands between the two texts of a pair."""
        before, rest = self.around(self.reader("a", "a")["input_ids"])
        between, after = self.around(rest)
        if (before, after) != (self._before, self._after):
            raise ModelError(f"{self.tokenizer.name_or_path}: pairs of texts begin or end unlike single ones; pairs cannot be cut")
        return between

    def queries(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of queries, special tokens included, at most ``query_length`` each."""
        prefix, strip = self.settings.query_prefix, self.settings.strip_question_mark
        length = self.settings.query_length
        encoded = self._encode([prefix + (text.removesuffix("?") if strip else text) for text in texts], length)
        return [ids + [self._mask_id] * (length - len(ids)) for ids in encoded] if self.settings.mask_padding else encoded

    def joined(self, groups: Sequence[Sequence[str]], length: int) -> list[list[int]]:
        """Token ids of groups of texts, each text followed by what ends one, at most ``length`` a group."""
        texts = iter(self.bare([self.clean(text) for group in groups for text in group]))
        return [(self._before + [token for _ in group for token in next(texts) + self._after])[:length] for group in groups]

    def passages(self, texts: Sequence[Text]) -> list[list[int]]:
        """Token ids of passages, special tokens included, at most ``passage_length`` each; of a pair the longer text is cut first."""
        prefix = self.settings.passage_prefix
        prefixed = [(prefix + text[0], text[1]) if isinstance(text, tuple) else prefix + text for text in texts]
        return self._encode(prefixed, self.settings.passage_length)

    def cut(self, texts: Sequence[Text], scheme: PassageScheme) -> Tokens:
        """Cut texts into passages, each with special tokens of its own unless the scheme says otherwise.

        Of a pair the second text is cut, and each passage begins with the first one, of which at most half a passage is kept.
        A text without any token gives one passage of special tokens only, so that every document can be found.
        """
        length, alone = self._room(scheme)
        prefix = self.settings.passage_prefix
        titles = iter(self.bare([self.clean(prefix + text[0]) for text in texts if isinstance(text, tuple)]))
        texts_alone = [text[1] if isinstance(text, tuple) else prefix + text for text in texts]
        encoded = self.bare([self.clean(text, cut=not scheme.whole) for text in texts_alone])
        leads = (
            self._lead_of_pair(next(titles), ids, length) if isinstance(text, tuple) else self._lead(alone, ids)
            for text, ids in zip(texts, encoded, strict=True)
        )
        return Tokens.of(self._windows(lead, rest, length, scheme) for lead, rest in leads)

    def spans(self, text: Text, scheme: PassageScheme) -> list[tuple[int, int]]:
        """Where the passages lie that ``cut`` makes of a text: half-open ranges of its characters, of a pair those of the second text.

        They are exact unless the text changes its length where it is lower-cased here.
        """
        length, alone = self._room(scheme)
        before = "" if isinstance(text, tuple) else self.settings.passage_prefix
        body = self.clean(text[1] if isinstance(text, tuple) else before + text, cut=not scheme.whole)
        self.bare([])  # it sets the tokeniser, which others share, to cut nothing
        encoded = self.tokenizer.backend_tokenizer.encode_batch([body], add_special_tokens=False)[0]
        if isinstance(text, tuple):
            title = self.bare([self.clean(self.settings.passage_prefix + text[0])])[0]
            lead, rest = self._lead_of_pair(title, encoded.ids, length)
        else:
            lead, rest = self._lead(alone, encoded.ids)
        skipped = len(encoded.ids) - len(rest)

        def place(token: int) -> tuple[int, int]:
            start, end = encoded.token_to_chars(skipped + token)
            return max(start - len(before), 0), max(end - len(before), 0)

        ranges = self._ranges(lead, rest, length, scheme)
        return [(place(start)[0], place(end - 1)[1]) if start < end else (0, 0) for start, end in ranges]

    def _room(self, scheme: PassageScheme) -> tuple[int, list[int]]:
        """Tokens of a passage, special ones included, and those of the prefix."""
        length = scheme.length or self.settings.passage_length
        if length > self.longest:
            raise UsageError(f"passages of {length} tokens are more than the {self.longest} that the model takes")
        prefix = self.settings.passage_prefix
        alone = self.bare([self.clean(prefix)])[0] if prefix else []
        between = len(self._between) if self.settings.title_pair else 0
        if length - len(self._before) - between - len(self._after) <= len(alone):
            raise UsageError(f"passages of {length} tokens leave no room for text after special tokens and prefix")
        return length, alone

    def _ranges(self, lead: list[int], ids: list[int], length: int, scheme: PassageScheme) -> list[tuple[int, int]]:
        """The ranges of ``ids`` that the passages hold, half-open, each after ``lead``, or cut from what begins with it."""
        first = len(self._before) + len(lead)
        around = first + len(self._after)
        if not scheme.special_once:
            return scheme.windows(len(ids), length - around) or [(0, 0)]
        windows = scheme.windows(around + len(ids), length) or [(0, 0)]
        kept = windows[-1][1] - around  # the special tokens at the end have their room
        return [(min(max(start - first, 0), kept), min(max(end - first, 0), kept)) for start, end in windows]

    def _windows(self, lead: list[int], ids: list[int], length: int, scheme: PassageScheme) -> list[list[int]]:
        """Passages of ``ids``, each after ``lead``, or cut from what begins with it."""
        before = self._before + lead
        around = len(before) + len(self._after)
        if scheme.special_once:
            windows = scheme.windows(around + len(ids), length) or [(0, 0)]
            sequence = before + ids[: windows[-1][1] - around] + self._after
            return [sequence[start:end] for start, end in windows]
        return [before + ids[start:end] + self._after for start, end in self._ranges(lead, ids, length, scheme)]

    @staticmethod
    def _lead(prefix: list[int], ids: list[int]) -> tuple[list[int], list[int]]:
        """The prefix's tokens in a text's, whose last one may have merged with the text's first, and the rest."""
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prefix, ids, strict=False)))
        return ids[:common], ids[common:]

    def _lead_of_pair(self, title: list[int], ids: list[int], length: int) -> tuple[list[int], list[int]]:
        """The title, cut as the tokeniser cuts pairs: the longer text first, then both to half the room, the longer one rounded up."""
        room = length - len(self._before) - len(self._between) - len(self._after)
        half = room // 2 + (room % 2 if len(title) > len(ids) else 0)
        return title[: max(half, room - len(ids))] + self._between, ids

    def _encode(self, texts: Sequence[Text], length: int) -> list[list[int]]:
        encoded: list[list[int]] = [[]] * len(texts)
        for kind in (str, tuple):
            places = [place for place, text in enumerate(texts) if isinstance(text, kind)]
            if places:
                columns = [[texts[place] for place in places]] if kind is str else zip(*(texts[place] for place in places), strict=True)
                clean = [[self.clean(str(text)) for text in column] for column in columns]
                inputs = clean[0] if kind is str else [*zip(*clean, strict=True)]
                for place, found in zip(places, _token_ids(self.reader, inputs, special=True, length=length), strict=True):
                    encoded[place] = found
        return encoded


def _token_ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text], *, special: bool = False, length: int | None = None
) -> list[list[int]]:
    """What the tokeniser gives as ``input_ids``, from the library below transformers, which adds a quarter to its time.

    Args:
        tokenizer: a fast one.
        texts: cleaned.
        special: whether there are special tokens.
        length: the most tokens of a text, special ones included; of a pair the longer text is cut first.
    """
    truncation = TruncationStrategy.DO_NOT_TRUNCATE if length is None else TruncationStrategy.LONGEST_FIRST
    tokenizer.set_truncation_and_padding(PaddingStrategy.DO_NOT_PAD, truncation, length, 0, None, None)
    library = tokenizer.backend_tokenizer
    if library.encode_special_tokens != tokenizer.split_special_tokens:
        library.encode_special_tokens = tokenizer.split_special_tokens
    return [encoding.ids for encoding in library.encode_batch_fast(texts, add_special_tokens=special)]
