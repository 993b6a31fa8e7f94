"""One process of a distributed training, for `test_distribution.py`.

    python tests/distributed_side.py FOLDER NAME

FOLDER/NAME.json says what to train: `member` of the zoo, `run_dir`, `distribute`, `devices` (logical ones of
TensorFlow; JAX's are in XLA_FLAGS), fields of its `model` and of `train`. The text is FOLDER/text.txt.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main(folder: Path, name: str) -> int:
    request = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    from tflm import program
    from tflm.errors import UserError

    program.load_backend()
    if request.get("devices"):
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * request["devices"]
        tf.config.set_logical_device_configuration(cpu, devices)

    from tests.tiny_experiments import tiny_experiment
    from trainers import fit

    experiment = tiny_experiment(
        request["member"], folder / "text.txt", request.get("model"), **request.get("train", {})
    )
    try:
        fit.train(experiment, request["run_dir"], distribute=request.get("distribute"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
