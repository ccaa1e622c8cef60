"""What plugin tests share: small seeded tables and one classifier."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

GOOD = ("fine", "lovely", "great", "pleasant", "superb", "happy", "brilliant", "delightful")
BAD = ("awful", "dreadful", "poor", "nasty", "horrid", "sad", "terrible", "boring")
PLAIN = ("the", "film", "was", "and", "plot", "actor", "scene", "we", "saw", "it", "on", "monday", "with", "a", "friend")


def sentiment(rows: int, seed: int) -> pa.Table:
    """Seeded short reviews: columns text, label (`neg`/`pos`, a third `pos`), sex (`f`/`m`)."""
    dice = random.Random(seed)
    texts, labels, sexes = [], [], []
    for _ in range(rows):
        label = "pos" if dice.random() < 1 / 3 else "neg"
        words = dice.choices(PLAIN, k=dice.randint(3, 12)) + dice.choices(GOOD if label == "pos" else BAD, k=2)
        dice.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
        sexes.append(dice.choice("fm"))
    return pa.table({"text": texts, "label": labels, "sex": sexes})


@pytest.fixture(scope="session")
def sentiment_train() -> pa.Table:
    """400 labelled reviews."""
    return sentiment(400, seed=0)


@pytest.fixture(scope="session")
def sentiment_test() -> pa.Table:
    """200 other labelled reviews."""
    return sentiment(200, seed=1)


@pytest.fixture(scope="session")
def tiny_artifact(tmp_path_factory: pytest.TempPathFactory, sentiment_train: pa.Table) -> Path:
    """Folder of a tiny `text-classifier` artifact for the sentiment tables; read-only for tests."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertForSequenceClassification

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny-artifact")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    tokenizer.train_from_iterator(sentiment_train["text"].to_pylist(), trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        id2label={0: "neg", 1: "pos"},
        label2id={"neg": 0, "pos": 1},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    card = {
        "format": "text-classifier",
        "labels": ["neg", "pos"],
        "positive": "pos",
        "columns": {"text": "text", "label": "label", "sensitive": ["sex"]},
        "max_length": 32,
    }
    (folder / "phasegate.json").write_text(json.dumps(card))
    return folder
