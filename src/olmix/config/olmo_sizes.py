"""Sizes of the OLMo 2 and 3 models, for lengths given as multiples of Chinchilla's.

Exact non-embedding parameters with the dolma2 tokenizer (100,352 entries): all parameters less the
table of input embeddings, as `TransformerConfig.num_non_embedding_params` of OLMo-core 3.0.0 counts
them. They include the output projection, which is most of a tiny model.
"""

from __future__ import annotations

__all__ = ["MODEL_PARAMETERS"]

MODEL_PARAMETERS = {
    "olmo2_1m": 1_244_396,
    "olmo2_14m": 13_895_808,
    "olmo2_30m": 29_102_336,
    "olmo2_60m": 57_422_208,
    "olmo2_100m": 101_736_960,
    "olmo2_190m": 190_354_176,
    "olmo2_370m": 371_262_464,
    "olmo2_600m": 597_382_464,
    "olmo2_760m": 758_220_288,
    "olmo2_1b": 1_279_395_840,
    "olmo2_3b": 3_169_537_280,
    "olmo2_7b": 6_887_575_552,
    "olmo2_13b": 13_202_396_160,
    "olmo2_32b": 31_720_477_696,
    "olmo3_1m": 1_244_396,
    "olmo3_14m": 13_895_808,
    "olmo3_30m": 29_102_336,
    "olmo3_60m": 57_422_208,
    "olmo3_100m": 101_736_960,
    "olmo3_190m": 190_354_176,
    "olmo3_370m": 371_262_464,
    "olmo3_600m": 547_964_160,
    "olmo3_760m": 758_220_288,
    "olmo3_1b": 1_279_395_840,
    "olmo3_3b": 3_169_537_280,
    "olmo3_7b": 6_887_575_552,
    "olmo3_13b": 13_202_396_160,
    "olmo3_32b": 31_720_477_696,
}
"""Model name to non-embedding parameters; `olmo2_1b` is the one with 16 layers."""
