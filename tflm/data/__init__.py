"""Corpora, the store of token ids, the order of examples, batches."""
