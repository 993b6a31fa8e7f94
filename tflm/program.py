"""How every program starts and ends: flags by absl, a user's mistake in one line with exit code 2."""

import errno
import os
import signal
import sys
import tempfile

from absl import app, flags

from tflm.errors import UserError


def run(main, prepare=None) -> None:
    """Parses the flags and calls main(argv); for the console scripts and `python -m`.

    Args:
        main: returns the exit code, None for 0.
        prepare: rewrites argv before it is parsed.
    """
    # TensorFlow's start-up messages say nothing about the user's run.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    app.run(_mistakes_in_one_line(main), flags_parser=lambda argv: _parse(argv, prepare))


def _parse(argv, prepare):
    try:
        return flags.FLAGS(prepare(argv) if prepare else argv)
    except flags.Error as error:
        # absl's own message may span lines and ends in a hint for its own help flags.
        first = str(error).strip().splitlines()[0]
        _end(f"{first} (See --help.)")
    except UserError as error:
        _end(str(error))


def _mistakes_in_one_line(main):
    def wrapped(argv):
        try:
            return main(argv)
        except UserError as error:
            return _end(str(error))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return _end(f"{error.strerror}: {error.filename or 'a file'}. Make room and try again.")

    return wrapped


def _end(message: str):
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def load_backend() -> None:
    """Imports Keras and its backend without the start-up noise, which no setting turns off.

    The noise is written by C++ code to file descriptor 2, so that is where it is caught; it is shown where the import
    fails.
    """
    with tempfile.TemporaryFile() as noise:
        stderr = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            import keras

            if keras.backend.backend() == "tensorflow":
                import tensorflow  # noqa: F401
        except BaseException:
            os.dup2(stderr, 2)
            noise.seek(0)
            sys.stderr.write(noise.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
