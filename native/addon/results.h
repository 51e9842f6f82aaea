// results.h — plain C++ results into JavaScript values, copied into fresh buffers the caller owns. Vectors come by value: moved
// in, each is freed as soon as it is copied. Throw ERR_MEMORY when there is none for a buffer.
#pragma once

#include <napi.h>

#include "../core/peak.h"
#include "../core/session.h"

namespace permafrost::addon::results {

Napi::Float32Array floats(Napi::Env env, std::vector<float> values);
Napi::Uint8Array bytes(Napi::Env env, std::vector<uint8_t> values);
Napi::Value step_results(Napi::Env env, StepResults& results);
Napi::Value evaluate_results(Napi::Env env, EvaluateResults& results, bool hidden);
Napi::Value gradient_results(Napi::Env env, GradientResults& results);
Napi::Value model_description(Napi::Env env, const Model& model);
Napi::Value plan_description(Napi::Env env, const Model& model, Plan& plan, const BatchShape& shape);
Napi::Value peak(Napi::Env env, const Peak& peak);
Napi::Value profile(Napi::Env env, const Profile& profile);

}  // namespace permafrost::addon::results
