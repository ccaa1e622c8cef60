"""Chat templates: whatever a template looks like, the answers are found in what it writes."""

from __future__ import annotations

import pytest

from registry.errors import BadInput
from registry.plugins.train.tasks.chat import TEMPLATE, encode, render
from registry.plugins.train.tasks.tokenizers import learn_bytes
from registry.plugins.train.tasks.vocabulary import Vocabulary

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As Llama 2 writes it: no header of the assistant, the system's words within the user's.
INST = (
    "{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
    "{% for m in messages %}{% if m.role == 'user' %}"
    "{% if loop.index0 % 2 != (1 if system else 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<s>[INST] {% if loop.index0 < 2 and system %}<<SYS>>{{ system }}<</SYS>>{% endif %}{{ m.content }}"
    " [/INST]{% elif m.role == 'assistant' %} {{ m.content }} </s>{% endif %}{% endfor %}"
)
# The generation prompt goes further than the header: it begins a thought.
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
# An answer looks otherwise when it is not the last.
FORGETS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "BEGIN{% if loop.last %}<think>hm</think>{% endif %}{{ m.content }}END<|im_end|>\n"
    "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED = FORGETS.replace("BEGIN", "{% generation %}").replace("END", "{% endgeneration %}")
UNMARKED = FORGETS.replace("BEGIN", "").replace("END", "")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>"]
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Ünd 你?"},
    {"role": "assistant", "content": "Yes, 好 é.\nTwo lines"},
    {"role": "user", "content": "And now"},
    {"role": "assistant", "content": " No "},
]


def vocabulary(template: str) -> Vocabulary:
    tokenizer = learn_bytes(
        ["Yes and no, be kind. Two lines"] * 5, vocab_size=350, special=SPECIAL, frame="$A"
    )
    return Vocabulary(tokenizer, {"bos_token": "<s>", "eos_token": "<|endoftext|>"}, template)


@pytest.mark.parametrize(
    ("template", "before", "end"),
    [
        (TEMPLATE, "", "<|endoftext|>"),
        (CHATML, "", "<|im_end|>"),
        (INST, " ", " </s>"),
        (THINKS, "", "<|im_end|>"),
        (MARKED, "", "<|im_end|>"),
    ],
    ids=["ours", "chatml", "inst", "thinks", "marked"],
)
def test_what_is_trained_are_the_answers_and_what_ends_them(template: str, before: str, end: str) -> None:
    known = vocabulary(template)
    (rendered,) = render([CHAT], known)
    answers = [message["content"] for message in CHAT if message["role"] == "assistant"]
    if template == MARKED:
        answers[-1] = f"<think>hm</think>{answers[-1]}"
    wanted = [f"{before}{answer}{end}" for answer in answers]
    assert [rendered.text[begin:stop] for begin, stop in rendered.spans] == wanted
    encoded = encode([rendered], known, 999)
    ids = encoded.tokens.ids[encoded.tokens.trained]
    assert known.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == "".join(wanted)
    assert encoded.ended == 1.0
    assert [known.tokenizer.id_to_token(number) for number in encoded.terminators] == [end.strip()]


def test_answers_that_cannot_be_told_from_the_rest_are_refused() -> None:
    with pytest.raises(BadInput, match="row 0 the chat template writes an answer otherwise") as caught:
        render([CHAT], vocabulary(UNMARKED))
    assert "generation" in caught.value.hint


def test_a_conversation_that_the_template_does_not_take_is_named() -> None:
    good, bad = CHAT[1:3], [CHAT[1], CHAT[1], CHAT[2]]
    with pytest.raises(BadInput, match="does not take row 1: roles must alternate"):
        render([good, bad], vocabulary(INST))


def test_an_answer_without_a_terminator_is_counted() -> None:
    known = vocabulary("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    encoded = encode(render([CHAT], known), known, 999)
    assert (encoded.ended, encoded.terminators) == (0.0, ())


def test_an_assistant_that_speaks_first() -> None:
    (rendered,) = render([CHAT[2:4]], vocabulary(CHATML))
    assert [rendered.text[a:b] for a, b in rendered.spans] == ["Yes, 好 é.\nTwo lines<|im_end|>"]
