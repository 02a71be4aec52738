"""Plain PyTorch on the mixture of a run: a small decoder, saved and resumed, measured by domain.

olmix launch calls it as: python train.py DATA_MANIFEST
"""

import sys
from pathlib import Path

import torch
from torch.nn import functional

import olmix.runlog
from olmix.mixing import Mixing
from olmix.mixing.pytorch import load_batches

CONTEXT, BATCH, WIDTH, LAYERS = 64, 8, 32, 2
SAVE_EVERY = 100


class Decoder(torch.nn.Module):
    """A causal transformer with learned positions and tied embeddings."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocab_size, WIDTH)
        self.place = torch.nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        torch.nn.init.normal_(self.embed.weight, std=WIDTH**-0.5)
        layer = torch.nn.TransformerEncoderLayer(
            WIDTH, 2, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.norm = torch.nn.LayerNorm(WIDTH)
        mask = torch.nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        self.register_buffer("mask", mask, persistent=False)

    def loss(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of windows (n, CONTEXT + 1), in nats a token."""
        hidden = self.embed(tokens[:, :-1]) + self.place
        hidden = self.norm(self.layers(hidden, mask=self.mask, is_causal=True))
        logits = functional.linear(hidden, self.embed.weight)
        return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def main(manifest: str) -> None:
    """Train the run that a manifest describes."""
    mixing = Mixing(manifest, context_length=CONTEXT, batch_size=BATCH)
    torch.manual_seed(0)  # all runs of a swarm begin with the same weights
    model = Decoder(mixing.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=len(mixing) + 1)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "mixing": mixing}
    with olmix.runlog.start(num_steps=len(mixing)) as run:
        checkpoint = Path(run.folder.path, "checkpoint.pt")
        if checkpoint.is_file():
            saved = torch.load(checkpoint)
            for name, part in parts.items():
                part.load_state_dict(saved[name])
        for tokens in load_batches(mixing):
            loss = model.loss(tokens)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if mixing.step % 20 == 0:
                run.log(mixing.step, loss=loss.item(), tokens=mixing.step * BATCH * CONTEXT)
            if mixing.step % SAVE_EVERY == 0:
                torch.save({name: part.state_dict() for name, part in parts.items()}, checkpoint)
        with torch.inference_mode():
            sets = mixing.validation(max_windows=128)
            losses = {name: model.loss(torch.from_numpy(t).long()) for name, t in sets.items()}
        run.finish(run.bits_per_byte(losses), token_shares=mixing.plan.token_shares)


if __name__ == "__main__":
    main(sys.argv[1])
