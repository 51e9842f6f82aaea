#include "results.h"

#include <cstring>

#include "environment.h"

namespace permafrost::addon::results {

namespace {

template <class Array, class Element>
Array array(Napi::Env env, const std::vector<Element>& values) {
  Napi::ArrayBuffer buffer = Environment::of(env).array_buffer(env, values.size() * sizeof(Element));
  if (!values.empty()) std::memcpy(buffer.Data(), values.data(), buffer.ByteLength());
  return Array::New(env, values.size(), buffer, 0);
}

Napi::Int32Array ints(Napi::Env env, std::vector<int32_t> values) { return array<Napi::Int32Array>(env, values); }

Napi::Number number(Napi::Env env, int64_t value) { return Napi::Number::New(env, double(value)); }

}  // namespace

Napi::Float32Array floats(Napi::Env env, std::vector<float> values) { return array<Napi::Float32Array>(env, values); }
Napi::Uint8Array bytes(Napi::Env env, std::vector<uint8_t> values) { return array<Napi::Uint8Array>(env, values); }

Napi::Value step_results(Napi::Env env, StepResults& r) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("status", r.cancelled ? "cancelled" : "completed");
  o.Set("completed", ints(env, std::move(r.completed)));
  o.Set("diverged", ints(env, std::move(r.diverged)));
  o.Set("loss", floats(env, std::move(r.loss)));
  o.Set("gradNorm", floats(env, std::move(r.gradient_norm)));
  o.Set("seconds", r.seconds);
  o.Set("tokens", number(env, r.tokens));
  o.Set("flops", number(env, r.flops));
  o.Set("cacheHits", number(env, r.cache_hits));
  o.Set("cacheMisses", number(env, r.cache_misses));
  o.Set("cacheBytes", number(env, r.cache_bytes));
  return o;
}

Napi::Value evaluate_results(Napi::Env env, EvaluateResults& r, bool hidden) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("status", r.cancelled ? "cancelled" : "completed");
  o.Set("logits", floats(env, std::move(r.logits)));
  o.Set("loss", floats(env, std::move(r.loss)));
  if (hidden) o.Set("hiddenStates", floats(env, std::move(r.hidden)));
  else o.Set("hiddenStates", env.Null());
  o.Set("seconds", r.seconds);
  return o;
}

Napi::Value gradient_results(Napi::Env env, GradientResults& r) {
  Napi::Object gradients = Napi::Object::New(env);
  for (size_t i = 0; i < r.names.size(); ++i) gradients.Set(r.names[i], floats(env, std::move(r.gradients[i])));
  Napi::Object o = Napi::Object::New(env);
  o.Set("loss", r.loss);
  o.Set("gradients", gradients);
  return o;
}

Napi::Value model_description(Napi::Env env, const Model& model) {
  const ModelConfig& c = model.config();
  Napi::Object o = Napi::Object::New(env);
  o.Set("isa", model.ops().name);
  o.Set("threads", model.pool().threads());
  Napi::Array groups = Napi::Array::New(env);
  for (int g = 0; g < c.groups(); ++g) groups.Set(uint32_t(g), group_name(c, g));
  o.Set("groups", groups);
  Napi::Array tensors = Napi::Array::New(env);
  for (const TensorInfo& t : model.layout().tensors) {
    Napi::Object info = Napi::Object::New(env);
    info.Set("name", t.name);
    Napi::Array shape = Napi::Array::New(env);
    shape.Set(uint32_t(0), t.rows);
    if (!t.vector) shape.Set(uint32_t(1), t.cols);
    info.Set("shape", shape);
    info.Set("group", t.group);
    info.Set("decay", t.decay);
    tensors.Set(tensors.Length(), info);
  }
  o.Set("tensors", tensors);
  o.Set("parameters", number(env, int64_t(model.layout().parameters)));
  return o;
}

Napi::Value plan_description(Napi::Env env, const Model& model, Plan& plan, const BatchShape& shape) {
  const ModelConfig& c = model.config();
  int64_t flops = 0, bytes = 0;
  Napi::Array ops = Napi::Array::New(env);
  for (const Op& op : plan.ops) {
    const int64_t f = op_flops(c, op, shape), b = op_bytes(c, plan, op, shape);
    flops += f;
    bytes += b;
    Napi::Object o = Napi::Object::New(env);
    o.Set("kind", op_name(op.kind));
    o.Set("group", group_name(c, op.group));
    o.Set("site", op.site);
    o.Set("flops", number(env, f));
    o.Set("bytes", number(env, b));
    ops.Set(ops.Length(), o);
  }
  Napi::Array updates = Napi::Array::New(env);
  for (int t : plan.updates) updates.Set(updates.Length(), model.layout().tensors[size_t(t)].name);
  Napi::Object o = Napi::Object::New(env);
  o.Set("ops", ops);
  o.Set("updates", updates);
  o.Set("trainedParameters", number(env, int64_t(plan.trained_parameters)));
  o.Set("prefixDepth", plan.prefix_depth);
  o.Set("flops", number(env, flops));
  o.Set("bytes", number(env, bytes));
  o.Set("arenaBytes", number(env, int64_t(plan.place(shape.T, shape.B) * sizeof(float))));
  return o;
}

Napi::Value peak(Napi::Env env, const Peak& peak) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("fp32", peak.f32);
  o.Set("bf16", peak.bf16);
  o.Set("stream", peak.stream);
  return o;
}

Napi::Value profile(Napi::Env env, const Profile& profile) {
  Napi::Array rows = Napi::Array::New(env);
  auto add = [&](const char* kind, const ProfileRow& r) {
    if (r.calls == 0) return;
    Napi::Object o = Napi::Object::New(env);
    o.Set("kind", kind);
    o.Set("calls", number(env, r.calls));
    o.Set("seconds", r.seconds);
    o.Set("flops", number(env, r.flops));
    o.Set("bytes", number(env, r.bytes));
    rows.Set(rows.Length(), o);
  };
  for (size_t k = 0; k < profile.ops.size(); ++k) add(op_name(OpKind(k)), profile.ops[k]);
  add("optimizer", profile.optimizer);
  return rows;
}

}  // namespace permafrost::addon::results
