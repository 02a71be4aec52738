"""OLMo-core, the trainer of the OLMo models, on the mixtures of a swarm.

    plan       batch size, steps and learning rate, by the published rules
    data       tokenizer, and the source mixture with what was really taken from each domain
    tasks      tasks that are evaluated in the loop, and which of their metrics count
    callbacks  what the trainer tells the run folder; bits per byte of held-out token files
    build      the trainer of one run, put together
    process    what a run changes in its process
    run        one run folder: resume, train, summarise

OLMo-core takes 6 to 22 s to import. `callbacks` imports it at its top, so `build` imports
`callbacks` late; the others import it inside functions, and `plan` not at all.
"""

from olmix.train.olmo_core.run import train_run

__all__ = ["train_run"]
