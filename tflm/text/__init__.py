"""Normalisation, tokenizers, and their twins as TensorFlow ops."""
