"""The oracle: Hugging Face BERT classifiers in float64, and how far plain float32 is from them.

Not here: which cases are made and how they are stored (generate.py).

Symbols, as in native/kernels/kernels.h: T tokens, C hidden size, B sequences, R classes. A batch is packed (no padding
rows): `ids`, `types` (T), `offsets` (B + 1), `labels` (B). For PyTorch it is padded to a rectangle with an attention mask.

"Plain float32" is not one number: the order of additions is a choice, and the error of a small tensor is a few roundings
that may cancel by luck. So the float32 error of a quantity is the largest over VARIANTS: the same computation with eager
or fused attention, rows of the batch in another order, other padding, two GEMM libraries, and a CPU with AVX-512 or none
of AVX (then without fused multiply-add, as our portable kernels).
"""
import contextlib
import dataclasses
import functools
import multiprocessing
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


@dataclasses.dataclass(frozen=True)
class Batch:
    ids: np.ndarray  # (T)
    types: np.ndarray  # (T)
    offsets: np.ndarray  # (B + 1)
    labels: np.ndarray  # (B)

    @staticmethod
    def of(rows, labels):
        """rows: a list of (ids, types) per sequence."""
        return Batch(
            np.concatenate([r[0] for r in rows]).astype(np.int64),
            np.concatenate([r[1] for r in rows]).astype(np.int64),
            np.cumsum([0] + [len(r[0]) for r in rows]).astype(np.int64),
            np.asarray(labels, np.int64),
        )

    def row(self, i):
        span = slice(self.offsets[i], self.offsets[i + 1])
        return self.ids[span], self.types[span]

    def take(self, rows):
        return Batch.of([self.row(i) for i in rows], self.labels[rows])

    def json(self):
        return {f.name: getattr(self, f.name).tolist() for f in dataclasses.fields(self)}


@dataclasses.dataclass(frozen=True)
class Variant:
    attention: str  # "eager" or "sdpa"
    rotate: int  # rows of the batch are rotated by this many places
    padding: int  # extra padding columns, where max_position_embeddings leaves room
    onednn: bool
    sse: bool = False  # in a process of its own that may not use AVX


REFERENCE = Variant("eager", 0, 0, True)  # and float64
VARIANTS = [
    Variant("eager", 0, 0, True),
    Variant("sdpa", 0, 0, True),
    Variant("eager", 1, 3, False),
    Variant("sdpa", 3, 0, False),
    Variant("eager", 2, 0, True),
    Variant("sdpa", 1, 5, True),
    Variant("eager", 3, 1, False),
    Variant("sdpa", 2, 2, False),
    Variant("eager", 0, 0, True, sse=True),
    Variant("sdpa", 1, 0, False, sse=True),
    Variant("eager", 2, 2, False, sse=True),
    Variant("sdpa", 3, 1, True, sse=True),
]
SSE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}


@functools.cache
def sse_process():
    before = dict(os.environ)
    os.environ.update(SSE)  # read by the libraries when the child imports torch
    pool = multiprocessing.get_context("spawn").Pool(1)
    pool.apply(torch.get_num_threads)  # the child is up
    os.environ.clear()
    os.environ.update(before)
    return pool


def on_its_cpu(function):
    """Runs `function` where its `variant` argument says."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        variant = next(a for a in args if isinstance(a, Variant))
        if variant.sse and "ATEN_CPU_CAPABILITY" not in os.environ:
            return sse_process().apply(getattr(__import__("oracle"), function.__name__), args, kwargs)
        return function(*args, **kwargs)

    return run


class MeanPooled(nn.Module):
    """Mean of the last hidden states over real tokens → dropout → classifier. No pooler."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
        mask = attention_mask.to(hidden.dtype).unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return self.classifier(self.dropout(pooled)), hidden


class ClsPooled(nn.Module):
    """BertForSequenceClassification, with the last hidden state returned too."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.inner = BertForSequenceClassification(config)

    def forward(self, input_ids, attention_mask, token_type_ids):
        out = self.inner(input_ids, attention_mask, token_type_ids, output_hidden_states=True)
        return out.logits, out.hidden_states[-1]


def plain_name(parameter):
    """'inner.bert.encoder.layer.0…' → 'encoder.layer.0…': names without prefixes, as the project uses them."""
    return parameter.removeprefix("inner.").removeprefix("bert.")


def group_of(name, layers):
    """Group index of a tensor: 0 embeddings, 1 + i layer i, layers + 1 head."""
    if name.startswith("embeddings."):
        return 0
    if name.startswith("encoder.layer."):
        return 1 + int(name.split(".")[2])
    return layers + 1


def decays(name):
    """Hugging Face Trainer's rule: weight decay on everything except biases and LayerNorm."""
    return not (name.endswith(".bias") or "LayerNorm" in name)


def is_key_bias(name):
    return name.endswith("attention.self.key.bias")


def build(config, weights, dtype, attention, pooling="cls"):
    """A model in eval mode (dropout is 0 anyway) holding `weights`: name → float32 array."""
    config = BertConfig(**{**config, "attn_implementation": attention})
    model = (MeanPooled if pooling == "mean" else ClsPooled)(config)
    model = model.to(dtype)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[plain_name(parameter_name)]).to(dtype))
    return model


def pad(batch, variant, positions, pad_token):
    """A packed batch as rectangles (B, longest + padding), rows rotated. Returns the row order too."""
    count = len(batch.labels)
    order = [(i + variant.rotate) % count for i in range(count)]
    longest = int(np.max(np.diff(batch.offsets)))
    width = min(longest + variant.padding, positions)
    ids = torch.full((count, width), pad_token)
    types = torch.zeros((count, width), dtype=torch.long)
    mask = torch.zeros((count, width), dtype=torch.long)
    for to, i in enumerate(order):
        row_ids, row_types = batch.row(i)
        ids[to, : len(row_ids)] = torch.from_numpy(row_ids)
        types[to, : len(row_ids)] = torch.from_numpy(row_types)
        mask[to, : len(row_ids)] = 1
    return ids, mask, types, torch.from_numpy(batch.labels[order]), order


def forward(model, batch, variant, smoothing=0.0):
    """→ logits (B, R), row losses without smoothing (B), hidden states (T, C) packed: in the batch's order; mean loss."""
    config = model.config
    ids, mask, types, labels, order = pad(batch, variant, config.max_position_embeddings, config.pad_token_id)
    logits, hidden = model(ids, mask, types)
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    row_loss = F.cross_entropy(logits, labels, reduction="none")
    back = np.argsort(order)
    lengths = mask.sum(1)
    packed = torch.cat([hidden[back[i], : lengths[back[i]]] for i in range(len(order))])
    return logits[back], row_loss[back], packed, loss


@contextlib.contextmanager
def gemm_library(variant):
    with torch.backends.mkldnn.flags(enabled=variant.onednn):
        yield


@on_its_cpu
def evaluate(config, weights, batch, variant, dtype, pooling="cls", smoothing=0.0, trainable=None):
    """Forward and backward of one batch → {"logits", "row_loss", "loss", "hidden", "gradients": {name: …}}, float64 arrays."""
    model = build(config, weights, dtype, variant.attention, pooling)
    set_trainable(model, trainable)
    with gemm_library(variant):
        logits, row_loss, hidden, loss = forward(model, batch, variant, smoothing)
        loss.backward()
    as64 = lambda t: t.detach().to(torch.float64).numpy()
    return {
        "logits": as64(logits),
        "row_loss": as64(row_loss),
        "loss": as64(loss),
        "hidden": as64(hidden),
        "gradients": {plain_name(n): as64(p.grad) for n, p in model.named_parameters() if p.requires_grad},
    }


def set_trainable(model, trainable):
    """trainable: per group, or None for everything."""
    layers = model.config.num_hidden_layers
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable is None or trainable[group_of(plain_name(name), layers)])


@dataclasses.dataclass(frozen=True)
class Training:
    """Some AdamW steps. Rates are given for every step and group: no scheduler object is involved."""

    dataset: Batch
    rows: list  # per step, the rows of its batch
    rates: np.ndarray  # (steps, groups)
    trainable: list  # per group
    weight_decay: float
    max_grad_norm: float  # 0: no clipping
    smoothing: float
    betas: tuple = (0.9, 0.999)
    epsilon: float = 1e-8


@on_its_cpu
def train(config, weights, training, variant, dtype, pooling="cls"):
    """torch.optim.AdamW, a group per (permafrost group, decays or not) → losses, gradient norms (steps), final weights."""
    model = build(config, weights, dtype, variant.attention, pooling)
    set_trainable(model, training.trainable)
    layers = model.config.num_hidden_layers
    groups = []
    for index in range(layers + 2):
        for decay in (True, False):
            of_group = [
                p for n, p in model.named_parameters()
                if p.requires_grad and group_of(plain_name(n), layers) == index and decays(plain_name(n)) == decay
            ]
            if of_group:
                groups.append({"params": of_group, "weight_decay": training.weight_decay if decay else 0.0, "index": index})
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=training.betas, eps=training.epsilon, foreach=False)
    trainable = [p for p in model.parameters() if p.requires_grad]
    losses, norms = [], []
    with gemm_library(variant):
        for rows, rates in zip(training.rows, training.rates):
            for group in optimizer.param_groups:
                group["lr"] = float(rates[group["index"]])
            optimizer.zero_grad(set_to_none=True)
            loss = forward(model, training.dataset.take(rows), variant, training.smoothing)[3]
            loss.backward()
            limit = training.max_grad_norm if training.max_grad_norm > 0 else float("inf")
            norms.append(float(torch.nn.utils.clip_grad_norm_(trainable, limit)))
            losses.append(float(loss.detach()))
            optimizer.step()
    final = {plain_name(n): p.detach().to(torch.float64).numpy() for n, p in model.named_parameters()}
    return {"losses": np.array(losses), "norms": np.array(norms), "weights": final}


def linear_schedule(peaks, warmup, total, steps):
    """Hugging Face's linear schedule, (steps, groups): 0 at step 0, the peak at `warmup`, 0 again at `total`."""
    factor = [s / max(1, warmup) if s < warmup else max(0.0, (total - s) / max(1, total - warmup)) for s in range(steps)]
    return np.outer(factor, peaks)


def error(reference, others):
    """The float32 error of one quantity: the largest over the variants of max |x32 - x64| and of its root mean square.

    `largest` and `typical` are the size of the reference itself (max-abs and rms): what a floor in ulps refers to.
    """
    differences = [np.abs(np.asarray(o) - reference) for o in others]
    return {
        "max": significant(max(float(d.max()) for d in differences)),
        "rms": significant(max(float(np.sqrt(np.mean(d**2))) for d in differences)),
        "largest": significant(float(np.max(np.abs(reference)))),
        "typical": significant(float(np.sqrt(np.mean(np.asarray(reference) ** 2)))),
    }


def significant(x):
    return float(f"{x:.6g}")
