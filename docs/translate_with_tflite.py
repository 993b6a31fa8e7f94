"""Translates a text greedily with an exported .tflite: ai_edge_litert and sentencepiece, nothing else.

python translate_with_tflite.py EXPORT model_float32.tflite "Ein Hund läuft im Schnee." 40
"""

import os
import sys

import numpy as np
import sentencepiece
from ai_edge_litert.interpreter import Interpreter

folder, file, text, num_tokens = sys.argv[1:]
target = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer/tokenizer.model")
source, path = target, f"{folder}/source_tokenizer/tokenizer.model"
if os.path.exists(path):  # only where the two languages do not share one
    source = sentencepiece.SentencePieceProcessor(model_file=path)
interpreter = Interpreter(model_path=f"{folder}/{file}", num_threads=1)
encode, decode = (interpreter.get_signature_runner(name) for name in ("encode", "decode"))

source_ids = np.zeros(encode.get_input_details()["source_ids"]["shape"], "int32")
tokens = [*source.encode(text), source.eos_id()]
source_ids[0, : len(tokens)] = tokens  # 0 behind them
state, ids = encode(source_ids=source_ids), [target.bos_id()]
while len(ids) <= int(num_tokens):
    token = np.array([ids[-1:]], "int32")
    changed = decode(token_ids=token, position=np.int32(len(ids) - 1), **state)
    best = int(changed.pop("logits")[0, 0].argmax())
    if best == target.eos_id():
        break
    ids.append(best)
    state |= changed  # a step does not hand out again what the encoder made of the source
print(target.decode(ids))
