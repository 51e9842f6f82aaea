/** Learning-rate schedules, as factors of the peak rate. Formulas are those of Hugging Face's `get_scheduler`. */

export type ScheduleName = "linear" | "cosine" | "constant" | "constant_with_warmup";

/**
 * Steps of warm-up: `warmup` ≥ 1 is that many, below 1 a share of `total` rounded up (Hugging Face 5.18's warmup_steps).
 */
export function warmupSteps(warmup: number, total: number): number {
  return warmup >= 1 ? Math.floor(warmup) : Math.ceil(warmup * total);
}

/**
 * Factor of the peak rate at step `step` (from 0) of `total`, in [0, 1].
 *
 * linear: step/warm during warm-up, then (total - step)/(total - warm). cosine: ½(1 + cos π·progress) after warm-up.
 * constant ignores warm-up. With warm-up the first step has rate 0, as Hugging Face's.
 */
export function scheduleFactor(name: ScheduleName, step: number, total: number, warm: number): number {
  if (name === "constant") return 1;
  if (step < warm) return step / Math.max(1, warm);
  switch (name) {
    case "constant_with_warmup":
      return 1;
    case "linear":
      return Math.max(0, (total - step) / Math.max(1, total - warm));
    case "cosine":
      return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warm)) / Math.max(1, total - warm))));
    default:
      return name satisfies never;
  }
}
