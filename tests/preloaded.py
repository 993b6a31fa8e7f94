"""What the server of `tests/programs.py` imports once, so that the processes it forks need not.

Not one operation may run here: TensorFlow's threads would not survive the fork.
"""

import keras  # noqa: F401
import ml_collections.config_flags  # noqa: F401
import safetensors.numpy  # noqa: F401
import tensorflow  # noqa: F401
import tqdm  # noqa: F401
