"""Times training steps of PyTorch + transformers on a case of cases.mjs; one JSON line a sample, as permafrost_step.mjs.

  python torch_step.py '{"shape": …, "attention": "sdpa"}'       run.mjs calls it and adds shape and lengths
Forward, backward, clipping to norm 1, fused AdamW ("mode": "inference": the forward alone, in eval mode); frozen parameters have requires_grad=False; batches padded to their
longest text; bf16 is autocast.
"""
import json, resource, sys, time

import torch
from transformers import BertConfig, BertForSequenceClassification

spec = json.loads(sys.argv[1])
shape, rows, batch = spec["dims"], spec["rows"], spec["batch"]
torch.set_num_threads(spec.get("threads", 2))
torch.manual_seed(0)


def tokens(count, vocab, seed=1):
    state, out = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(5 + (state >> 8) % (vocab - 5))
    return out


config = BertConfig(vocab_size=shape["vocab"], hidden_size=shape["hidden"], num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"],
                    intermediate_size=shape["ffn"], hidden_dropout_prob=spec["dropout"], attention_probs_dropout_prob=spec["dropout"],
                    num_labels=spec.get("labels", 12), attn_implementation=spec["attention"])
model = BertForSequenceClassification(config).train()
if spec["frozen"] > 0:
    for p in model.bert.embeddings.parameters():
        p.requires_grad = False
    for layer in model.bert.encoder.layer[: spec["frozen"]]:
        for p in layer.parameters():
            p.requires_grad = False
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=2e-5, weight_decay=0.01, fused=True)

lengths, ids = spec["row_lengths"], tokens(sum(spec["row_lengths"]), shape["vocab"])
starts = [0]
for n in lengths:
    starts.append(starts[-1] + n)
batches = []
for first in range(0, rows - batch + 1, batch):
    chosen = range(first, first + batch)
    longest = max(lengths[r] for r in chosen)
    x = torch.zeros((batch, longest), dtype=torch.long)
    mask = torch.zeros((batch, longest), dtype=torch.long)
    for i, r in enumerate(chosen):
        x[i, : lengths[r]] = torch.tensor(ids[starts[r] : starts[r + 1]])
        mask[i, : lengths[r]] = 1
    y = torch.tensor([r % spec.get("labels", 12) for r in chosen])
    # A batch without padding needs no mask, and sdpa is faster without one.
    batches.append((x, None if bool(mask.all()) else mask, y, sum(lengths[r] for r in chosen)))


@torch.inference_mode()
def infer(x, mask, y):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=spec.get("precision") == "bf16"):
        model(input_ids=x, attention_mask=mask)


def train(x, mask, y):
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=spec.get("precision") == "bf16"):
        loss = model(input_ids=x, attention_mask=mask, labels=y).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()


step = train
if spec.get("mode") == "inference":
    model.eval()
    step = infer

def resident_mb():
    """Now; the peak so far where the system has no /proc."""
    try:
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


loaded_mb = resident_mb()
steps = spec.get("steps") or len(batches)
for i in range(min(steps, len(batches))):
    step(*batches[i % len(batches)][:3])
for _ in range(spec.get("samples", 3)):
    begin, count = time.perf_counter(), 0
    for i in range(steps):
        x, mask, y, n = batches[i % len(batches)]
        step(x, mask, y)
        count += n
    ms = (time.perf_counter() - begin) * 1e3 / steps
    print(json.dumps(dict(ms=ms, tokens=count / steps, rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, loaded_mb=loaded_mb, version=torch.__version__)), flush=True)
