"""Which precision `auto` is on the device at hand."""

import keras

from trainers.train_step import updates_rows


def of(objective, precision: str) -> str:
    """The policy that an objective is trained with: rows of tables are updated in float32 everywhere."""
    return "float32" if updates_rows(objective) else resolve(precision)


def resolve(precision: str) -> str:
    """A Keras dtype policy: float32 on a CPU; on a GPU bfloat16 where the card computes it, else float16."""
    if precision != "auto":
        return precision
    capability = _compute_capability()
    if capability is None:
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


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
