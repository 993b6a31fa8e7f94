"""A profile of a few steps on request, for TensorBoard's page of that name (`pip install xprof`)."""

import contextlib

import keras

from tflm.errors import UserError
from trainers.terminal import say, warn


def steps_to_profile(values: list[str]) -> tuple[int, ...]:
    """FIRST,LAST of a flag as numbers; () stays ().

    Raises:
        UserError: where they are no such numbers.
    """
    if not values:
        return ()
    try:
        first, last = (int(value) for value in values)
    except ValueError:
        first = last = 0
    if not 1 <= first <= last:
        raise UserError(
            "--profile_steps must be the first and the last step to record, as in --profile_steps=100,105. "
            f"Received: {','.join(values)}."
        )
    return first, last


class Profiler(keras.callbacks.Callback):
    """Records the steps from `first` to `last`, numbered as in the log, into the run's TensorBoard folder.

    Args:
        folder: RunFolder.
        progress: callbacks.Progress; the callback that counts its steps stands before this one.
        first, last: 0 for no profile.
    """

    def __init__(self, folder, progress, first: int = 0, last: int = 0):
        super().__init__()
        self.path = str(folder.path / "tensorboard" / "train")
        self.progress, self.first, self.last = progress, first, last
        self._is_running = False
        self._marks = contextlib.ExitStack()
        if last and progress.step >= last:
            warn(f"Step {last:,} is done: the training goes on after it, and there is no profile.")

    def on_train_batch_begin(self, batch, logs=None):
        step = self.progress.step + 1
        if not self._is_running and self.first <= step <= self.last:
            _start(self.path)
            self._is_running = True
        if self._is_running:
            self._marks.enter_context(_mark(step))

    def on_train_batch_end(self, batch, logs=None):
        self._marks.close()
        if self._is_running and self.progress.step >= self.last:
            float(logs["loss"])  # the device may be behind
            self.close()

    def close(self) -> None:
        """Ends a recording that is under way."""
        if self._is_running:
            self._is_running = False
            self._marks.close()
            _stop()
            say(f"Profile up to step {self.progress.step:,}: {self.path}")


def _start(path: str) -> None:
    if keras.backend.backend() == "jax":
        import jax

        jax.profiler.start_trace(path)
    else:
        import tensorflow as tf

        tf.profiler.experimental.start(path)


def _stop() -> None:
    if keras.backend.backend() == "jax":
        import jax

        jax.profiler.stop_trace()
    else:
        import tensorflow as tf

        tf.profiler.experimental.stop()


def _mark(step: int):
    """What names a step in the profile."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.profiler.StepTraceAnnotation("train", step_num=step)
    import tensorflow as tf

    return tf.profiler.experimental.Trace("train", step_num=step, _r=1)
