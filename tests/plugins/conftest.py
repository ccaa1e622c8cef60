"""What plugin tests share: small seeded tables and one classifier."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

from registry.extension import Trained
from registry.extension.testing import dataset_input, run_plugin
from registry.plugins.train.classifier import TrainClassifier

# Other work on the machine must not decide whether a test is too slow.
settings.register_profile(
    "unhurried", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("unhurried")

GOOD = ("fine", "lovely", "great", "pleasant", "superb", "happy", "brilliant", "delightful")
BAD = ("awful", "dreadful", "poor", "nasty", "horrid", "sad", "terrible", "boring")
PLAIN = (
    "the",
    "film",
    "was",
    "and",
    "plot",
    "actor",
    "scene",
    "we",
    "saw",
    "it",
    "on",
    "monday",
    "with",
    "a",
    "friend",
)


def sentiment(rows: int, seed: int) -> pa.Table:
    """Seeded short reviews: columns text, label (`neg`/`pos`, a third `pos`), sex (`f`/`m`)."""
    dice = random.Random(seed)
    texts, labels, sexes = [], [], []
    for _ in range(rows):
        label = "pos" if dice.random() < 1 / 3 else "neg"
        words = dice.choices(PLAIN, k=dice.randint(3, 12)) + dice.choices(
            GOOD if label == "pos" else BAD, k=2
        )
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
def tiny_options() -> dict[str, Any]:
    """Options of `train-classifier` that learn the sentiment tables in a second."""
    return {
        "epochs": 3,
        "learning_rate": 5e-3,
        "hidden_size": 32,
        "layers": 1,
        "heads": 2,
        "vocab_size": 400,
        "max_length": 32,
        "positive": "pos",
    }


@pytest.fixture(scope="session")
def train_tiny(
    tmp_path_factory: pytest.TempPathFactory,
    sentiment_train: pa.Table,
    sentiment_test: pa.Table,
    tiny_options: dict[str, Any],
) -> Callable[..., Trained]:
    """`train_tiny(epochs=2)`: train on the sentiment tables; other keywords are options of the plugin."""
    import torch

    torch.set_num_threads(1)
    columns = {"text": "text", "label": "label", "sensitive": ("sex",)}

    def train(
        *,
        folder: Path | None = None,
        seed: int = 0,
        design: dict[str, Any] | None = None,
        table: pa.Table = sentiment_train,
        validation: pa.Table | None = sentiment_test,
        plugin: TrainClassifier | None = None,
        **options: Any,
    ) -> Trained:
        folder = folder or tmp_path_factory.mktemp("train")
        tables = {"train": table} | ({"validation": validation} if validation is not None else {})
        data = {
            role: dataset_input(folder / "data" / role, part, role=role, **columns)
            for role, part in tables.items()
        }
        config = {name: value for name, value in (tiny_options | options).items() if value is not None}
        trained: Trained = run_plugin(
            plugin or TrainClassifier(), folder / "run", config=config, data=data, design=design, seed=seed
        )
        return trained

    return train


@pytest.fixture(scope="session")
def tiny_trained(train_tiny: Callable[..., Trained]) -> Trained:
    """One training run, shared; its run folder is two levels above its path."""
    return train_tiny()


@pytest.fixture(scope="session")
def tiny_artifact(tiny_trained: Trained) -> Path:
    """Folder of a trained `text-classifier` artifact for the sentiment tables; read-only for tests."""
    return tiny_trained.path
