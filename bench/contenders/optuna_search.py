"""A whole per-layer learning-rate search as a careful Python user writes it: transformers, PyTorch, Optuna's TPE.

  python optuna_search.py '{"model": DIR, "train": F, "validation": F, "test": F, "trials": 6, "epochs": 10, "batch": 16}'
search.mjs runs it against permafrost_search.mjs. One rate per group on a log scale, each group frozen or not as TPE decides (requires_grad=False);
AdamW (fused), 10 % warm-up then linear decay, weight decay 0.01, clipping to 1, dropout as configured; batches padded to
their longest text, texts of like length together unless "random": true (what the Trainer does by default). The objective is validation accuracy after the
last epoch; the best trial's model is scored on test, once. Prints one JSON line: wall_s is from the first trial to that
score (test_s), reading and tokenising not counted.
"""
import json, math, random, statistics, sys, time

import optuna
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

spec = json.loads(sys.argv[1])
EPOCHS, BATCH, SEED = spec["epochs"], spec["batch"], spec.get("seed", 0)
BF16 = spec.get("precision") == "bf16"
torch.set_num_threads(spec.get("threads", 2))
optuna.logging.set_verbosity(optuna.logging.ERROR)

tokenizer = AutoTokenizer.from_pretrained(spec["model"])
raw = {name: [json.loads(line) for line in open(spec[name], encoding="utf8")] for name in ("train", "validation", "test")}
classes = {label: i for i, label in enumerate(sorted({str(row["label"]) for row in raw["train"]}))}


def encode(rows):
    texts = [row["text"] for row in rows]
    pairs = [row["text_b"] for row in rows] if "text_b" in rows[0] else None
    encoded = tokenizer(texts, pairs, truncation=True, max_length=128)
    types = encoded.get("token_type_ids") or [[0] * len(ids) for ids in encoded["input_ids"]]
    return [{"input_ids": encoded["input_ids"][i], "types": types[i], "labels": classes[str(row["label"])]} for i, row in enumerate(rows)]


data = {name: encode(rows) for name, rows in raw.items()}


def tensors(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    padded = lambda values, fill: torch.tensor([v + [fill] * (longest - len(v)) for v in values])
    out = dict(
        input_ids=padded([row["input_ids"] for row in rows], tokenizer.pad_token_id),
        attention_mask=padded([[1] * len(row["input_ids"]) for row in rows], 0),
        labels=torch.tensor([row["labels"] for row in rows]),
    )
    if "token_type_ids" in tokenizer.model_input_names:
        out["token_type_ids"] = padded([row["types"] for row in rows], 0)
    return out


def epoch_batches(rows, generator):
    order = generator.sample(range(len(rows)), len(rows))
    if not spec.get("random"):
        window = BATCH * 8
        order = [i for at in range(0, len(order), window) for i in sorted(order[at : at + window], key=lambda i: len(rows[i]["input_ids"]))]
    cut = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    generator.shuffle(cut)
    return [[rows[i] for i in batch] for batch in cut]


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16)


@torch.no_grad()
def accuracy(model, rows):
    model.eval()
    right = 0
    rows = sorted(rows, key=lambda row: len(row["input_ids"]))
    for at in range(0, len(rows), 64):
        batch = tensors(rows[at : at + 64])
        with autocast():
            right += int((model(**batch).logits.argmax(-1) == batch["labels"]).sum())
    return right / len(rows)


def train(rates):
    torch.manual_seed(SEED)
    generator = random.Random(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(spec["model"], num_labels=len(classes), dtype=torch.float32)
    encoder = model.base_model
    parts = {"embeddings": list(encoder.embeddings.parameters())}
    parts.update({f"layer.{i}": list(layer.parameters()) for i, layer in enumerate(encoder.encoder.layer)})
    known = {id(p) for part in parts.values() for p in part}
    parts["head"] = [p for p in model.parameters() if id(p) not in known]
    for name, part in parts.items():
        for p in part:
            p.requires_grad = rates[name] > 0
    learning = [dict(params=part, lr=rates[name]) for name, part in parts.items() if rates[name] > 0]
    optimizer = torch.optim.AdamW(learning, weight_decay=0.01, fused=True)
    total = EPOCHS * math.ceil(len(data["train"]) / BATCH)
    warm = max(1, total // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: (s + 1) / warm if s < warm else (total - s) / max(1, total - warm))
    flat = [p for group in learning for p in group["params"]]
    for _ in range(EPOCHS):
        model.train()
        for rows in epoch_batches(data["train"], generator):
            optimizer.zero_grad(set_to_none=True)
            with autocast():
                loss = model(**tensors(rows)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flat, 1.0)
            optimizer.step()
            schedule.step()
    return model


layers = AutoModelForSequenceClassification.from_pretrained(spec["model"], num_labels=2).config.num_hidden_layers
names = ["embeddings"] + [f"layer.{i}" for i in range(layers)]
seconds, best = [], None


def objective(trial):
    global best
    rates = {name: 0.0 if trial.suggest_categorical(f"freeze.{name}", [False, True]) else trial.suggest_float(f"lr.{name}", 1e-6, 1e-3, log=True) for name in names}
    rates["head"] = trial.suggest_float("lr.head", 1e-5, 1e-2, log=True)
    begin = time.perf_counter()
    model = train(rates)
    value = accuracy(model, data["validation"])
    seconds.append(time.perf_counter() - begin)
    if best is None or value > best[0]:
        best = (value, model)
    return value


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED, multivariate=True, group=True))
begin = time.perf_counter()
study.optimize(objective, n_trials=spec["trials"])
before_test = time.perf_counter()
test = accuracy(best[1], data["test"])
wall, test_s = time.perf_counter() - begin, time.perf_counter() - before_test
print(json.dumps(dict(trials=spec["trials"], wall_s=wall, test_s=test_s, trials_per_hour=3600 * spec["trials"] / wall, median_trial_s=statistics.median(seconds),
                      validation=best[0], test=test, version=f"torch {torch.__version__}, transformers {transformers.__version__}, optuna {optuna.__version__}")))
