// doctor.test.ts — the doctor's verdict on a core that computes, one that miscomputes and one that does not load.
import { afterEach, expect, test, vi } from "vitest";
import { doctor } from "../../../src/cli/doctor.js";
import { NativeError } from "../../../src/errors.js";
import * as native from "../../../src/native/call.js";

vi.mock("../../../src/native/call.js", async (original) => ({
  ...(await original<typeof native>()),
  addon: vi.fn(),
}));

/** What it prints and the exit code it leaves, for a core whose ops differ from the reference by so much. */
async function verdict(differences: Record<string, number> | Error) {
  vi.mocked(native.addon).mockImplementation(() => {
    if (differences instanceof Error) throw differences;
    return {
      version: () => ({ addon: "0", compiler: "some compiler", napi: 8 }),
      listDevices: () => [{ isas: ["avx2", "portable"], bf16: false }],
      selfTest: async () => differences,
    } as unknown as ReturnType<typeof native.addon>;
  });
  const lines: string[] = [];
  const context = { json: true, terminal: { out: (line: string) => lines.push(line) } };
  const error = await doctor(context as unknown as Parameters<typeof doctor>[0]).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { ...JSON.parse(lines.join("\n")), exitCode: process.exitCode ?? 0, error };
}

afterEach(() => {
  process.exitCode = 0;
});

test("healthy where every op is near the reference", async () => {
  const found = await verdict({ linear_forward: 1e-6, linear_forward_bf16: 5e-3 });
  expect(found).toMatchObject({ healthy: true, exitCode: 0, kernels: "avx2, portable", error: null });
  expect(found.selfTest).toEqual({ linear_forward: 1e-6, linear_forward_bf16: 5e-3 });
});

test.each([
  ["far from it", 0.5],
  ["no number", Number.NaN],
])("an op that is %s: unhealthy, and the exit code says so", async (_, difference) => {
  const found = await verdict({ linear_forward: 1e-6, attention_forward: difference });
  expect(found).toMatchObject({ healthy: false, exitCode: 1, error: null });
});

test("a core that does not load: what is known of the machine, then the error", async () => {
  const broken = new NativeError("ERR_ADDON", "cannot be loaded");
  const found = await verdict(broken);
  expect(found).toMatchObject({ healthy: false, node: process.version });
  expect(found.error).toBe(broken);
});
