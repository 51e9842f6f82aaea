import type { Pruner } from "../pruner.js";

/** Never prunes. Optuna's NopPruner; it exists so that nobody has to test for a missing pruner. */
export class NonePruner implements Pruner {
  readonly name = "none";

  prune(): boolean {
    return false;
  }
}
