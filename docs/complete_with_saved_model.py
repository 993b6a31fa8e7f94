"""Text for text from an exported SavedModel, with TensorFlow alone.

python complete_with_saved_model.py EXPORT/saved_model/1 "The function returns" "A list is"
"""

import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the tokenizer's ops; TensorFlow Serving has them built in)

model = tf.saved_model.load(sys.argv[1])
prompts = tf.constant(sys.argv[2:])

# Greedy, the default of every server.
for text in model.signatures["serving_default"](text=prompts)["text"].numpy():
    print(text.decode())

# The same with options; what is left out has a default, and a seed gives the same text every time.
sampled = model.generate(
    prompts,
    max_tokens=tf.constant(40),
    temperature=tf.constant(0.8),
    top_k=tf.constant(50),
    seed=tf.constant(1),
)
for completion in sampled["completion"].numpy():
    print(completion.decode())
