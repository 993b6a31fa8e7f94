"""A function applied to batches of documents by worker processes, its results in the order of the batches: how
documents are tokenized, and their words counted.

Each worker serves one pipe and answers one batch at a time; a thread of the parent waits on each pipe.
When the parent dies, however it dies, the pipe ends and the worker leaves: no orphan stays behind
(the workers of `concurrent.futures` do, after a kill -9). At most two batches a worker are under way,
so memory does not grow with the corpus.

Each batch and result costs one copy through the pipe, about 1 ms a megabyte, against some 100 ms to tokenize it.
"""

import collections
import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tflm.errors import UserError

_BATCHES_A_WORKER = 2
# For fewer batches (of a megabyte, in all uses), starting processes takes longer than the work.
_FEW_BATCHES = 4
_LEAVE_SECONDS = 5


def available_cores() -> int:
    """The cores this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not on macOS and Windows.
        return os.cpu_count() or 1


def map_batches(function: Callable, batches: Iterable, num_workers: int = 0) -> Iterator:
    """`function(batch)` of every batch, in order: by several processes where that pays, else by this one.

    Args:
        function: is pickled into the processes, and so are batches and results.
        batches: of about a megabyte each.
        num_workers: 0 for as many as there are cores.

    Raises:
        UserError: as `map_in_processes`.
    """
    num_workers = num_workers or available_cores()
    batches = iter(batches)
    first = list(itertools.islice(batches, _FEW_BATCHES))
    together = itertools.chain(first, batches)
    if num_workers == 1 or len(first) < _FEW_BATCHES:
        yield from map(function, together)
    else:
        yield from map_in_processes(function, together, num_workers)


def map_beside(function: Callable, batches: Iterable, num_workers: int = 0) -> Iterator[tuple]:
    """As `map_batches`, where something belongs to each batch that `function` need not see.

    Args:
        function, num_workers: as there.
        batches: (what stays here, the batch), in twos.

    Yields:
        (what stayed here, `function(batch)`), in order.
    """
    kept: collections.deque = collections.deque()

    def sent():
        for beside, batch in batches:
            kept.append(beside)
            yield batch

    # Closed at once after an error, or the worker processes would wait for its traceback to go.
    with contextlib.closing(map_batches(function, sent(), num_workers)) as results:
        for result in results:
            yield kept.popleft(), result


def map_in_processes(function: Callable, batches: Iterable, num_workers: int) -> Iterator:
    """`function(batch)` of every batch, in order, by `num_workers` processes.

    Raises:
        UserError: where a worker was killed (mostly for want of memory); and what `function` raises.
    """
    context = multiprocessing.get_context("spawn")
    idle: queue.SimpleQueue = queue.SimpleQueue()
    processes, connections = [], []
    threads = ThreadPoolExecutor(num_workers, thread_name_prefix="worker")
    try:
        with _main_module_hidden():
            for _ in range(num_workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, function), daemon=True)
                process.start()
                theirs.close()  # Or the end of the worker would not be seen.
                processes.append(process)
                connections.append(ours)
                idle.put(ours)
        under_way: collections.deque = collections.deque()
        for batch in batches:
            under_way.append(threads.submit(_ask, idle, batch))
            if len(under_way) > _BATCHES_A_WORKER * num_workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
            process.join(_LEAVE_SECONDS)
        threads.shutdown()
        for connection in connections:
            connection.close()


def _ask(idle, batch):
    connection = idle.get()
    try:
        connection.send(batch)
        answer = connection.recv()
    except (EOFError, OSError) as error:
        raise UserError(
            "A worker process ended early, perhaps for want of memory. Use fewer of them: "
            "--config.data.workers=1."
        ) from error
    finally:
        idle.put(connection)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _serve(connection, function):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair.
    with contextlib.suppress(EOFError, OSError):  # The parent has gone.
        while True:
            batch = connection.recv()
            try:
                answer = function(batch)
            except Exception as error:  # noqa: BLE001 - the parent raises it.
                answer = error
            connection.send(answer)


@contextlib.contextmanager
def _main_module_hidden():
    # A spawned process imports the parent's main program first. That would load TensorFlow into every
    # worker, and run a script that has no `if __name__ == "__main__"` once more from the top.
    main = sys.modules["__main__"]
    kept = {name: vars(main)[name] for name in ("__spec__", "__file__") if name in vars(main)}
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(kept)
