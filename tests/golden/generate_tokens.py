"""Makes tests/golden/tokens.json: what Hugging Face's tokenizer gives for the texts of this script, and hashes of what it
gives for whole datasets and for every code point.

  pip install transformers tokenizers
  python tests/golden/generate_tokens.py golden --model packages/demo/model --data DIR    (DIR/<set>/{train,dev,test}.jsonl)
  python tests/golden/generate_tokens.py tables                             the sets of src/data/unicode-tables.ts

A row is hashed as the line "id id …|type type …\\n". --data may be left out: the hashes of datasets stay as they are.
"""
import argparse
import hashlib
import json
import random
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

HERE = Path(__file__).parent
LENGTHS = (128, 16)
SWITCHES = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")

PLAIN = [
    "", " ", "\n", "\t \r\n", "a", "Hello, World!", "How do I reset my card PIN?", "don't won't it's I'M o'clock", "...!?;:--__``''\"\"",
    "e-mail me@example.com or https://example.com/a?b=c&d=1#x", "$1,234.56 (50%) 3/4 10^-3 1e-12 #hash @user ~tilde",
    "ALL CAPS AND mIxEd CaSe", "snake_case camelCase kebab-case dot.case", "x" * 100, "x" * 101, "ab" * 300, "supercalifragilisticexpialidocious",
    "Pneumonoultramicroscopicsilicovolcanoconiosis", "café naïve résumé Ångström Zürich İstanbul ıssız", "cafe\u0301 nai\u0308ve A\u030angstro\u0308m",
    "ΟΔΥΣΣΕΥΣ Σίσυφος ΑΣ. Σ", "ПРИВЕТ мир ёлка йод", "ﬁnance ﬂow oﬃce ﬆ", "Straße STRASSE ẞ", "你好，世界。今天天气很好", "日本語のテキスト カタカナ ひらがな",
    "한국어 텍스트 각 \u1112\u1161\u11ab", "abc中文def", "\U00020000\U0002a6d0 rare \U0002b820\U0002b920 ideographs", "العربية مُحَمَّد", "עברית שָׁלוֹם", "हिन्दी नमस्ते", "ไทย สวัสดี",
    "emoji 😀👍🏽👨‍👩‍👧‍👦🇩🇪❤️ end", "zero\u200bwidth\u200djoin\ufeffbom", "soft\u00adhyphen", "non\u00a0breaking\u202fspace\u3000wide",
    "line\u2028sep\u2029para\u0085next", "tab\tsep\x0bvt\x0cff\x1ffs", "null\x00char\x01ctl\x7fdel\x9fc1", "replacement \ufffd char", "private \ue000 use \U000f0000",
    "math 𝒜𝓑𝕮 ①②③ ½ ² ∑∫≈≠", "currency €£¥₹₿", "quotes “smart” ‘single’ «guillemets» „low“", "dash – — ― ‐ ‑", "… ‥ ⁇ ‼", "bullets • ◦ ▪ ● ★",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[cls] [sep]", "a[SEP]b", "[MASK][MASK]", " [MASK] , x", "##ing ##s un##known", "[unused1] [unused99]", "\u1dff combining \u0300 alone",
    "newer marks \u1ac1 \U0001e08f \u0898 punctuation \u2e5d \U00010ead", "\U00011938 \U000105c9 \U00016121 whole", "Dž ǅ ǆ ŉ ǰ", "\u212a kelvin \u212b angstrom \u2126 ohm",
    "１２３ ｆｕｌｌ ｗｉｄｔｈ ！？", "ª º ¹ ª", "long " * 140, "w " * 200,
]  # fmt: skip

POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCXYZéèüñçøåßæœ", "0123456789", " \t\n\u00a0", ".,;:!?'\"()[]{}<>@#$%&*-_=+/\\|~^`", "一二三中国人日本語", "ひらカナ", "한글각",
    "αβγΣσς", "дйёЖ", "عربمُّ", "שלםָ", "नमते्", "😀👍🏽\u200d❤\ufe0f", "\u0301\u0308\u0323\u1ac1", "\x00\x01\x7f\u200b\ufeff\u00ad\ufffd", "\U00020000\U0002a700\U0002b820\U0002b920",
]  # fmt: skip

# Added tokens with every switch, for a copy of the model's tokenizer.json.
ADDED = [
    {"id": 30522, "content": "<l>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "special": True},
    {"id": 30523, "content": "<r>", "lstrip": False, "rstrip": True, "single_word": False, "normalized": False, "special": True},
    {"id": 30524, "content": "zork", "lstrip": False, "rstrip": False, "single_word": True, "normalized": False, "special": False},
    {"id": 30525, "content": "Café", "lstrip": False, "rstrip": False, "single_word": False, "normalized": True, "special": False},
    {"id": 30526, "content": "<l><l>", "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True},
]  # fmt: skip
ADDED_TEXTS = [
    "a <l> b", "a  <l>  b", "a <r> b", "a<r>  b", "zork zorkish a-zork unzork zork", "the zork_thing zork.", "cafe CAFÉ café decafeinated",
    "<l><l><l>", " <r> <l> ", "<r><r>  <l>", "", "<l", "ézork zork中 中zork", "Zork", "x <r>\t\n<l> y", "CAFE\u0301s",
]  # fmt: skip


def nasty():
    rng = random.Random(20)
    texts = [(text, None) for text in PLAIN]
    for _ in range(170):
        pools = rng.sample(POOLS, rng.randint(1, 5))
        texts.append(("".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(1, 40))), None))
    pairs = [("a b c d e f", "g h"), ("a", "b " * 30), ("a " * 30, "b " * 30), ("", ""), ("a", ""), ("", "b"), ("x " * 150, "y " * 150), ("x " * 62, "y " * 200)]
    pairs += [(" ".join("ab"[i % 2] for i in range(a)), "c " * b) for a in (5, 6, 7, 8, 20) for b in (5, 6, 7, 8, 20)]
    pairs += [(rng.choice(texts)[0], rng.choice(texts)[0]) for _ in range(35)]
    return texts + pairs


def encode(tokenizer, text, pair, length):
    # As a batch: for one string alone an empty text_b would count as none.
    encoding = tokenizer([text], None if pair is None else [pair], truncation=True, max_length=length)
    return encoding["input_ids"][0], encoding["token_type_ids"][0]


def line(ids, types):
    return " ".join(map(str, ids)) + "|" + " ".join(map(str, types)) + "\n"


def dataset_hashes(tokenizer, file, length):
    rows = [json.loads(row) for row in file.open(encoding="utf8")]
    pairs = [row["text_b"] for row in rows] if "text_b" in rows[0] else None
    encoding = tokenizer([row["text"] for row in rows], pairs, truncation=True, max_length=length)
    digest = hashlib.sha256()
    for ids, types in zip(encoding["input_ids"], encoding["token_type_ids"]):
        digest.update(line(ids, types).encode())
    return digest.hexdigest()


def code_points():
    return (chr(cp) for cp in range(0x110000) if not 0xD800 <= cp < 0xE000)


def unicode_hashes():
    """For each switch alone: sha256 over normalise("a" + c + "b") + "\\n"; "words": over the number of words of "a" + c + "b"."""
    hashes = {}
    for switch in SWITCHES:
        normalizer = BertNormalizer(**{name: name == switch for name in SWITCHES})
        digest = hashlib.sha256()
        for c in code_points():
            digest.update((normalizer.normalize_str("a" + c + "b") + "\n").encode())
        hashes[switch] = digest.hexdigest()
    split = BertPreTokenizer()
    digest = hashlib.sha256()
    for c in code_points():
        digest.update(str(len(split.pre_tokenize_str("a" + c + "b"))).encode())
    hashes["words"] = digest.hexdigest()
    return hashes


def variant(model, change):
    data = json.loads((model / "tokenizer.json").read_text(encoding="utf8"))
    change(data)
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def variants(model):
    """The nasty texts through other normalisers: sha256 of the ids."""
    out = []
    for lowercase in (True, False):
        for strip in (None, True, False):
            for rest in (True, False):
                switches = {"clean_text": rest, "handle_chinese_chars": rest, "strip_accents": strip, "lowercase": lowercase}
                tokenizer = variant(model, lambda data: data["normalizer"].update(switches))
                digest = hashlib.sha256()
                for text, _ in nasty():
                    ids = tokenizer.encode(text, add_special_tokens=False).ids
                    digest.update(line(ids, []).encode())
                out.append({"normalizer": switches, "sha256": digest.hexdigest()})
    return out


def golden(args):
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    file = HERE / "tokens.json"
    before = json.loads(file.read_text(encoding="utf8")) if file.exists() else {}
    datasets = before.get("datasets", {})
    if args.data:
        datasets = {}
        for split in sorted(args.data.glob("*/*.jsonl")):
            name = f"{split.parent.name}/{split.name}"
            datasets[name] = {str(n): dataset_hashes(tokenizer, split, n) for n in LENGTHS}
            print(name)
    texts = []
    for text, pair in nasty():
        row = {"text": text} if pair is None else {"text": text, "text_b": pair}
        for n in LENGTHS:
            ids, types = encode(tokenizer, text, pair, n)
            row[str(n)] = ids
            row[f"second{n}"] = sum(types)
            assert types == sorted(types)
        texts.append(row)
    left = transformers.AutoTokenizer.from_pretrained(args.model, truncation_side="left")
    added = variant(args.model, lambda data: data["added_tokens"].extend(ADDED))
    result = {
        "versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
        "datasets": datasets,
        "unicode": unicode_hashes(),
        "variants": variants(args.model),
        "added": {
            "tokens": ADDED,
            "texts": [{"text": t, "ids": added.encode(t, add_special_tokens=False).ids} for t in ADDED_TEXTS],
        },
        "left": [{"text": t, "text_b": p, "ids": encode(left, t, p, 16)[0]} for t, p in nasty() if p is not None],
        "texts": texts,
    }
    lines = ",\n".join(f" {json.dumps(key)}: {pack(value)}" for key, value in result.items())
    file.write_text("{\n" + lines + "\n}\n", encoding="utf8")
    print(f"{file.name}: {len(texts)} texts, {len(datasets)} files, {file.stat().st_size} bytes")


def pack(value):
    """One line an element."""
    if isinstance(value, list):
        return "[\n" + ",\n".join("  " + json.dumps(item, separators=(",", ":")) for item in value) + "\n ]"
    return json.dumps(value, separators=(",", ":"))


def tables(_args):
    """Prints the sets as hexadecimal ranges."""
    clean, han, strip, _ = (BertNormalizer(**{name: name == switch for name in SWITCHES}) for switch in SWITCHES)
    split = BertPreTokenizer()
    words = {c: len(split.pre_tokenize_str("a" + c + "b")) for c in code_points()}
    sets = {
        "REMOVED": lambda c: clean.normalize_str(c) == "",
        "BLANK": lambda c: clean.normalize_str(c) == " ",
        "WHITESPACE": lambda c: words[c] == 2,
        "PUNCTUATION": lambda c: words[c] == 3,
        "IDEOGRAPH": lambda c: han.normalize_str(c) != c,
        "NONSPACING": lambda c: strip.normalize_str(c) == "",
    }
    for name, contains in sets.items():
        ranges = []
        for cp in (ord(c) for c in code_points() if contains(c)):
            if ranges and ranges[-1][1] == cp - 1:
                ranges[-1][1] = cp
            else:
                ranges.append([cp, cp])
        print(name, " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["golden", "tables"])
    parser.add_argument("--model", type=Path, default=HERE / "../../packages/demo/model")
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    {"golden": golden, "tables": tables}[args.what](args)
