/** Numbers as words, the same in verdicts, tables and plots. A minus is U+2212; null and NaN print as an en dash. */

export const NONE = "–";

/** Fixed decimals with a real minus: −0.40. */
export function fixed(value: number | null, digits: number): string {
  if (value === null || !Number.isFinite(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  // "−0.0" says nothing that "0.0" does not.
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** Signed: +0.4, −0.4, 0.0. */
export function signed(value: number | null, digits: number): string {
  const text = fixed(value, digits);
  return value !== null && Number(text) > 0 ? `+${text}` : text;
}

/** Accuracy as a percentage without the sign: 0.9674 → 96.7. */
export function percent(value: number | null, digits = 1): string {
  return fixed(value === null ? null : value * 100, digits);
}

/** Difference of accuracies in points: 0.004 → +0.4. */
export function points(value: number | null, digits = 1): string {
  return signed(value === null ? null : value * 100, digits);
}

/** p and q: <.001, .034, 1. */
export function probability(p: number | null): string {
  if (p === null || !Number.isFinite(p)) return NONE;
  if (p < 0.001) return "<.001";
  return p >= 0.9995 ? "1" : p.toFixed(3).slice(1);
}

/** A correlation: −.41, .08, 1.00. */
export function correlation(r: number | null): string {
  const text = fixed(r, 2);
  return text.replace(/^(−?)0\./, "$1.");
}

/** A learning rate: 0 → "frozen", 2e-5, 1.3e-3. */
export function rate(value: number): string {
  if (value === 0) return "frozen";
  const [mantissa = "", exponent = ""] = value.toExponential(1).split("e");
  return `${mantissa.replace(/\.0$/, "")}e${Number(exponent)}`;
}

/** Large counts: 22.7 M, 1.30 T. */
export function large(value: number): string {
  for (const [unit, name] of [
    [1e15, "P"],
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (Math.abs(value) >= unit) {
      const scaled = value / unit;
      return `${scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${name}`;
    }
  }
  return fixed(value, Number.isInteger(value) ? 0 : 2);
}

/** Seconds: 0.84 s, 24 s, 3 min 20 s, 2 h 5 min. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** "embeddings, layer.0–3, head": runs of consecutive layers drawn together. */
export function groupList(groups: readonly string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < groups.length; ) {
    const [stem, first] = numbered(groups[i]!);
    let j = i + 1;
    if (first !== null) {
      while (j < groups.length) {
        const [otherStem, other] = numbered(groups[j]!);
        if (otherStem !== stem || other !== first + (j - i)) break;
        j += 1;
      }
    }
    parts.push(j - i > 1 ? `${groups[i]}–${first! + (j - i) - 1}` : groups[i]!);
    i = j;
  }
  return parts.join(", ");
}

function numbered(group: string): readonly [string, number | null] {
  const match = /^(.*\.)(\d+)$/.exec(group);
  return match ? [match[1]!, Number(match[2])] : [group, null];
}
