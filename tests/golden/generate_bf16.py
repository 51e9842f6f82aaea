"""Makes bf16.json: how far the gradients of torch's bf16 autocast are from float64, on the fixtures of generate.py.

  python tests/golden/generate_bf16.py --model packages/demo/model

The error of a group of tensors is the norm of the difference over the norm of the float64 gradient (of minilm, at the
stored positions). The tiny model's cases are pooled: where a few tokens decide, an error of bf16 is mostly luck, and one last
digit of float32 moves it by a half. Of eager and fused attention the better one counts: the bound is the harder one.
"""
import argparse
import json

import numpy as np
import safetensors.numpy
import torch

from generate import HERE, LABELS, read_model, versions
from oracle import Batch, Variant, build, forward, group_of, plain_name

VARIANTS = [Variant("eager", 0, 0, True), Variant("sdpa", 0, 0, True)]


def packed(json_batch):
    return Batch(**{k: np.asarray(v, np.int64) for k, v in json_batch.items()})


def autocast_gradients(config, weights, batch, variant, pooling="cls", smoothing=0.0):
    model = build(config, weights, torch.float32, variant.attention, pooling)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = forward(model, batch, variant, smoothing)[3]
    loss.backward()
    return {plain_name(n): p.grad.to(torch.float64).numpy() for n, p in model.named_parameters()}


def add_errors(squares, reference, gradients, layers):
    """Adds |g - g64|² and |g64|² of every tensor to its group's sums, and to those of everything."""
    for name, exact in reference.items():
        for key in (str(group_of(name, layers)), "all"):
            wrong, size = squares.get(key, (0.0, 0.0))
            squares[key] = (wrong + float(np.sum((gradients[name] - exact) ** 2)), size + float(np.sum(exact**2)))


def relative(squares):
    return {key: float(f"{np.sqrt(wrong / size):.6g}") for key, (wrong, size) in squares.items()}


def better(errors):
    return {key: min(e[key] for e in errors) for key in errors[0]}


def tiny():
    meta = json.loads((HERE / "tiny.json").read_text())
    stored = safetensors.numpy.load_file(HERE / "tiny.safetensors")
    weights = {n.removeprefix("weights/"): t for n, t in stored.items() if n.startswith("weights/")}
    errors = []
    for variant in VARIANTS:
        squares = {}
        for case in meta["cases"]:
            if case["tensors"] != case["name"]:
                continue  # what is frozen changes no gradient that is left
            reference = {n: stored[f"{case['name']}/gradient/{n}"] for n in case["gradient_errors"]}
            batch = packed(meta["batches"][case["batch"]])
            gradients = autocast_gradients(meta["config"], weights, batch, variant, case["pooling"], case["label_smoothing"])
            add_errors(squares, reference, gradients, meta["config"]["num_hidden_layers"])
        errors.append(relative(squares))
    return better(errors)


def minilm(folder):
    meta = json.loads((HERE / "minilm.json").read_text())
    stored = safetensors.numpy.load_file(HERE / "minilm.safetensors")
    weights = read_model(folder)
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = stored[f"weights/{name}"]
    assert weights["classifier.bias"].shape == (LABELS,)
    batch = packed(meta["data"]).take(meta["batch"])
    reference = {n: stored[f"gradient/{n}"] for n in meta["gradients"]}
    errors = []
    for variant in VARIANTS:
        gradients = autocast_gradients(meta["config"], weights, batch, variant)
        at = {n: gradients[n].reshape(-1)[stored[f"positions/{n}"]] for n in reference}
        squares = {}
        add_errors(squares, reference, at, meta["config"]["num_hidden_layers"])
        errors.append(relative(squares))
    return better(errors)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the minilm-l6 folder")
    args = parser.parse_args()
    result = {"versions": versions(), "tiny": tiny(), "minilm": minilm(args.model)}
    (HERE / "bf16.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
