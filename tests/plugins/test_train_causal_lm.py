"""Decoders: documents do not see each other, answers are what is learned, and it says what it did."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from language_runs import TINY, audit, train

from registry.errors import BadConfig, BadInput
from registry.extension import Trained
from registry.extension.testing import PluginContract
from registry.plugins.train.causal_lm import TrainCausalLM
from registry.plugins.train.tasks.blocks import Tokens, cut, pack
from registry.plugins.train.tasks.causal_lm import check_apart
from registry.plugins.train.tasks.decoders import build_decoder

SHAPE = {
    "hidden_size": 32,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "context": 16,
    "dropout": 0.0,
    "tie": True,
}
VERSES = [f"the {beast} said {word} to the {beast}" for beast in ("cat", "dog", "cow") for word in "abcdef"]
ANSWERS = {"sky": "It is blue, my friend.", "grass": "Green.", "snow": "White; or 雪 is."}


def chat(thing: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"What of {thing}?"},
        {"role": "assistant", "content": ANSWERS[thing]},
    ]


CHATS = [chat(thing) for thing in ANSWERS for _ in range(8)]


class TestContract(PluginContract):
    plugin = TrainCausalLM


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A Llama that has read verses, several in a block."""
    rows, options = {"text": VERSES * 8}, {"family": "llama", "kv_heads": 1, "context": 96, "steps": 120}
    return train(TrainCausalLM(), tmp_path_factory.mktemp("reader"), rows, {"text": VERSES[:5]}, **options)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A GPT-2 that knows three answers by heart."""
    options = {"context": 64, "steps": 70, "batch_size": 6, "hidden_size": 64, "learning_rate": 1e-2}
    return train(
        TrainCausalLM(), tmp_path_factory.mktemp("talker"), {"text": CHATS}, {"text": CHATS[:2]}, **options
    )


class TestPacking:
    @pytest.mark.parametrize("family", ["gpt2", "llama"])
    def test_a_document_in_a_pack_has_the_logits_that_it_has_alone(self, family: str) -> None:
        import torch

        torch.manual_seed(0)
        model = build_decoder(family, 64, 0, SHAPE).eval()
        documents = [torch.randint(1, 64, (length,)).tolist() for length in (8, 5, 6, 4, 9, 3)]
        tokens = Tokens.of(documents)
        blocks = pack(tokens, cut(tokens, 16), 16)
        assert blocks.apart
        found = blocks.take(range(len(blocks)), 0)
        with torch.no_grad():
            together = model(
                **{name: torch.from_numpy(found[name]) for name in ("input_ids", "position_ids")},
                use_cache=False,
            ).logits
            for row in range(len(blocks)):
                place = 0
                for start, length in blocks.pieces(row):
                    alone = model(
                        input_ids=torch.from_numpy(tokens.ids[start : start + length].astype("int64"))[None]
                    )
                    torch.testing.assert_close(together[row, place : place + length], alone.logits[0])
                    place += length

    def test_an_architecture_that_would_mix_documents_is_refused(self) -> None:
        from transformers import BloomConfig, BloomForCausalLM

        bloom = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2))
        with pytest.raises(BadConfig, match="BloomForCausalLM") as caught:
            check_apart(bloom)
        assert "packing=none" in caught.value.hint

    def test_packed_or_not_the_loss_is_the_same(self, tmp_path: Path) -> None:
        losses = []
        for packing in ("documents", "none"):
            options = {"packing": packing, "steps": 1, "learning_rate": 1e-9, "context": 64}
            trained = train(TrainCausalLM(), tmp_path / packing, {"text": CHATS}, {"text": CHATS}, **options)
            losses.append(trained.evidence.metrics["validation_loss"])
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    def test_says_how_much_of_the_blocks_is_filled(self, reader: Trained) -> None:
        metrics = reader.evidence.metrics
        assert reader.evidence.facts["packing"] == "documents kept apart"
        assert metrics["documents"] == len(VERSES) * 8 > metrics["blocks"]
        assert 0.9 < metrics["blocks.filled"] <= 1
        assert metrics["share_read"] == 1.0


class TestDocuments:
    def test_learns_and_says_so(self, reader: Trained) -> None:
        metrics, facts = reader.evidence.metrics, reader.evidence.facts
        assert metrics["converged"] == 1.0
        assert metrics["perplexity"] == pytest.approx(math.exp(metrics["train_loss"]))
        assert metrics["validation_perplexity"] == pytest.approx(math.exp(metrics["validation_loss"]))
        assert metrics["first_loss"] == pytest.approx(math.log(320), abs=0.5)
        assert facts["architecture"] == "LlamaForCausalLM, 1 x 32, 2 heads"
        assert facts["tokenizer.digest"].startswith("sha256:")
        assert facts["chat_template.digest"] == "none"

    def test_the_audit_finds_what_was_fed(self, reader: Trained) -> None:
        rows = audit(reader)
        assert all(row["same"] and row["share_trained"] == 1.0 for row in rows)
        assert all(set(row["fed_text"].split("\n")) <= set(VERSES) for row in rows)

    def test_the_artifact_is_one_that_transformers_continues(self, reader: Trained) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(reader.path)
        model = AutoModelForCausalLM.from_pretrained(reader.path)
        made = model.generate(
            **tokenizer("the dog said", return_tensors="pt"), max_new_tokens=20, do_sample=False
        )
        text = tokenizer.decode(made[0], skip_special_tokens=True)
        assert re.fullmatch("the dog said [a-f] to the (cat|dog|cow)", text)
        card = json.loads((reader.path / "phasegate.json").read_text())
        assert (card["format"], card["learned"], card["context"]) == ("causal-lm", "documents", 96)

    def test_one_long_text_by_characters(self, tmp_path: Path) -> None:
        text = "abcdefgh" * 200
        trained = train(
            TrainCausalLM(), tmp_path, {"text": [text]}, tokenizer="characters", context=32, steps=60
        )
        metrics = trained.evidence.metrics
        assert metrics["blocks"] == math.ceil((len(text) + 1) / 32)
        assert metrics["train_loss"] < 0.5 * metrics["uninformed_loss"]
        assert metrics["uninformed_loss"] == pytest.approx(math.log(8), abs=0.01)
        assert trained.evidence.facts["vocabulary"] == f"{1 + 8 + 256} tokens"
        assert trained.evidence.facts["packing"] == "one piece a block"
        assert all(row["same"] for row in audit(trained))

    def test_smoothed_losses_are_no_perplexity(self, tmp_path: Path) -> None:
        rows = {"text": VERSES}
        trained = train(
            TrainCausalLM(), tmp_path, rows, rows, label_smoothing=0.1, steps=1, packing="stream", context=16
        )
        assert "perplexity" not in trained.evidence.metrics
        assert trained.evidence.metrics["validation_perplexity"] > 1
        assert all(row["same"] for row in audit(trained))


class TestConversations:
    def test_it_answers_and_ends(self, talker: Trained) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(talker.path)
        model = AutoModelForCausalLM.from_pretrained(talker.path)
        for thing, answer in ANSWERS.items():
            asked = tokenizer.apply_chat_template(
                chat(thing)[:-1], add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            made = model.generate(**asked, max_new_tokens=40, do_sample=False)[
                0, asked["input_ids"].shape[1] :
            ]
            assert tokenizer.decode(made, skip_special_tokens=True) == answer
            assert made[-1] == tokenizer.eos_token_id

    def test_only_answers_and_their_terminators_are_learned(self, talker: Trained) -> None:
        metrics = talker.evidence.metrics
        assert metrics["label_audit.terminator_trained"] == 1.0
        assert 0 < metrics["label_audit.share_trained"] < 0.6
        assert metrics["label_audit.mismatches"] == 0
        assert talker.evidence.facts["ends_with"] == "<|endoftext|>"
        assert talker.evidence.facts["chat_template.digest"].startswith("sha256:")
        said = {part for row in audit(talker) for part in row["fed_text"].split("\n")}
        assert said == set(ANSWERS.values())
        assert (talker.path / "chat_template.jinja").is_file()

    def test_what_is_too_long_is_cut_off_and_counted(self, tmp_path: Path) -> None:
        long = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "one two three " * 30},
        ]
        unread = [{"role": "user", "content": "words " * 200}, {"role": "assistant", "content": "Yes."}]
        trained = train(TrainCausalLM(), tmp_path, {"text": [*CHATS, long, unread]}, context=64, steps=1)
        metrics = trained.evidence.metrics
        assert metrics["truncated_share"] == pytest.approx(2 / (len(CHATS) + 2))
        assert metrics["label_audit.terminator_trained"] == pytest.approx(len(CHATS) / (len(CHATS) + 2))
        assert metrics["share_read"] < 1
        assert metrics["label_audit.mismatches"] == 0


class TestBase:
    def test_goes_on_with_the_tokenizer_and_template_of_the_base(
        self, talker: Trained, tmp_path: Path
    ) -> None:
        trained = train(TrainCausalLM(), tmp_path, {"text": CHATS}, base=talker.path, context=64, steps=2)
        for name in ("tokenizer.digest", "chat_template.digest"):
            assert trained.evidence.facts[name] == talker.evidence.facts[name]
        assert trained.evidence.metrics["first_loss"] < 0.1 * talker.evidence.metrics["first_loss"]

    def test_a_reader_learns_to_answer_by_our_template(self, reader: Trained, tmp_path: Path) -> None:
        trained = train(TrainCausalLM(), tmp_path, {"text": CHATS}, base=reader.path, context=96, steps=1)
        assert trained.evidence.facts["tokenizer.digest"] == reader.evidence.facts["tokenizer.digest"]
        assert trained.evidence.facts["chat_template.digest"] != "none"

    def test_a_context_beyond_its_positions_is_refused(self, reader: Trained, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="97 tokens are longer than the model, which has positions for 96"):
            train(TrainCausalLM(), tmp_path, {"text": VERSES}, base=reader.path, context=97)

    def test_a_tokenizer_of_another_model_is_refused(
        self, reader: Trained, talker: Trained, tmp_path: Path
    ) -> None:
        from registry.plugins.train.tasks.tokenizers import learn_bytes

        base = shutil.copytree(reader.path, tmp_path / "base")
        other = learn_bytes(["many more words " * 9], vocab_size=2000, special=["<|endoftext|>"], frame="$A")
        other.add_tokens([f"word{number}" for number in range(99)])
        other.save(str(base / "tokenizer.json"))
        with pytest.raises(BadInput, match=r"tokenizer .*does not match"):
            train(TrainCausalLM(), tmp_path, {"text": VERSES}, base=base, context=24)


USER, ASSISTANT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (["a", None], "1 of 2 rows .* have no 'text'; the first is row 1"),
            (["a", "  "], "1 of 2 rows"),
            ([1, 2], "holds int64, not text or lists of messages"),
            ([["a"], ["b"]], "not text or lists of messages"),
            ([[USER]], "row 0 .* no message of the assistant"),
            ([[USER, ASSISTANT], []], "row 1 .* has no messages"),
            ([[USER, {**ASSISTANT, "role": "asistant"}]], "row 0 .* role 'asistant'"),
            ([[USER, {**ASSISTANT, "content": " "}]], "empty message of assistant"),
            ([[{"role": "user", "content": "a " * 99}, ASSISTANT]], "no answer of the train data begins"),
        ],
        ids=lambda value: "" if isinstance(value, str) else str(value)[:40],
    )
    def test_of_data(self, tmp_path: Path, rows: list[Any], message: str) -> None:
        with pytest.raises(BadInput, match=message):
            train(TrainCausalLM(), tmp_path, {"text": rows}, context=16)
        assert not (tmp_path / "run" / "outputs").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"heads": 3}, "3 heads do not divide a hidden_size of 32"),
            ({"family": "llama", "kv_heads": 4, "heads": 2}, "4 kv_heads do not divide 2 heads"),
            ({"kv_heads": 1}, "gpt2 has no kv_heads"),
            ({"family": "llama", "hidden_size": 30, "heads": 2}, "even width"),
            ({"famly": "llama"}, "no option 'famly'"),
            ({"packing": "stream"}, "conversations are no stream"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_of_options(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(BadConfig, match=message):
            train(TrainCausalLM(), tmp_path, {"text": CHATS}, **options)

    def test_texts_to_learn_from_and_conversations_to_judge_by(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="training data holds text, and the validation data messages"):
            train(TrainCausalLM(), tmp_path, {"text": VERSES}, {"text": CHATS})


@pytest.mark.slow
def test_tinyshakespeare_as_well_as_a_hand_written_loop(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """Validation loss within 2% of a plain loop with the same model, batch and steps."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    text = shared_data("tinyshakespeare/input.txt").read_text()
    cut_at = len(text) * 9 // 10
    rows, held_out = {"text": [text[:cut_at]]}, {"text": [text[cut_at : cut_at + 40_000]]}
    options = {
        "tokenizer": "characters", "context": 64, "steps": 400, "batch_size": 16, "layers": 2,
        "hidden_size": 64, "learning_rate": 2e-3, "weight_decay": 0.0, "clip": 1.0,
        "schedule": "constant", "warmup": 0.0,
    }  # fmt: skip
    trained = train(TrainCausalLM(), tmp_path, rows, held_out, **options)

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    ids = torch.tensor(tokenizer(rows["text"][0])["input_ids"])
    torch.manual_seed(1)
    shape = SHAPE | {"hidden_size": 64, "heads": TINY["heads"], "context": 64}
    model = build_decoder("gpt2", 384, 0, shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    for _ in range(400):
        starts = torch.randint(0, len(ids) - 65, (16,))
        blocks = torch.stack([ids[start : start + 65] for start in starts.tolist()])
        logits = model(blocks[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    held = torch.tensor(tokenizer(held_out["text"][0])["input_ids"])
    blocks = held[: len(held) // 64 * 64].view(-1, 64)
    with torch.no_grad():
        logits = model.eval()(blocks[:, :-1], use_cache=False).logits
        theirs = float(cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten()))
    ours = trained.evidence.metrics["validation_loss"]
    assert ours < 2.4
    assert ours <= 1.02 * theirs
