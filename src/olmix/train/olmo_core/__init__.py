"""OLMo-core, the trainer of the OLMo models, on the mixtures of a swarm.

    plan        batch size, steps and learning rate, by the published rules
    data        tokenizer, and the source mixture with what was really taken from each domain
    validation  bits per byte of held-out token files, as the embedded trainer measures them
    callbacks   what the trainer tells the run folder
    run         one run folder: resume, train, summarise

Only `data`, `callbacks` and `run` import OLMo-core, which takes 16 to 22 s, and only when called.
"""

from olmix.train.olmo_core.run import train_run

__all__ = ["train_run"]
