"""tflm: from a folder of text to language models on a model server or a phone.

The rooms, in the order the data takes: `text` -> `data` -> `models` -> `run` (and `generation`, `metrics` beside them).
Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
