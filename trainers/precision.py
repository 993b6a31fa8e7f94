"""Which precisions `auto` may be on the device at hand."""

from pathlib import Path

import keras

from trainers.train_step import updates_rows

# Operations of a step. Smaller steps have no products that are large enough to gain from bfloat16.
LEAST_OPERATIONS = 4e9


def choices(objective, precision: str, operations: float) -> list[str]:
    """The policies that `precision` leaves open, the usual one first.

    Args:
        precision: of a TrainConfig.
        operations: floating-point operations of a step.

    Rows of tables are updated in float32 everywhere. "auto" is bfloat16 on a GPU that computes it and float16 on
    another; on a processor it is float32 or, if it computes bfloat16, that.
    """
    if updates_rows(objective):
        return ["float32"]
    if precision != "auto":
        return [precision]
    capability = _compute_capability()
    if capability is not None:
        return ["mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"]
    if operations < LEAST_OPERATIONS or not _processor_has_bfloat16():
        return ["float32"]
    return ["float32", "mixed_bfloat16"]


def _processor_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _compute_capability() -> tuple[int, ...] | None:
    """Of the first GPU; None without one."""
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "gpu":
            return None
        return tuple(int(part) for part in str(device.compute_capability).split("."))
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    return tf.config.experimental.get_device_details(devices[0]).get("compute_capability", (0, 0))
