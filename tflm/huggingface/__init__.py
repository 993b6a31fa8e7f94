"""Models as Hugging Face's `transformers` keeps them: a folder with config.json and model.safetensors, in and out.

One table of names per architecture (`architectures.py`) says which of our variables is which of their tensors, and how
they lie; `weights.py` reads it in both directions. Nothing of transformers or torch is needed, and no code of a folder
is run.
"""
