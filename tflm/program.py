"""How every program starts and ends: flags by absl, a user's mistake in one line with exit code 2."""

import contextlib
import errno
import importlib.util
import logging
import os
import signal
import sys
import tempfile

from absl import app, flags

from tflm.errors import UserError, unknown_name

# What KERAS_BACKEND may be, and what pip calls it.
BACKENDS = {"tensorflow": "tensorflow", "jax": "tflm[jax]"}


def run(main, prepare=None) -> None:
    """Parses the flags and calls main(argv); for the console scripts and `python -m`.

    Args:
        main: returns the exit code, None for 0.
        prepare: rewrites argv before it is parsed.
    """
    # TensorFlow's start-up messages say nothing about the user's run.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if {"--help", "-help", "-h", "--helpshort"} & set(sys.argv[1:]):
        # absl would look for the flags of the file that was started, which a console script is not.
        main_module = sys.modules[main.__module__]
        name = sys.argv[0] if main.__module__ == "__main__" else main.__module__
        print(f"{main_module.__doc__}\n{flags.FLAGS.module_help(name)}")
        raise SystemExit(0)
    try:
        app.run(_mistakes_in_one_line(main), flags_parser=lambda argv: _parse(argv, prepare))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


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
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
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

    Raises:
        UserError: for a backend that is not installed, or that nothing here can train with.
    """
    chosen = os.environ.get("KERAS_BACKEND", "tensorflow")
    if chosen not in BACKENDS:
        raise unknown_name("KERAS_BACKEND", chosen, BACKENDS)
    if importlib.util.find_spec(chosen) is None:
        raise UserError(
            f"KERAS_BACKEND={chosen} is not installed: pip install '{BACKENDS[chosen]}'."
        )
    with quiet_native_messages():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # It warns of every new shape that is compiled; decoding has several by design.
            tf.get_logger().setLevel(logging.ERROR)
        # JAX says at length which kinds of devices it did not find.
        logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)


@contextlib.contextmanager
def quiet_native_messages():
    """What native code writes to stderr is held back; it is shown where the block raises what is no UserError.

    It is written to the file descriptor, past Python's `sys.stderr`, so that is where it is caught.
    """
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
