"""The names in a batch, and the one place that says who adds BOS and EOS.

A document is stored as `bos, tokens..., eos`, the source of a pair without the bos. `encode.encode_documents` adds both
to a document, `word_alignment.word_windows` and `passages.encode_passage` to a window of one, and nothing else does:
`Tokenizer.encode` adds neither. The model reads `token_ids` and predicts `labels`, the same stream one token later. A
label that is `bos` carries no information (it always follows `eos`), so its weight is 0: everything else is predicted
exactly once.

Shapes: B batch, T time.
"""

TOKEN_IDS = "token_ids"  # (B, T) int32, what the model reads
LABELS = "labels"  # (B, T) int32, what it must predict at each position
WEIGHTS = "weights"  # (B, T) float32, sums to 1 over the whole effective batch
# (B, T) int32, which text of its row a token belongs to: of several documents, or of a pair that an encoder reads
SEGMENT_IDS = "segment_ids"
RESET = "reset"  # (B,) bool, True where a row's recurrent state must start anew
SOURCE_IDS = (
    "source_ids"  # (B, S) int32, what an encoder reads: `tokens..., eos`, then padding (id 0)
)
PADDING_MASK = "padding_mask"  # (B, T) bool, True where a token is and no padding; for an encoder
MASKED_POSITIONS = "masked_positions"  # (B, P) int32, where an encoder must say what stood there; LABELS are (B, P)
WORD_POSITIONS = "word_positions"  # (B, W) int32, where each word's first token is; LABELS and WEIGHTS are (B, W)
IS_ELSEWHERE = "is_elsewhere"  # (B,) int32, 1 where the second text of a row does not go on where the first one ends
ROW_WEIGHTS = "row_weights"  # (B,) float32, sums to 1 over the whole effective batch
