"""Word vectors as a thing of their own, and the files they are kept in."""

from tflm.vectors.formats import FORMATS, read, write
from tflm.vectors.word_vectors import SubwordRows, WordVectors

__all__ = ["FORMATS", "SubwordRows", "WordVectors", "read", "write"]
