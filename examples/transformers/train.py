"""Hugging Face's `Trainer` on the mixture of a run: a small Llama, measured by domain, and saved.

olmix launch calls it as: python train.py DATA_MANIFEST
"""

import json
import sys
from pathlib import Path

from torch.utils.data import DataLoader
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

import olmix.runlog
from olmix.mixing import Mixing
from olmix.mixing.pytorch import MixingDataset

CONTEXT, BATCH, WIDTH = 64, 8, 32


class MixingTrainer(Trainer):
    """A `Trainer` whose batches are those of a mixture, whatever the number of processes."""

    def __init__(self, mixing: Mixing, **rest: object) -> None:
        super().__init__(**rest)
        self.mixing = mixing

    def get_train_dataloader(self) -> DataLoader:
        """Return whole batches; the model shifts the labels itself."""
        return DataLoader(
            MixingDataset(self.mixing),
            batch_size=None,
            collate_fn=lambda tokens: {"input_ids": tokens, "labels": tokens},
        )


class Report(TrainerCallback):
    """Hands what the `Trainer` logs to Olmix."""

    def __init__(self, run: olmix.runlog.Run) -> None:
        self.run = run

    def on_log(self, args, state, control, logs, **_):
        """Log the losses of training."""
        if "loss" in logs:
            tokens = state.global_step * BATCH * CONTEXT
            self.run.log(state.global_step, loss=logs["loss"], tokens=tokens)


def main(manifest: str) -> None:
    """Train the run that a manifest describes."""
    run = olmix.runlog.start()
    place = Path(run.folder.path)
    args = TrainingArguments(
        output_dir=str(place / "trainer"),
        learning_rate=8e-3,
        lr_scheduler_type="cosine",
        warmup_steps=30,
        logging_steps=20,
        save_steps=100,
        save_total_limit=1,
        ignore_data_skip=True,  # the mixture goes to its position itself
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,  # leave it out where there is a GPU
    )
    mixing = Mixing(
        manifest,
        context_length=CONTEXT,
        batch_size=BATCH,
        rank=args.process_index,
        world_size=args.world_size,
    )
    args.max_steps = run.num_steps = len(mixing)
    last = get_last_checkpoint(args.output_dir) if Path(args.output_dir).is_dir() else None
    if last is not None:
        mixing.step = int(last.rpartition("-")[2])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=json.loads(Path(manifest).read_text())["tokenizer"],
        eos_token="<|endoftext|>",
    )
    set_seed(0)  # all runs of a swarm begin with the same weights
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=mixing.vocab_size,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=2 * CONTEXT,
            initializer_range=WIDTH**-0.5,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    sets = {
        name: [{"input_ids": row, "labels": row} for row in tokens.astype("int64")]
        for name, tokens in mixing.validation(max_windows=128).items()
    }
    trainer = MixingTrainer(
        mixing, model=model, args=args, eval_dataset=sets, callbacks=[Report(run)]
    )
    with run:
        trainer.train(resume_from_checkpoint=last)
        found = trainer.evaluate()
        losses = {name: found[f"eval_{name}_loss"] for name in sets}
        model.save_pretrained(place / "model")  # olmix evaluate --checkpoint RUN/model
        tokenizer.save_pretrained(place / "model")
        run.finish(run.bits_per_byte(losses), token_shares=mixing.plan.token_shares)


if __name__ == "__main__":
    main(sys.argv[1])
