import type { SearchEvent, SearchPhase } from "../events.js";

/** Says which phase of a search begins, and how long each took. */
export class PhaseClock {
  readonly #seconds: Record<string, number> = {};
  #name: string | null = null;
  #begin = 0;

  constructor(private readonly emit: (event: SearchEvent) => void) {}

  /** @param total units of work in it; 0 when not counted. */
  enter(phase: SearchPhase, total: number): void {
    this.end();
    [this.#name, this.#begin] = [phase, performance.now()];
    this.emit({ type: "phase", phase, total });
  }

  /** @returns seconds by phase. */
  end(): Record<string, number> {
    const name = this.#name;
    if (name) this.#seconds[name] = (this.#seconds[name] ?? 0) + (performance.now() - this.#begin) / 1e3;
    this.#name = null;
    return this.#seconds;
  }
}
