"""CSV logs as PyTorch Lightning and Lightning Fabric, which LitGPT logs by, really write them."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from olmix.collect import Options, collect
from olmix.text.csv import read_table
from olmix.text.yaml import write_yaml


def _collected(tmp_path, **options):
    write_yaml(tmp_path / "runs" / "r0" / "config.yaml", {"mix": {"a": 0.5, "b": 0.5}})
    found = collect([tmp_path / "runs"], tmp_path / "out", Options(**options))
    table = read_table(found.metrics)
    return dict(zip(table.columns, table.values[0].tolist(), strict=True))


def _module():
    import torch
    from lightning.pytorch import LightningModule

    class Line(LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, index):
            loss = (self.weight - batch[0].mean()) ** 2
            self.log("train_loss", loss.sum())
            return loss.sum()

        def validation_step(self, batch, index):
            self.log("code_bpb", self.weight.sum())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.25)

    return Line()


@pytest.mark.filterwarnings("ignore")  # Lightning's hints on workers, and its own dependencies'
def test_what_lightning_logs_is_collected(tmp_path):
    import torch
    from lightning.pytorch import Trainer
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    module = _module()
    data = DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=1)
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", log_every_n_steps=2, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
        logger=CSVLogger(tmp_path / "runs" / "r0"),
    )  # fmt: skip
    trainer.fit(module, data, data)
    values = _collected(tmp_path, metrics=["code_bpb", "train_loss"])
    assert values["code_bpb"] == pytest.approx(float(module.weight), rel=1e-4)
    assert 0 <= values["train_loss"] < 0.01


@pytest.mark.filterwarnings("ignore")
def test_what_litgpt_logs_is_collected(tmp_path):
    from lightning.fabric.loggers import CSVLogger

    place = tmp_path / "runs" / "r0" / "logs"
    logger = CSVLogger(root_dir=place, name="csv", flush_logs_every_n_steps=1)
    for step in range(1, 5):
        values = {"loss": 4.0 / step, "iter": step, "step": step, "epoch": 0, "iter_time": 0.5}
        logger.log_metrics({**values, "tokens": 64 * step, "learning_rate": 0.1}, step=step)
    logger.log_metrics({"val_loss": 1.5, "val_ppl": 4.48}, step=4)
    logger.finalize("success")
    assert _collected(tmp_path, metrics=["val_loss", "loss"]) == {"val_loss": 1.5, "loss": 1.0}
    assert not {"iter_time", "learning_rate", "tokens", "step"} & set(_collected(tmp_path))
