"""What BERT's run_squad.py does, in its own loops over tokens, for tests of what does the same with arrays."""

import collections

import numpy as np


def run_squad_windows(length: int, room: int, stride: int):
    """`doc_spans` and `_check_is_max_context` of BERT's run_squad.py, over `length` tokens."""
    spans, start = [], 0
    while start < length:
        size = min(length - start, room)
        spans.append((start, size))
        if start + size == length:
            break
        start += min(size, stride)
    best = []
    for position in range(length):
        best_score, best_index = None, None
        for index, (start, size) in enumerate(spans):
            end = start + size - 1
            if position < start or position > end:
                continue
            score = min(position - start, end - position) + 0.01 * size
            if best_score is None or score > best_score:
                best_score, best_index = score, index
        best.append(best_index)
    return spans, best


def run_squad_answers(passage, starts, ends, n_best: int, longest: int):
    """`write_predictions` of BERT's run_squad.py, with every start and end among the best."""
    candidate = collections.namedtuple("candidate", "start_index end_index window score")
    candidates, null = [], 1000000
    for number, window in enumerate(passage.windows):
        null = min(null, float(starts[number][0]) + float(ends[number][0]))
        token_to_orig = {
            window.place + i: window.first + i for i in range(window.last - window.first)
        }
        is_max_context = {window.place + i: own for i, own in enumerate(window.own)}
        for start_index in range(len(window.token_ids)):
            for end_index in range(len(window.token_ids)):
                if start_index not in token_to_orig or end_index not in token_to_orig:
                    continue
                if not is_max_context[start_index]:
                    continue
                if end_index < start_index or end_index - start_index + 1 > longest:
                    continue
                score = float(starts[number][start_index]) + float(ends[number][end_index])
                orig = token_to_orig[start_index], token_to_orig[end_index]
                candidates.append(candidate(*orig, number, score))
    best, seen = [], set()
    for found in sorted(candidates, key=lambda c: c.score, reverse=True):
        if len(best) == n_best:
            break
        begin, end = passage.offsets[found.start_index, 0], passage.offsets[found.end_index, 1]
        text = passage.context[begin:end].strip()
        if text and text not in seen:
            seen.add(text)
            best.append((text, found.score))
    shares = np.exp([score for _, score in best])
    return best, shares / shares.sum(), null
