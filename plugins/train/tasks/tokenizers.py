"""Tokenizers learned from the training text: byte-level BPE, or its characters.

Byte-level (Radford et al. 2019, "Language Models are Unsupervised Multitask
Learners"): every text of every language has tokens, none is unknown. BPE and not
WordPiece: the WordPiece trainer of `tokenizers` numbers its pieces in the order of
a randomly seeded hash map, so two runs with one seed would make two models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, BEGIN, END = "[PAD]", "[CLS]", "[SEP]"
SPECIAL = {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END}


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, lowercase: bool, further: Sequence[str] = ()
) -> Tokenizer:
    """Learn a tokenizer of at most `vocab_size` tokens; ids are `[PAD]` 0, `[CLS]` 1, `[SEP]` 2.

    It frames each text as `[CLS] ... [SEP]`. Little text gives fewer tokens than asked for.

    Args:
        texts: To learn from.
        vocab_size: Most tokens.
        lowercase: Whether upper and lower case are the same.
        further: More special tokens; they have the next ids.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[PAD, BEGIN, END, *further],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in (BEGIN, END)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", pair=f"{BEGIN} $A {END} $B {END}", special_tokens=list(ids.items())
    )
    return tokenizer


def learn_bytes(texts: Iterable[str], *, vocab_size: int, special: Sequence[str], frame: str) -> Tokenizer:
    """Byte-level BPE that gives every text back as it was: nothing is normalised.

    Args:
        texts: To learn from.
        vocab_size: Most tokens.
        special: Special tokens; their ids begin at 0.
        frame: How it frames a text when asked to: `$A`, and special tokens around it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _framing(tokenizer, frame, special)


def learn_characters(
    texts: Iterable[str], *, vocab_size: int, special: Sequence[str], frame: str
) -> Tokenizer:
    """A token for each character, the most frequent first; others are spelt in UTF-8 bytes.

    It is a BPE without merges, whose bytes stand in for what it does not know: every text comes back.
    """
    from tokenizers import Tokenizer, decoders, models

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    spelt = [f"<0x{byte:02X}>" for byte in range(256)]
    room = max(vocab_size - len(special) - len(spelt), 0)
    frequent = sorted(counts, key=lambda character: (-counts[character], character))[:room]
    names = [*special, *frequent, *spelt]
    tokenizer = Tokenizer(
        models.BPE({name: number for number, name in enumerate(names)}, [], byte_fallback=True)
    )
    tokenizer.add_special_tokens(list(special))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _framing(tokenizer, frame, special)


def _framing(tokenizer: Tokenizer, frame: str, special: Sequence[str]) -> Tokenizer:
    from tokenizers import processors

    used = [(token, tokenizer.token_to_id(token)) for token in special if token in frame]
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=used)
    return tokenizer
