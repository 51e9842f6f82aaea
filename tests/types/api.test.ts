// The public names as types. The compiler is the judge (`npm run typecheck`): at run time there is little to see.
import { expect, expectTypeOf, test } from "vitest";
import type {
  HiddenStates,
  Model,
  Prediction,
  SearchEvent,
  SearchResult,
  TrainEvent,
  TrainResult,
} from "../../src/index.js";
import * as api from "../../src/index.js";
import * as tfjs from "../../src/tfjs.js";

const files = { model: "m", train: "t", validation: "v" };

test("the public names", () => {
  expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
    [
      "ConfigError",
      "DataError",
      "Model",
      "ModelError",
      "NativeError",
      "PermafrostError",
      "Run",
      "StoreError",
      "TrainingError",
      "buildReport",
      "fineTune",
      "listDevices",
      "loadModel",
      "measurePeak",
      "parseReport",
      "renderHtml",
      "renderJson",
      "renderMarkdown",
      "renderTerminal",
      "search",
      "version",
    ]
  `);
  expect(Object.keys(tfjs).sort()).toEqual(["fromTensor", "toTensor"]);
});

test("options: three files are asked for, test too by a search; all else has a default; nothing unknown", () => {
  expectTypeOf(files).toExtend<api.TrainOptions>();
  expectTypeOf(files).not.toExtend<api.SearchOptions>();
  expectTypeOf({ ...files, test: "x" }).toExtend<api.SearchOptions>();
  expectTypeOf<api.TrainOptions["learningRatePerLayer"]>().toEqualTypeOf<
    Readonly<Record<string, number>> | undefined
  >();
  const fixed = { freeze: ["embeddings"], learningRatePerLayer: { head: 1e-3 } } as const;
  expectTypeOf({ ...files, ...fixed }).toExtend<api.TrainOptions>();
  const range = { test: "x", learningRateRange: [1e-6, 1e-3] } as const;
  expectTypeOf({ ...files, ...range }).toExtend<api.SearchOptions>();
  expectTypeOf<api.TrainOptions["lrSchedulerType"]>().toEqualTypeOf<
    "linear" | "cosine" | "constant" | "constant_with_warmup" | undefined
  >();
  expectTypeOf<api.SearchOptions["sampler"]>().toEqualTypeOf<"tpe" | "random" | undefined>();
  expectTypeOf<keyof api.TrainOptions & ("learning_rate" | "nTrials")>().toBeNever();
  // @ts-expect-error an option that is not there
  const unknown: api.TrainOptions = { ...files, learnin_rate: 1 };
  // @ts-expect-error a value that is not there
  const other: api.TrainOptions = { ...files, precision: "fp8" };
  expect([unknown, other]).toHaveLength(2);
});

test("runs: awaited for a result, iterated for events, disposed", () => {
  const train = (options: api.TrainOptions & { signal?: AbortSignal }) => api.fineTune(options);
  expectTypeOf(train).returns.toEqualTypeOf<api.Run<TrainEvent, TrainResult>>();
  expectTypeOf(api.search).returns.toEqualTypeOf<api.Run<SearchEvent, SearchResult>>();
  expectTypeOf<api.Run<TrainEvent, TrainResult>>().toExtend<
    AsyncIterable<TrainEvent> & PromiseLike<TrainResult> & AsyncDisposable
  >();
  expectTypeOf<Awaited<ReturnType<typeof api.search>>>().toEqualTypeOf<SearchResult>();
  expectTypeOf<Extract<TrainEvent, { type: "step" }>["learningRates"]>().toEqualTypeOf<
    Readonly<Record<string, number>>
  >();
  expectTypeOf<TrainResult["test"]>().toEqualTypeOf<{
    readonly accuracy: number;
    readonly loss: number;
  } | null>();
  expectTypeOf<TrainResult["cache"]>().toEqualTypeOf<{
    readonly hits: number;
    readonly misses: number;
    readonly bytes: number;
  }>();
});

test("a model: predictions and hidden states, which tfjs takes and gives", () => {
  expectTypeOf(api.loadModel).returns.resolves.toEqualTypeOf<Model>();
  expectTypeOf<Model>().toExtend<AsyncDisposable>();
  expectTypeOf<Model["predict"]>().returns.resolves.toEqualTypeOf<Prediction[]>();
  expectTypeOf<Model["hiddenStates"]>().returns.resolves.toEqualTypeOf<HiddenStates>();
  expectTypeOf<tfjs.HiddenStates>().toEqualTypeOf<HiddenStates>();
  const there = (states: HiddenStates) => tfjs.toTensor(states);
  const back = (tensors: tfjs.HiddenStateTensors) => tfjs.fromTensor(tensors);
  expectTypeOf(there).returns.toEqualTypeOf<tfjs.HiddenStateTensors>();
  expectTypeOf(back).returns.resolves.toEqualTypeOf<HiddenStates>();
});

test("errors share a code and issues", () => {
  for (const error of [api.ConfigError, api.DataError, api.ModelError, api.StoreError, api.TrainingError]) {
    expect(error.prototype).toBeInstanceOf(api.PermafrostError);
  }
  expectTypeOf<api.PermafrostError["code"]>().toBeString();
  expectTypeOf<api.PermafrostError["issues"]>().toEqualTypeOf<readonly api.Issue[]>();
});
