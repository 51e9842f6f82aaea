"""Makes the golden fixtures of this folder from Hugging Face transformers in float64. See README.md for what they hold.

  pip install torch transformers safetensors numpy
  python tests/golden/generate.py tiny
  python tests/golden/generate.py minilm --model packages/demo/model --questions banking77/train.jsonl

Deterministic: the same machine and versions write the same bytes. The float64 values do not depend on the machine beyond
their last digits; the float32 errors do, a little (they are measured: the versions are in the JSON).
"""
import argparse
import json
import platform
import zlib
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
import transformers

from oracle import (
    REFERENCE, VARIANTS, Batch, Training, error, evaluate, group_of, is_key_bias, linear_schedule, train,
)

HERE = Path(__file__).parent
F32, F64 = torch.float32, torch.float64

TINY = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 40, "type_vocab_size": 2, "num_labels": 5, "pad_token_id": 0, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": None,
}  # fmt: skip


def tensor_shapes(config, pooling):
    c, f = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], c),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], c),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], c),
        "embeddings.LayerNorm.weight": (c,),
        "embeddings.LayerNorm.bias": (c,),
    }
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        for name, rows, cols in [
            ("attention.self.query", c, c), ("attention.self.key", c, c), ("attention.self.value", c, c),
            ("attention.output.dense", c, c), ("intermediate.dense", f, c), ("output.dense", c, f),
        ]:  # fmt: skip
            shapes[p + name + ".weight"] = (rows, cols)
            shapes[p + name + ".bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[p + name + ".weight"] = (c,)
            shapes[p + name + ".bias"] = (c,)
    if pooling == "cls":
        shapes["pooler.dense.weight"] = (c, c)
        shapes["pooler.dense.bias"] = (c,)
    shapes["classifier.weight"] = (config["num_labels"], c)
    shapes["classifier.bias"] = (config["num_labels"],)
    return shapes


def tiny_weights(rng):
    """Random weights of a size that makes nothing degenerate: attention is neither flat nor one-hot, GELU and LayerNorm are
    used on both sides of 0, biases matter. (BERT's own N(0, 0.02) would leave a width of 32 almost linear.)"""
    weights = {}
    for name, shape in tensor_shapes(TINY, "cls").items():
        noise = rng.standard_normal(shape)
        if "LayerNorm.weight" in name:
            value = 1 + 0.2 * noise
        elif name.endswith(".bias"):
            value = 0.1 * noise
        elif name.startswith("embeddings."):
            value = 0.5 * noise
        else:
            value = 1.3 * noise / np.sqrt(shape[1])
        weights[name] = value.astype(np.float32)
    return weights


def without_pooler(weights):
    return {n: w for n, w in weights.items() if not n.startswith("pooler.")}


def gradient_errors(reference, others):
    """Errors per tensor. The exact gradient of a key bias is zero (softmax is shift-invariant): its sizes are those of the
    same layer's key weight, so that it is compared absolutely, on the scale of its neighbours."""
    errors = {n: error(g, [o["gradients"][n] for o in others]) for n, g in reference["gradients"].items()}
    for name in filter(is_key_bias, errors):
        weight = errors[name.removesuffix("bias") + "weight"]
        errors[name].update(largest=weight["largest"], typical=weight["typical"])
    return errors


def check_reference(a, b, what):
    """Two float64 evaluations must agree far below float32's rounding, or the reference is not one."""
    assert np.max(np.abs(a - b)) <= 1e-12 * max(1.0, float(np.max(np.abs(a)))), what


def scalar_errors(reference, others):
    """Losses come from differences of logits: their floor in ulps is on the scale of the larger of the two."""
    errors = {k: error(reference[k], [o[k] for o in others]) for k in ("logits", "row_loss", "loss", "hidden")}
    for k in ("row_loss", "loss"):
        size = max(errors["logits"]["largest"], errors[k]["largest"])
        errors[k].update(largest=size, typical=size)
    return errors


def step_errors(reference, others):
    """Per step: the largest error of plain float32 up to and including that step."""
    worst = np.max([np.abs(o - reference) for o in others], axis=0)
    return [float(f"{x:.6g}") for x in np.maximum.accumulate(worst)]


def training_results(config, weights, training):
    """Float64 results, and plain float32's errors in losses, norms and final weights of the trainable tensors."""
    reference = train(config, weights, training, REFERENCE, F64)
    others = [train(config, weights, training, v, F32) for v in VARIANTS]
    layers = config["num_hidden_layers"]
    changed = [n for n in reference["weights"] if training.trainable[group_of(n, layers)]]
    for name, w in reference["weights"].items():
        assert name in changed or np.array_equal(w, weights[name].astype(np.float64)), f"{name} is frozen but changed"
    meta = {
        "rows": [list(map(int, r)) for r in training.rows],
        "rates": training.rates.tolist(),
        "trainable": training.trainable,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "label_smoothing": training.smoothing,
        "beta1": training.betas[0], "beta2": training.betas[1], "epsilon": training.epsilon,
        "losses": reference["losses"].tolist(),
        "loss_errors": step_errors(reference["losses"], [o["losses"] for o in others]),
        "norms": reference["norms"].tolist(),
        "norm_errors": step_errors(reference["norms"], [o["norms"] for o in others]),
    }  # fmt: skip
    return reference, others, changed, meta


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__, "python": platform.python_version()}


def write(stem, tensors, meta):
    safetensors.numpy.save_file({n: np.ascontiguousarray(t) for n, t in sorted(tensors.items())}, HERE / f"{stem}.safetensors")
    (HERE / f"{stem}.json").write_text(json.dumps(meta, indent=1) + "\n")
    (HERE / f"{stem}.safetensors").chmod(0o644)
    for suffix in ("safetensors", "json"):
        print(f"{stem}.{suffix}: {(HERE / f'{stem}.{suffix}').stat().st_size:,} bytes")


# ---- the tiny model -----------------------------------------------------------------------------------------------------


def tiny_batches(rng):
    """Batches by name. Token 2 begins a sequence, 3 ends it; 0 is padding, as in BERT's habit."""

    def text(length, kinds=1, pads=()):
        ids = rng.integers(5, TINY["vocab_size"], length)
        ids[0] = 2
        if length > 1:
            ids[-1] = 3
        for at in pads:
            ids[at] = TINY["pad_token_id"]
        types = np.zeros(length, np.int64)
        if kinds == 2:
            types[length // 2 :] = 1
        return ids, types

    labels = lambda count: rng.integers(0, TINY["num_labels"], count)
    batches = {
        "mixed": Batch.of([text(n) for n in (12, 3, 40, 7, 1, 25, 18, 2)], labels(8)),
        "equal": Batch.of([text(16) for _ in range(4)], labels(4)),
        "pairs": Batch.of([text(n, kinds=2) for n in (14, 9, 31, 5, 22)], labels(5)),
        "pad-inside": Batch.of([text(11, pads=(3, 4)), text(17), text(6, pads=(5,)), text(9)], labels(4)),
        "one": Batch.of([text(13)], labels(1)),
        "training": Batch.of([text(int(n), kinds=1 + int(n) % 2) for n in rng.integers(3, 21, 24)], labels(24)),
    }
    return batches


EVERYTHING = [True, True, True, True, True]
# (name, batch, trainable per group, pooling, smoothing, whose gradients the fixture shares or None)
TINY_CASES = [
    ("all trainable, mixed lengths", "mixed", EVERYTHING, "cls", 0.0, None),
    ("embeddings frozen", "mixed", [False, True, True, True, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("layers 0..0 and embeddings frozen", "mixed", [False, False, True, True, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("layers 0..1 and embeddings frozen", "mixed", [False, False, False, True, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("only the head trained", "mixed", [False, False, False, False, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("layer 1 frozen", "mixed", [True, True, False, True, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("layer 2 frozen", "mixed", [True, True, True, False, True], "cls", 0.0, "all trainable, mixed lengths"),
    ("head frozen", "mixed", [True, True, True, True, False], "cls", 0.0, "all trainable, mixed lengths"),
    ("only layer 1 trained", "mixed", [False, False, True, False, False], "cls", 0.0, "all trainable, mixed lengths"),
    ("only embeddings trained", "mixed", [True, False, False, False, False], "cls", 0.0, "all trainable, mixed lengths"),
    ("equal lengths", "equal", EVERYTHING, "cls", 0.0, None),
    ("text pairs", "pairs", EVERYTHING, "cls", 0.0, None),
    ("pad token inside a text", "pad-inside", EVERYTHING, "cls", 0.0, None),
    ("one sequence", "one", EVERYTHING, "cls", 0.0, None),
    ("mean pooling", "mixed", EVERYTHING, "mean", 0.0, None),
    ("mean pooling, layer 2 frozen", "mixed", [True, True, True, False, True], "mean", 0.0, "mean pooling"),
    ("mean pooling, only the head trained", "mixed", [False, False, False, False, True], "mean", 0.0, "mean pooling"),
    ("label smoothing 0.1", "pairs", EVERYTHING, "cls", 0.1, None),
]  # fmt: skip


def tiny_cases(weights, batches, tensors):
    cases = []
    for name, batch_name, trainable, pooling, smoothing, shared in TINY_CASES:
        w = weights if pooling == "cls" else without_pooler(weights)
        run = lambda v, dtype: evaluate(TINY, w, batches[batch_name], v, dtype, pooling, smoothing, trainable)
        reference = run(REFERENCE, F64)
        check = run(VARIANTS[3], F64)
        for key in ("logits", "row_loss", "loss", "hidden"):
            check_reference(reference[key], check[key], f"{name}: {key}")
        for tensor, gradient in reference["gradients"].items():
            check_reference(gradient, check["gradients"][tensor], f"{name}: {tensor}")
        others = [run(v, F32) for v in VARIANTS]
        key = shared or name
        if shared is None:
            tensors[f"{name}/logits"] = reference["logits"]
            tensors[f"{name}/row_loss"] = reference["row_loss"]
            tensors[f"{name}/hidden"] = reference["hidden"]
            for tensor, gradient in reference["gradients"].items():
                tensors[f"{name}/gradient/{tensor}"] = gradient
        else:  # freezing takes gradients away and changes none of the others: they are stored once
            for tensor, gradient in reference["gradients"].items():
                check_reference(gradient, tensors[f"{shared}/gradient/{tensor}"], f"{name}: {tensor}")
        cases.append({
            "name": name, "batch": batch_name, "trainable": trainable, "pooling": pooling, "label_smoothing": smoothing,
            "tensors": key, "loss": float(reference["loss"]), "errors": scalar_errors(reference, others),
            "gradient_errors": gradient_errors(reference, others),
        })  # fmt: skip
    return cases


def tiny(seed=20):
    rng = np.random.default_rng(seed)
    weights = tiny_weights(rng)
    batches = tiny_batches(rng)
    tensors = {f"weights/{n}": w for n, w in weights.items()}
    cases = tiny_cases(weights, batches, tensors)

    data = batches["training"]
    steps = [[(7 * s + 5 * i) % 24 for i in range(6)] for s in range(10)]
    runs = {
        # Layer 0 lies above trained embeddings, layer 2 above a trained layer: both must pass gradients on.
        "layers 0 and 2 frozen": Training(
            data, steps, linear_schedule([5e-4, 0, 1e-3, 0, 5e-3], warmup=3, total=12, steps=10),
            [True, False, True, False, True], weight_decay=0.01, max_grad_norm=1.0, smoothing=0.0,
        ),
        # A frozen prefix (what the cache serves); no clipping, label smoothing, stronger decay.
        "embeddings, layers 0 and 1 frozen": Training(
            data, steps, linear_schedule([0, 0, 0, 2e-3, 1e-2], warmup=0, total=10, steps=10),
            [False, False, False, True, True], weight_decay=0.1, max_grad_norm=0.0, smoothing=0.1,
        ),
    }  # fmt: skip
    trainings = []
    for name, training in runs.items():
        reference, others, changed, meta = training_results(TINY, weights, training)
        for tensor in changed:
            tensors[f"{name}/weights/{tensor}"] = reference["weights"][tensor]
        errors = {n: error(reference["weights"][n], [o["weights"][n] for o in others]) for n in changed}
        trainings.append({"name": name, "batch": "training", **meta, "weight_errors": errors})
    meta = {
        "config": TINY, "seed": seed, "versions": versions(), "batches": {n: b.json() for n, b in batches.items()},
        "cases": cases, "trainings": trainings,
    }  # fmt: skip
    write("tiny", tensors, meta)


# ---- the real model -----------------------------------------------------------------------------------------------------

LABELS = 12
SAMPLES = 64


def read_model(folder):
    stored = safetensors.numpy.load_file(Path(folder) / "model.safetensors")
    return {n.removeprefix("bert."): t.astype(np.float32) for n, t in stored.items()}


def questions(file, tokenizer_folder):
    """The first two questions of each of the first twelve intents (by first appearance), as a packed batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
    found = {}
    for line in Path(file).read_text().splitlines():
        row = json.loads(line)
        if row["label"] in found or len(found) < LABELS:
            found.setdefault(row["label"], []).append(row["text"])
    texts = [(t, i) for i, intent in enumerate(sorted(found)) for t in found[intent][:2]]
    rows = [(np.array(tokenizer(t)["input_ids"]), None) for t, _ in texts]
    rows = [(ids, np.zeros_like(ids)) for ids, _ in rows]
    return Batch.of(rows, np.array([label for _, label in texts])), [t for t, _ in texts], sorted(found)


def sample(name, shape, batch):
    """64 fixed positions of a tensor, flat and sorted; of embedding tables, three quarters lie in rows the batches read."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    size = int(np.prod(shape))
    if size <= SAMPLES:
        return np.arange(size, dtype=np.int32)
    used = {
        "embeddings.word_embeddings.weight": np.unique(batch.ids),
        "embeddings.position_embeddings.weight": np.arange(int(np.max(np.diff(batch.offsets)))),
        "embeddings.token_type_embeddings.weight": np.array([0]),
    }.get(name)
    if used is None:
        return np.sort(rng.choice(size, SAMPLES, replace=False)).astype(np.int32)
    chosen = {int(rng.choice(used)) * shape[1] + int(rng.integers(shape[1])) for _ in range(3 * SAMPLES // 4)}
    while len(chosen) < SAMPLES:
        chosen.add(int(rng.integers(size)))
    return np.sort(np.array(list(chosen))).astype(np.int32)


def norm(x):
    return float(np.sqrt(np.sum(x**2)))


def sampled(reference, others, positions, tensors, prefix):
    """Stores the samples; → per tensor errors at the samples (sizes are of the whole tensor), its norm and number of values,
    and the root mean square error over all of it: norms may differ by as much as the norm of the error, no more."""
    out = {}
    for name, value in reference.items():
        at = positions[name]
        tensors[f"{prefix}/{name}"] = value.reshape(-1)[at]
        whole = error(value, [o[name] for o in others])
        errors = error(value.reshape(-1)[at], [o[name].reshape(-1)[at] for o in others])
        out[name] = {
            "max": errors["max"], "rms": errors["rms"], "largest": whole["largest"], "typical": whole["typical"],
            "norm": norm(value), "count": value.size, "whole_rms": whole["rms"],
        }  # fmt: skip
    for name in filter(is_key_bias, out):
        weight = out.get(name.removesuffix("bias") + "weight")
        out[name].update(largest=weight["largest"], typical=weight["typical"])
    return out


def minilm(model_folder, questions_file, seed=6):
    config = json.loads((Path(model_folder) / "config.json").read_text())
    config = {k: v for k, v in config.items() if k in TINY or k == "layer_norm_eps"}
    config.update(num_labels=LABELS, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    weights = read_model(model_folder)
    rng = np.random.default_rng(seed)
    weights["classifier.weight"] = (0.02 * rng.standard_normal((LABELS, config["hidden_size"]))).astype(np.float32)
    weights["classifier.bias"] = np.zeros(LABELS, np.float32)
    data, texts, intents = questions(questions_file, model_folder)

    # Every third question: 8 rows of different intents and lengths.
    batch_rows = list(range(0, 24, 3))
    batch = data.take(batch_rows)
    reference = evaluate(config, weights, batch, REFERENCE, F64)
    check = evaluate(config, weights, batch, VARIANTS[3], F64)
    for tensor, gradient in reference["gradients"].items():
        check_reference(gradient, check["gradients"][tensor], tensor)
    others = [evaluate(config, weights, batch, v, F32) for v in VARIANTS]
    positions = {n: sample(n, g.shape, data) for n, g in reference["gradients"].items()}
    tensors = {f"positions/{n}": p for n, p in positions.items()}
    for name in ("classifier.weight", "classifier.bias"):
        tensors[f"weights/{name}"] = weights[name]
    tensors["logits"], tensors["row_loss"] = reference["logits"], reference["row_loss"]
    first = data.take(batch_rows).offsets[:-1]
    tensors["hidden"] = reference["hidden"][first[:2]]  # first tokens of the first two rows
    errors = scalar_errors(reference, others)
    errors["hidden"] = error(tensors["hidden"], [o["hidden"][first[:2]] for o in others])
    gradients = sampled(reference["gradients"], [o["gradients"] for o in others], positions, tensors, "gradient")

    training = Training(
        data, [[(5 * s + 3 * i) % 24 for i in range(8)] for s in range(10)],
        linear_schedule([2e-5, 2e-5, 0, 5e-5, 5e-5, 0, 1e-4, 1e-3], warmup=2, total=12, steps=10),
        [True, True, False, True, True, False, True, True], weight_decay=0.01, max_grad_norm=1.0, smoothing=0.0,
    )  # fmt: skip
    trained, trained_others, changed, meta = training_results(config, weights, training)
    moved = sampled(
        {n: trained["weights"][n] for n in changed}, [o["weights"] for o in trained_others], positions, tensors, "weight",
    )  # fmt: skip
    write("minilm", tensors, {
        "config": config, "seed": seed, "versions": versions(),
        "source": "questions from banking77 (Casanueva et al. 2020, PolyAI), CC BY 4.0; model: see packages/demo/model",
        "texts": texts, "intents": intents, "data": data.json(), "batch": batch_rows, "loss": float(reference["loss"]),
        "errors": errors, "gradients": gradients, "training": {**meta, "weights": moved},
    })  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tiny", "minilm"])
    parser.add_argument("--model", help="the minilm-l6 folder")
    parser.add_argument("--questions", help="JSONL with text and label")
    args = parser.parse_args()
    if args.what == "tiny":
        tiny()
    else:
        minilm(args.model, args.questions)
