"""A config written with comments is the same config."""

import yaml

from olmix.config import GenerationConfig
from olmix.config.commented import render_commented

PLAIN = {
    "name": "study",
    "data": {
        "sources": [
            {
                "name": "web",
                "topics": [
                    {"name": "law", "paths": ["a.npy"]},
                    {"name": "art", "paths": ["b.npy"]},
                ],
            },
            {"name": "code", "paths": ["c.npy"]},
        ]
    },
    "priors": {"token_counts": {"web:law": 10, "web:art": 20, "code": 30}},
    "swarm": {"variants": 4, "seed": 1},
    "max_tokens": 1000,
}


def test_comments_change_nothing():
    text = render_commented(GenerationConfig.from_dict(PLAIN), PLAIN, "A study.")
    assert yaml.safe_load(text) == PLAIN


def test_a_key_is_explained_above_it_and_a_list_of_sections_once():
    lines = render_commented(GenerationConfig.from_dict(PLAIN), PLAIN, "A study.").splitlines()
    place = lines.index("  variants: 4")
    assert lines[place - 1].startswith("  # Number of sampled mixtures")
    assert sum("Token files or patterns" in line for line in lines) == 1
    assert all(len(line) <= 100 for line in lines)


def test_what_a_config_holds_in_another_form_is_written_as_it_was_given():
    given = {**PLAIN, "priors": "priors.yaml"}
    text = render_commented(GenerationConfig.from_dict(PLAIN), given, "A study.")
    assert yaml.safe_load(text)["priors"] == "priors.yaml"
