"""The PyTorch side of `benchmarks/translation.py`: `nn.Transformer`'s layers, or `nn.LSTM` with Luong's attention.

    python torch_translation.py SETTINGS.json

Settings: family, the model's sizes, `half` for bfloat16 autocast, and one of

    batches: FILE.npz    train on these batches (source_ids_i, token_ids_i, labels_i, weights_i): tokens per second
    sources: FILE.npz    decode these sources (ids, ends), `tokens` of a target each, with a beam: tokens per second

It needs nothing but torch and numpy. `nn.Transformer` has no cache and would read the whole target again at every
step: here its layers keep what they read of the steps before.

Shapes: B batch, S source time, T target time, D hidden, K beam, V vocabulary.
"""

import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn


class Embedded(nn.Module):
    """One table for source, target and output; the loss, and what a beam asks for, are those of both families."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.width = (
            settings["hidden_dim"] if is_transformer(settings) else settings["embedding_dim"]
        )
        self.table = nn.Embedding(settings["vocabulary_size"], self.width)
        nn.init.normal_(self.table.weight, std=self.width**-0.5)
        self.dropout = nn.Dropout(settings["dropout"])

    def logits(self, hidden):
        return hidden @ self.table.weight.T

    def loss(self, batch):
        hidden = self.hidden(batch["token_ids"], batch["source_ids"])
        losses = nn.functional.cross_entropy(
            self.logits(hidden).float().flatten(0, 1),
            batch["labels"].flatten(),
            reduction="none",
            label_smoothing=0.1,
        )
        return (losses * batch["weights"].flatten()).sum()


class Transformer(Embedded):
    def __init__(self, settings):
        super().__init__(settings)
        options = {
            "d_model": self.width,
            "nhead": settings["num_heads"],
            "dim_feedforward": settings["intermediate_dim"],
            "dropout": settings["dropout"],
            "batch_first": True,
            "norm_first": True,
        }
        layers = settings["num_layers"]
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**options),
            layers,
            nn.LayerNorm(self.width),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(**options), layers, nn.LayerNorm(self.width)
        )
        places = torch.arange(512)[:, None]
        rates = torch.exp(torch.arange(0, self.width, 2) * (-math.log(10_000.0) / self.width))
        sinusoids = torch.cat([torch.sin(places * rates), torch.cos(places * rates)], dim=1)
        self.register_buffer("positions", sinusoids)

    def embed(self, ids, position=0):
        x = self.table(ids) * self.width**0.5
        return self.dropout(x + self.positions[position : position + ids.shape[1]])

    def hidden(self, token_ids, source_ids):
        padding = source_ids == 0
        memory = self.encoder(self.embed(source_ids), src_key_padding_mask=padding)
        causal = nn.Transformer.generate_square_subsequent_mask(token_ids.shape[1])
        return self.decoder(
            self.embed(token_ids),
            memory,
            tgt_mask=causal,
            tgt_is_causal=True,
            memory_key_padding_mask=padding,
        )

    def start(self, source_ids):
        padding = source_ids == 0
        memory = self.encoder(self.embed(source_ids), src_key_padding_mask=padding)
        read = [memory.new_zeros(len(memory), 0, self.width) for _ in self.decoder.layers]
        return {"source": [memory, padding], "moves": read}

    def step(self, tokens, state, position):
        """(B,) -> logits (B, V)."""
        memory, padding = state["source"]
        x = self.embed(tokens[:, None], position)
        for i, layer in enumerate(self.decoder.layers):
            query = layer.norm1(x)
            state["moves"][i] = read = torch.cat([state["moves"][i], query], dim=1)
            x = x + layer.self_attn(query, read, read, need_weights=False)[0]
            query = layer.norm2(x)
            attended = layer.multihead_attn(
                query, memory, memory, key_padding_mask=padding, need_weights=False
            )
            x = x + attended[0]
            x = x + layer.linear2(torch.relu(layer.linear1(layer.norm3(x))))
        return self.logits(self.decoder.norm(x)[:, 0])


class LSTM(Embedded):
    def __init__(self, settings):
        super().__init__(settings)
        units, layers = settings["hidden_dim"], settings["num_layers"]
        options = {"num_layers": layers, "batch_first": True}
        options["dropout"] = settings["dropout"] if layers > 1 else 0.0
        self.encoder = nn.LSTM(self.width, units // 2, bidirectional=True, **options)
        self.decoder = nn.LSTM(self.width, units, **options)
        self.key = nn.Linear(units, units, bias=False)
        self.combine = nn.Linear(2 * units, self.width)

    def encode(self, source_ids):
        lengths = (source_ids != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.table(source_ids)), lengths, batch_first=True, enforce_sorted=False
        )
        output, states = self.encoder(packed)
        output, _ = nn.utils.rnn.pad_packed_sequence(
            output, batch_first=True, total_length=source_ids.shape[1]
        )
        # (2 * layers, B, U / 2) -> (layers, B, U): both directions side by side.
        states = [torch.cat([state[0::2], state[1::2]], dim=-1).contiguous() for state in states]
        return output, self.key(output), source_ids == 0, states

    def attend(self, hidden, output, keys, padding):
        scores = hidden @ keys.transpose(1, 2)
        weights = scores.masked_fill(padding[:, None], -1e9).softmax(-1)
        return torch.tanh(self.combine(torch.cat([weights @ output, hidden], dim=-1)))

    def hidden(self, token_ids, source_ids):
        *source, states = self.encode(source_ids)
        hidden, _ = self.decoder(self.dropout(self.table(token_ids)), tuple(states))
        return self.dropout(self.attend(hidden, *source))

    def start(self, source_ids):
        *source, states = self.encode(source_ids)
        return {"source": source, "moves": [state.transpose(0, 1) for state in states]}

    def step(self, tokens, state, position):
        states = tuple(move.transpose(0, 1).contiguous() for move in state["moves"])
        hidden, states = self.decoder(self.table(tokens[:, None]), states)
        state["moves"] = [state.transpose(0, 1) for state in states]
        return self.logits(self.attend(hidden, *state["source"])[:, 0])


def is_transformer(settings) -> bool:
    return settings["family"] == "seq2seq_transformer"


def train(model, settings) -> float:
    """Tokens of source and target per second, padding not counted, after the first batches."""
    with np.load(settings["batches"]) as arrays:
        count = len(arrays.files) // 4
        batches = [
            {
                name: torch.from_numpy(arrays[f"{name}_{i}"]).to(
                    torch.float32 if name == "weights" else torch.int64
                )
                for name in ("source_ids", "token_ids", "labels", "weights")
            }
            for i in range(count)
        ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)
    tokens = seconds = 0
    for step, batch in enumerate(batches):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings["half"]):
            loss = model.loss(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= settings["skipped"]:
            seconds += time.perf_counter() - start
            tokens += int((batch["source_ids"] != 0).sum() + (batch["weights"] > 0).sum())
    return tokens / seconds


@torch.inference_mode()
def decode(model, settings) -> float:
    """Tokens of targets per second; every target has the same number of tokens."""
    with np.load(settings["sources"]) as arrays:
        rows = [row.tolist() for row in np.split(arrays["ids"], arrays["ends"][:-1])]
    rows.sort(key=len, reverse=True)
    batches = []
    for first in range(0, len(rows), settings["rows"]):
        some = rows[first : first + settings["rows"]]
        ids = torch.zeros(len(some), len(some[0]), dtype=torch.int64)
        for place, row in enumerate(some):
            ids[place, : len(row)] = torch.tensor(row)
        batches.append(ids)
    model.eval()
    seconds = []
    for _ in range(2):  # the first time warms up
        start = time.perf_counter()
        for ids in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings["half"]):
                search(model, ids, settings["beam_size"], settings["tokens"])
        seconds.append(time.perf_counter() - start)
    return len(rows) * settings["tokens"] / seconds[-1]


def search(model, source_ids, size: int, tokens: int):
    """The best target of every source, (B, tokens); none ends."""
    count = len(source_ids)
    state = model.start(source_ids)
    if size > 1:
        state["source"] = [value.repeat_interleave(size, 0) for value in state["source"]]
        state["moves"] = [value.repeat_interleave(size, 0) for value in state["moves"]]
    last = torch.full((count * size,), 2)
    targets = last[:, None]
    scores = torch.full((count, size), -1e30)
    scores[:, 0] = 0.0
    base = torch.arange(count)[:, None] * size
    for position in range(tokens):
        logits = model.step(last, state, position).float()
        if size == 1:
            last = logits.argmax(-1)
            targets = torch.cat([targets, last[:, None]], dim=1)
            continue
        totals = scores[..., None] + logits.log_softmax(-1).view(count, size, -1)
        scores, index = totals.view(count, -1).topk(size)
        parents = (base + index // logits.shape[-1]).view(-1)
        last = (index % logits.shape[-1]).view(-1)
        state["moves"] = [value[parents] for value in state["moves"]]
        targets = torch.cat([targets[parents], last[:, None]], dim=1)
    return targets.view(count, size, -1)[:, 0, 1:]


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    torch.manual_seed(0)
    model = (Transformer if is_transformer(settings) else LSTM)(settings)
    speed = train(model, settings) if "batches" in settings else decode(model, settings)
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"speed": speed, "parameters": parameters}))


if __name__ == "__main__":
    main(sys.argv[1])
