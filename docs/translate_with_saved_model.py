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

# The same with options, and all that the beam has found, the best first.
found = model.translate(texts, max_tokens=tf.constant(40), length_penalty=tf.constant(1.0))
for row, scores in zip(found["texts"].numpy(), found["scores"].numpy(), strict=True):
    for text, score in zip(row, scores, strict=True):
        print(f"{score:.3f}  {text.decode()}")
