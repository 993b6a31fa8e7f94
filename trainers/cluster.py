"""TF_CONFIG, by which TensorFlow tells the workers of one training from each other: read, and checked before it is
used, because TensorFlow waits for ever for a worker that does not exist.

    TF_CONFIG='{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
"""

import dataclasses
import json
import os

from tflm.errors import UserError

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")  # in the order in which TensorFlow numbers their tasks


@dataclasses.dataclass
class Cluster:
    """
    Attributes:
        addresses: host:port of every worker, the chief's first.
        index: which of them this process is.
    """

    addresses: list[str]
    index: int


def read_tf_config() -> Cluster:
    """The cluster that TF_CONFIG describes.

    Raises:
        UserError: where it is missing, is no JSON, or describes no cluster with this task in it.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        raise UserError(
            f"--distribute=multi_worker needs {VARIABLE} in the environment of every worker, for example "
            f"{VARIABLE}='{EXAMPLE}'. It is not set."
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _wrong(f"JSON ({error})") from error
    cluster, task = _part(config, "cluster"), _part(config, "task")
    addresses = []
    for job in JOBS:
        tasks = cluster.get(job, [])
        if not isinstance(tasks, list) or not all(_is_address(a) for a in tasks):
            raise _wrong(f"a list of host:port in cluster.{job}, not {tasks!r}")
        addresses += tasks
    unknown = sorted(set(cluster) - set(JOBS))
    if unknown:
        raise _wrong(f"the jobs {' and '.join(JOBS)} only, not {', '.join(unknown)}")
    if not addresses:
        raise _wrong('workers in cluster.worker, for example ["host0:2222", "host1:2222"]')
    if len(set(addresses)) != len(addresses):
        raise _wrong(f"another host:port for every worker, not {', '.join(addresses)}")
    job, index = task.get("type"), task.get("index")
    if job not in JOBS or job not in cluster:
        present = " or ".join(repr(name) for name in JOBS if name in cluster)
        raise _wrong(f"task.type {present}, not {job!r}")
    if isinstance(index, bool) or not isinstance(index, int):
        raise _wrong(f"a number in task.index, not {index!r}")
    if not 0 <= index < len(cluster[job]):
        raise _wrong(f"task.index from 0 to {len(cluster[job]) - 1}, not {index}")
    before = len(cluster.get("chief", [])) if job == "worker" else 0
    return Cluster(addresses, before + index)


def _part(config, name: str) -> dict:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise _wrong(f"an object {name!r}")
    return part


def _is_address(text) -> bool:
    host, _, port = str(text).rpartition(":")
    return isinstance(text, str) and bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _wrong(wanted: str) -> UserError:
    return UserError(f"{VARIABLE} must have {wanted}. A right one is {EXAMPLE}.")
