"""Translates texts with an exported SavedModel, with TensorFlow alone; the beam search is in the graph.

python translate_with_saved_model.py EXPORT/saved_model/1 "Ein Hund läuft im Schnee." "Zwei Kinder spielen."
"""

import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's ops; TensorFlow Serving has them built in)

model = tf.saved_model.load(sys.argv[1])
texts = tf.constant(sys.argv[2:])

# The best of the beam, the default of every server.
for text in model.signatures["serving_default"](text=texts)["text"].numpy():
    print(text.decode())

# All that the beam has found, the best first; a score is a log-probability over the length penalty.
found = model.translate_n_best(texts, max_tokens=tf.constant(40))
for row, scores in zip(found["texts"].numpy(), found["scores"].numpy(), strict=True):
    for text, score in zip(row, scores, strict=True):
        print(f"{score:.3f}  {text.decode()}")
