"""Continues a prompt greedily with an exported .tflite: ai_edge_litert and sentencepiece, nothing else.

python complete_with_tflite.py EXPORT model_float32.tflite "The function returns" 40
"""

import sys

import numpy as np
import sentencepiece
from ai_edge_litert.interpreter import Interpreter

folder, file, prompt, num_tokens = sys.argv[1:]
tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer/tokenizer.model")
interpreter = Interpreter(model_path=f"{folder}/{file}", num_threads=1)
prefill, decode = (interpreter.get_signature_runner(name) for name in ("prefill_16", "decode"))
state = {
    name: np.zeros(tensor["shape"], tensor["dtype"])
    for name, tensor in decode.get_input_details().items()
    if name not in ("token_ids", "position")
}

ids = [tokenizer.bos_id(), *tokenizer.encode(prompt)]
end, position = len(ids) + int(num_tokens), 0
while position + 16 < len(ids):  # all but the last token of the prompt, 16 at once
    chunk = np.array([ids[position : position + 16]], "int32")
    state = prefill(token_ids=chunk, position=np.int32(position), **state)
    position += 16
while len(ids) < end:  # the rest of the prompt, then what was chosen, one by one
    token = np.array([[ids[position]]], "int32")
    state = decode(token_ids=token, position=np.int32(position), **state)
    logits, position = state.pop("logits")[0, 0], position + 1
    if position == len(ids):
        ids.append(int(logits.argmax()))
        if ids[-1] == tokenizer.eos_id():
            break
print(tokenizer.decode(ids))
