"""What the machine does at best, and what it holds: its rate of matrix products, and memory."""

import contextlib
import functools
import threading
import time

import keras
import numpy as np
import psutil
from keras import ops

SECONDS = 0.3
LONG_ENOUGH = 5e-3  # of a product: what surrounds it then does not count
SIZES = (256, 512, 1024, 2048, 4096, 8192)
REPEATS = 4  # products in flight at once, for devices that are ahead of Python
SAMPLING = 2e-3  # seconds between looks at the memory


@functools.cache
def matmul_rate(policy: str) -> float:
    """Operations per second of square products, the fastest of what is tried in a third of a second.

    The share of it that a training gets is its MFU (Chowdhery et al. 2022, "PaLM", appendix B), there over the rate
    that the maker of the device names.

    Args:
        policy: a Keras dtype policy; its compute dtype is multiplied.
    """
    dtype = keras.DTypePolicy(policy).compute_dtype
    random = np.random.default_rng(0)  # its own: no random state of the training moves
    tile = random.standard_normal((SIZES[0], SIZES[0])).astype("float32")
    for size in SIZES:
        factor = ops.cast(np.tile(tile, (size // SIZES[0],) * 2), dtype)
        _seconds(factor)  # the first one also prepares
        best = _seconds(factor)
        if best > LONG_ENOUGH:
            break
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        best = min(best, _seconds(factor))
    return 2 * size**3 / best


def _seconds(factor) -> float:
    """Of one product."""
    start = time.perf_counter()
    for _ in range(REPEATS):
        product = ops.matmul(factor, factor)
    ops.convert_to_numpy(product[:1, :1])  # waits for it
    return (time.perf_counter() - start) / REPEATS


def device_memory() -> tuple[int, int] | None:
    """Bytes in use on the first accelerator, now and at most so far; None where there is none."""
    if keras.backend.backend() == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats()
        return (stats["bytes_in_use"], stats["peak_bytes_in_use"]) if stats else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    stats = tf.config.experimental.get_memory_info("GPU:0")
    return stats["current"], stats["peak"]


class PeakMemory(contextlib.AbstractContextManager):
    """What is used at most inside the block, beyond what was used before.

    Attributes:
        bytes: on the accelerator where there is one, else of this process.
        where: "device" or "process".
    """

    def __enter__(self):
        self.where = "process" if device_memory() is None else "device"
        self._process, self._end = psutil.Process(), threading.Event()
        self._before = self._peak = self._in_use()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        if self.where == "device":
            self._peak = device_memory()[1]
        self.bytes = max(self._peak - self._before, 0)

    def _in_use(self) -> int:
        memory = device_memory()
        return self._process.memory_info().rss if memory is None else memory[0]

    def _watch(self):
        while not self._end.wait(SAMPLING):
            self._peak = max(self._peak, self._in_use())
