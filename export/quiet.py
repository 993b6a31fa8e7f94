"""Keeps the messages of native libraries off the terminal while all goes well."""

import contextlib
import os
import sys
import tempfile

from tflm.errors import UserError


@contextlib.contextmanager
def quiet_native_messages():
    """What TensorFlow's C++ writes to stderr is held back; it is shown where the block raises what is no UserError."""
    try:
        descriptor = sys.__stderr__.fileno()
    except (AttributeError, OSError, ValueError):  # no such stream
        yield
        return
    sys.stderr.flush()
    kept = os.dup(descriptor)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        except UserError:
            raise
        except Exception:
            os.dup2(kept, descriptor)
            held.seek(0)
            os.write(descriptor, held.read()[-4000:])
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
