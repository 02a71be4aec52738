"""The mixture of a run as LitGPT reads it: --data examples.litgpt.mixture.Mixture."""

import torch
from litgpt.data import DataModule
from torch.utils.data import DataLoader

from olmix.mixing import Mixing
from olmix.mixing.pytorch import MixingDataset


class Mixture(DataModule):
    """Trains on the batches of a manifest, and validates on one of its sets.

    Args:
        manifest: the file that `{data_manifest}` names.
        target: the validation set behind LitGPT's `val_loss`.
        max_windows: the first so many windows of it.
    """

    def __init__(self, manifest: str, target: str, max_windows: int = 128) -> None:
        super().__init__()
        self.manifest, self.target, self.max_windows = manifest, target, max_windows

    def connect(self, tokenizer=None, batch_size=1, max_seq_length=None) -> None:
        """Open the mixture at the length and the batch that LitGPT trains with."""
        ranks = torch.distributed.is_initialized()
        rank = torch.distributed.get_rank() if ranks else 0
        world_size = torch.distributed.get_world_size() if ranks else 1
        self.batch_size = batch_size
        self.mixing = Mixing(
            self.manifest,
            context_length=max_seq_length,
            batch_size=batch_size * world_size,
            rank=rank,
            world_size=world_size,
        )

    def train_dataloader(self) -> DataLoader:
        """Return whole batches: a token more than LitGPT reads, for the targets."""
        return DataLoader(MixingDataset(self.mixing), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        """Return windows of the validation set."""
        tokens = self.mixing.validation(self.max_windows)[self.target]
        return DataLoader(torch.from_numpy(tokens), batch_size=self.batch_size)
