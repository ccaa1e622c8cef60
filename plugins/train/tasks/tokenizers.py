"""A byte-level BPE tokenizer learned from the training text.

Byte-level (Radford et al. 2019, "Language Models are Unsupervised Multitask
Learners"): every text of every language has tokens, none is unknown. BPE and not
WordPiece: the WordPiece trainer of `tokenizers` numbers its pieces in the order of
a randomly seeded hash map, so two runs with one seed would make two models.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, BEGIN, END = "[PAD]", "[CLS]", "[SEP]"
SPECIAL = {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END}


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, lowercase: bool) -> Tokenizer:
    """Learn a tokenizer of at most `vocab_size` tokens; ids are `[PAD]` 0, `[CLS]` 1, `[SEP]` 2.

    It frames each text as `[CLS] ... [SEP]`. Little text gives fewer tokens than asked for.
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
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in (BEGIN, END)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", pair=f"{BEGIN} $A {END} $B {END}", special_tokens=list(ids.items())
    )
    return tokenizer
