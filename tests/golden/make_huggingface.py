"""Makes tests/golden/huggingface: small models of transformers with random weights, and what they compute.

Run where torch and transformers are installed (made with transformers 5.24 and torch 2.13):

    python tests/golden/make_huggingface.py
"""

from pathlib import Path

import numpy as np
import torch
import transformers

FOLDER = Path(__file__).parent / "huggingface"
SIZES = {"vocab_size": 41, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
MODELS = {
    "bert": (
        transformers.BertForPreTraining,
        transformers.BertConfig(**SIZES, intermediate_size=24, max_position_embeddings=20),
    ),
    "gpt2": (
        transformers.GPT2LMHeadModel,
        transformers.GPT2Config(vocab_size=41, n_embd=16, n_layer=2, n_head=4, n_positions=20),
    ),
    "llama": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(
            **SIZES, num_key_value_heads=2, intermediate_size=24, max_position_embeddings=20
        ),
    ),
}


def main():
    for name, (model_class, config) in MODELS.items():
        torch.manual_seed(0)
        model = model_class(config).eval()
        with torch.no_grad():
            for (
                parameter
            ) in model.parameters():  # larger than the initial ones, which hide mistakes
                parameter.add_(torch.randn_like(parameter) * 0.2)
            token_ids = torch.randint(1, 41, (2, 11))
            answers = {"token_ids": token_ids.numpy().astype("int32")}
            if name == "bert":
                segments = (torch.arange(11) >= 6).long()[None].repeat(2, 1)
                mask = torch.ones_like(token_ids)
                mask[1, 8:] = 0
                out = model(token_ids, token_type_ids=segments, attention_mask=mask)
                answers["logits"] = out.prediction_logits.numpy()
                answers["is_next"] = out.seq_relationship_logits.numpy()
                answers["segment_ids"] = segments.numpy().astype("int32")
                answers["padding_mask"] = mask.bool().numpy()
            else:
                answers["logits"] = model(token_ids).logits.numpy()
        model.save_pretrained(FOLDER / name)
        np.savez_compressed(FOLDER / name / "answers.npz", **answers)
        (FOLDER / name / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
