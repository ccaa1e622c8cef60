"""Conversations as text by a chat template, and which part of the text the assistant is to learn.

A part is found by rendering: what the template writes before an answer, and what it writes up to its end.
No template has to mark it. Markers of its own (`{% generation %}`) are used where it writes a conversation
otherwise than its beginnings, as those do that drop earlier thoughts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import BadInput
from registry.plugins.train.tasks.blocks import Tokens
from registry.plugins.train.tasks.vocabulary import Vocabulary
from registry.plugins.train.texts import Chat

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
"""Ours, for a tokenizer that has none: a line that names the role, then what it says, then the end token.

It needs no special token but the one that every model ends by, so no embedding is new.
"""

_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")


def plain(rows: Iterable[str | Chat]) -> Iterator[str]:
    """Texts as they are, and conversations as `TEMPLATE` writes them: what a tokenizer is learned from."""
    for row in rows:
        if isinstance(row, str):
            yield row
        else:
            yield "\n".join(f"<|{message['role']}|>\n{message['content']}" for message in row)


@dataclass(frozen=True)
class Rendered:
    """A conversation as the model reads it.

    Attributes:
        text: All of it.
        spans: Begin and end, in characters, of each answer with its terminator.
    """

    text: str
    spans: list[tuple[int, int]]


def render(chats: Sequence[Chat], vocabulary: Vocabulary) -> list[Rendered]:
    """Conversations by the vocabulary's template.

    Raises:
        BadInput: The template does not take a conversation, or the answers cannot be told from the rest.
    """
    tokenizer = vocabulary.wrapped()
    tokens = map(vocabulary.tokenizer.id_to_token, vocabulary.special_ids)
    special = [token for token in tokens if token is not None]
    return [_render(number, chat, tokenizer, special) for number, chat in enumerate(chats)]


@dataclass(frozen=True)
class Encoded:
    """Conversations as tokens; the loss counts those within the spans.

    Attributes:
        tokens: Of all, each cut off at its end where it is too long.
        lengths: How many tokens each has, uncut; shape (conversations,).
        terminators: Ids of the special tokens that end answers, in the order of their numbers.
        ended: Share of the answers that end in one that is trained.
    """

    tokens: Tokens
    lengths: np.ndarray
    terminators: tuple[int, ...]
    ended: float


def encode(rendered: Sequence[Rendered], vocabulary: Vocabulary, context: int) -> Encoded:
    """Tokens of conversations.

    Args:
        rendered: Conversations.
        vocabulary: Whose tokens.
        context: Tokens that are read of each; one more is only predicted.
    """
    import numpy as np

    special = set(vocabulary.special_ids)
    ids, trained, lengths = [], [], []
    terminators: set[int] = set()
    answers = ended = 0
    size = 1000
    for start in range(0, len(rendered), size):
        part = rendered[start : start + size]
        found = vocabulary.tokenizer.encode_batch([one.text for one in part], add_special_tokens=False)
        for one, encoding in zip(part, found, strict=True):
            whole = np.array(encoding.ids, np.int64)
            counted, last = _inside(np.array(encoding.offsets).reshape(-1, 2), one.spans)
            ends = [int(whole[place]) for place in last if place <= context and whole[place] in special]
            terminators.update(ends)
            answers, ended = answers + len(one.spans), ended + len(ends)
            ids.append(whole[: context + 1])
            trained.append(counted[: context + 1])
            lengths.append(len(whole))
    return Encoded(
        Tokens.of(ids, trained), np.array(lengths), tuple(sorted(terminators)), ended / max(answers, 1)
    )


def _inside(offsets: np.ndarray, spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, list[int]]:
    """Which tokens begin within a span, and the last token of each."""
    import numpy as np

    counted = np.zeros(len(offsets), bool)
    last = []
    for begin, end in spans:
        inside = (offsets[:, 0] >= begin) & (offsets[:, 0] < end) & (offsets[:, 1] > offsets[:, 0])
        counted |= inside
        found = np.flatnonzero(inside)
        last.extend(found[-1:].tolist())
    return counted, last


def _render(number: int, chat: Chat, tokenizer: PreTrainedTokenizerFast, special: Sequence[str]) -> Rendered:
    from jinja2 import TemplateError

    def write(messages: Chat, *, ask: bool = False) -> str:
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
        except (TemplateError, TypeError, ValueError, IndexError) as cause:
            raise BadInput(
                f"the chat template does not take row {number}: {cause}",
                hint="look at the order of its roles",
            ) from cause
        return str(text)

    text = write(chat)
    spans = _by_beginnings(chat, text, write)
    if spans is None:
        spans = _by_markers(chat, tokenizer)
    if spans is None:
        raise BadInput(
            f"in row {number} the chat template writes an answer otherwise when more follows, "
            "so answers cannot be told from the rest",
            hint="mark them in the template by {% generation %} and {% endgeneration %}",
        )
    return Rendered(text, [_to_terminator(text, begin, end, special) for begin, end in spans])


def _by_beginnings(chat: Chat, text: str, write: Callable[..., str]) -> list[tuple[int, int]] | None:
    """Spans of answers; None if the conversation's beginnings are not the beginnings of its text."""
    spans = []
    for place, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        if place:
            before, asked = write(chat[:place]), write(chat[:place], ask=True)
        else:
            before, asked = "", _first_header(text, write)
        until = write(chat[: place + 1]) if place + 1 < len(chat) else text
        begin = len(before) + _alike(asked[len(before) :], until[len(before) :])
        if not (text.startswith(until) and until.startswith(before)):
            return None
        spans.append((begin, len(until)))
    return spans


def _first_header(text: str, write: Callable[..., str]) -> str:
    """What comes before the answer of one that speaks first; templates take no empty one."""
    sample = [{"role": "user", "content": "x"}]
    header = write(sample, ask=True).removeprefix(write(sample))
    return text[: text.find(header) + len(header)] if header and header in text else ""


def _alike(one: str, other: str) -> int:
    """Characters until two texts differ."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


def _by_markers(chat: Chat, tokenizer: PreTrainedTokenizerFast) -> list[tuple[int, int]] | None:
    """Spans that the template marks; None if it marks none."""
    from transformers.utils.chat_template_utils import render_jinja_template

    template = tokenizer.chat_template
    if not _MARKED.search(template):
        return None
    _, spans = render_jinja_template(
        [chat],
        chat_template=template,
        return_assistant_tokens_mask=True,
        **tokenizer.special_tokens_map,
    )
    return [(begin, end) for begin, end in spans[0]] or None


def _to_terminator(text: str, begin: int, end: int, special: Sequence[str]) -> tuple[int, int]:
    """A span that ends with the special token that ends the answer, if one does.

    Blanks that a template writes after it are no part of the answer; a token that it writes
    after its own marker is.
    """
    whole = text[begin:end].rstrip()
    if whole.endswith(tuple(special)):
        return begin, begin + len(whole)
    for token in special:
        if text.startswith(token, end):
            return begin, end + len(token)
    return begin, end
