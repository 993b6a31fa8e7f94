"""Giving memory that was freed back to the system, where the C library keeps it.

glibc raises the size from which it maps blocks separately each time a larger one is freed. After a few
batches of a megabyte all of them come from its heap, which then grows by about 0.2 MB for every MB of
text that passes through, though nothing is leaked (measured: 42 MB after 30 MB of text, 105 MB after
270 MB; 36 MB throughout when it is trimmed).
"""

import ctypes


def release_free_memory():
    """Returns the free pages of glibc's heap to the system; elsewhere nothing. Takes some 10 ms."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # musl and macOS have none, Windows no CDLL(None).
        return
    trim(0)
