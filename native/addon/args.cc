#include "args.h"

#include <cmath>
#include <limits>

#include "environment.h"

namespace permafrost::addon::args {

namespace {

std::string describe(const Napi::Value& v) {
  switch (v.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_number: {
      std::ostringstream s;
      s << v.As<Napi::Number>().DoubleValue();
      return s.str();
    }
    case napi_string: return '"' + v.As<Napi::String>().Utf8Value().substr(0, 40) + '"';
    case napi_boolean: return v.As<Napi::Boolean>() ? "true" : "false";
    case napi_function: return "a function";
    default: return v.IsTypedArray() ? "another typed array" : v.IsArray() ? "an array" : "an object";
  }
}

template <class... Parts>
[[noreturn]] void bad(Napi::Env env, const char* code, const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  reject(env, code, s.str());
}

template <class Element>
std::pair<const Element*, size_t> view(Napi::Value value, const std::string& name, napi_typedarray_type type, const char* type_name) {
  const Napi::Env env = value.Env();
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    bad(env, "ERR_ARG", name, ": expected a ", type_name, ", received ", describe(value));
  napi_typedarray_type actual;
  size_t length = 0, offset = 0;
  void* data = nullptr;
  napi_value buffer;
  if (napi_get_typedarray_info(env, value, &actual, &length, &data, &buffer, &offset) != napi_ok) throw Napi::Error::New(env);
  bool is_plain = false, detached = false;
  napi_is_arraybuffer(env, buffer, &is_plain);
  if (!is_plain) bad(env, "ERR_ARG", name, ": expected a typed array over an ArrayBuffer, received one over shared memory");
  napi_is_detached_arraybuffer(env, buffer, &detached);
  if (detached) bad(env, "ERR_ARG", name, ": expected a live ArrayBuffer, received a detached one");
  return {static_cast<const Element*>(data), length};
}

}  // namespace

void reject(Napi::Env env, const char* code, const std::string& message) { throw make_error(env, Error(code, message)); }

Napi::Object object(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsObject() || info[index].IsFunction()) bad(info.Env(), "ERR_ARG", name, ": expected an object, received ", describe(info[index]));
  return info[index].As<Napi::Object>();
}

Napi::Value field(const Napi::Object& from, const char* key) { return from.Get(key); }

double number(const Napi::Object& from, const char* key, double low, double high) {
  const Napi::Value v = field(from, key);
  const double x = v.IsNumber() ? v.As<Napi::Number>().DoubleValue() : std::numeric_limits<double>::quiet_NaN();
  if (!(x >= low && x <= high)) bad(from.Env(), "ERR_RANGE", key, ": expected a number in [", low, ", ", high, "], received ", describe(v));
  return x;
}

int64_t integer(const Napi::Object& from, const char* key, int64_t low, int64_t high) {
  const double x = number(from, key, double(low), double(high));
  if (x != std::floor(x)) bad(from.Env(), "ERR_RANGE", key, ": expected an integer, received ", x);
  return int64_t(x);
}

int integer(const Napi::CallbackInfo& info, size_t index, const char* name) {
  const double x = info[index].IsNumber() ? info[index].As<Napi::Number>().DoubleValue() : -1;
  if (!(x >= 0 && x <= 1e9) || x != std::floor(x)) bad(info.Env(), "ERR_ARG", name, ": expected an index, received ", describe(info[index]));
  return int(x);
}

bool boolean(const Napi::Object& from, const char* key) {
  const Napi::Value v = field(from, key);
  if (!v.IsBoolean()) bad(from.Env(), "ERR_ARG", key, ": expected a boolean, received ", describe(v));
  return v.As<Napi::Boolean>();
}

std::string string(const Napi::Object& from, const char* key) {
  const Napi::Value v = field(from, key);
  if (!v.IsString()) bad(from.Env(), "ERR_ARG", key, ": expected a string, received ", describe(v));
  return v.As<Napi::String>();
}

std::vector<int32_t> ints(Napi::Value value, const std::string& name) {
  const auto [data, n] = view<int32_t>(value, name, napi_int32_array, "Int32Array");
  return {data, data + n};
}

std::vector<double> doubles(Napi::Value value, const std::string& name) {
  const auto [data, n] = view<double>(value, name, napi_float64_array, "Float64Array");
  return {data, data + n};
}

std::vector<uint8_t> bytes(Napi::Value value, const std::string& name) {
  const auto [data, n] = view<uint8_t>(value, name, napi_uint8_array, "Uint8Array");
  return {data, data + n};
}

const float* floats(Napi::Value value, const std::string& name, size_t expected) {
  const auto [data, n] = view<float>(value, name, napi_float32_array, "Float32Array");
  if (n != expected) bad(value.Env(), "ERR_SHAPE", name, ": expected ", expected, " floats, received ", n);
  return data;
}

ModelConfig model_config(const Napi::Object& s) {
  ModelConfig c;
  constexpr int64_t kMany = 1 << 24;
  c.vocab = int(integer(s, "vocabSize", 1, kMany));
  c.hidden = int(integer(s, "hiddenSize", 8, 1 << 16));
  c.layers = int(integer(s, "numLayers", 1, 1024));
  c.heads = int(integer(s, "numHeads", 1, 1024));
  c.ffn = int(integer(s, "intermediateSize", 1, 1 << 18));
  c.positions = int(integer(s, "maxPositions", 1, 1 << 16));
  c.types = int(integer(s, "typeVocabSize", 1, 1 << 16));
  c.labels = int(integer(s, "numLabels", 1, 1 << 20));
  c.pad_token = int(integer(s, "padTokenId", -1, kMany));
  c.layer_norm_eps = float(number(s, "layerNormEps", 0, 1));
  c.hidden_dropout = float(number(s, "hiddenDropout", 0, 0.999));
  c.attention_dropout = float(number(s, "attentionDropout", 0, 0.999));
  c.classifier_dropout = float(number(s, "classifierDropout", 0, 0.999));
  const std::string pooling = string(s, "pooling");
  if (pooling != "cls" && pooling != "mean") bad(s.Env(), "ERR_RANGE", "pooling: expected \"cls\" or \"mean\", received \"", pooling, "\"");
  c.pooling = pooling == "mean" ? Pooling::mean : Pooling::cls;
  if (c.hidden % c.heads != 0 || c.hidden / c.heads % 8 != 0)
    bad(s.Env(), "ERR_SHAPE", "hiddenSize: expected numHeads times a multiple of 8, received ", c.hidden, " for ", c.heads, " heads");
  return c;
}

CacheBudget cache_budget(const Napi::Object& s) {
  constexpr int64_t kMany = (int64_t(1) << 53) - 1;
  CacheBudget budget;
  budget.memory_bytes = size_t(integer(s, "cacheBytes", 0, kMany));
  if (field(s, "cacheFileBytes").IsUndefined()) return budget;
  budget.file_bytes = size_t(integer(s, "cacheFileBytes", 0, kMany));
  budget.directory = string(s, "cacheDirectory");
  return budget;
}

LaneConfig lane_config(const Napi::Object& s, const Layout& layout) {
  LaneConfig l;
  const Napi::Value trainable = field(s, "trainable");
  if (!trainable.IsArray()) bad(s.Env(), "ERR_ARG", "trainable: expected an array of booleans, received ", describe(trainable));
  const Napi::Array list = trainable.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Value v = list.Get(i);
    if (!v.IsBoolean()) bad(s.Env(), "ERR_ARG", "trainable[", i, "]: expected a boolean, received ", describe(v));
    l.trainable.push_back(v.As<Napi::Boolean>());
  }
  l.seed = uint64_t(integer(s, "seed", 0, (int64_t(1) << 53) - 1));
  l.beta1 = number(s, "beta1", 0, 0.9999999);
  l.beta2 = number(s, "beta2", 0, 0.9999999999);
  l.epsilon = number(s, "epsilon", 1e-30, 1);  // as a float, too: a gradient may be exactly zero, and 0 / (0 + 0) is none
  l.weight_decay = number(s, "weightDecay", 0, 1e6);
  l.max_grad_norm = number(s, "maxGradNorm", 0, std::numeric_limits<double>::max());
  l.label_smoothing = float(number(s, "labelSmoothing", 0, 1));
  l.dropout = boolean(s, "dropout");
  const Napi::Value initial = field(s, "initial");
  if (initial.IsUndefined()) return l;
  if (!initial.IsObject()) bad(s.Env(), "ERR_ARG", "initial: expected an object of Float32Array, received ", describe(initial));
  const Napi::Object tensors = initial.As<Napi::Object>();
  const Napi::Array names = tensors.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = Napi::Value(names.Get(i)).ToString();
    const int t = layout.find(name);
    if (t < 0) bad(s.Env(), "ERR_RANGE", "initial: expected tensors of the model, received \"", name, "\"");
    const size_t n = layout.tensors[size_t(t)].size();
    const float* values = floats(tensors.Get(name), "initial." + name, n);
    l.initial.emplace_back(t, std::vector<float>(values, values + n));
  }
  return l;
}

StepChunk step_chunk(const Napi::Object& s) {
  StepChunk c;
  c.dataset = int(integer(s, "dataset", 0, 1 << 30));
  for (int32_t lane : ints(field(s, "lanes"), "lanes")) c.lanes.push_back(lane);
  auto lists = [&](const char* key) {
    const Napi::Value v = field(s, key);
    if (!v.IsArray()) bad(s.Env(), "ERR_ARG", key, ": expected an array of Int32Array, received ", describe(v));
    const Napi::Array array = v.As<Napi::Array>();
    std::vector<std::vector<int32_t>> out;
    for (uint32_t i = 0; i < array.Length(); ++i) out.push_back(ints(array.Get(i), std::string(key) + "[" + std::to_string(i) + "]"));
    return out;
  };
  c.rows = lists("rows");
  c.offsets = lists("offsets");
  c.rates = doubles(field(s, "learningRates"), "learningRates");
  if (c.offsets.empty() || c.offsets[0].size() < 2) bad(s.Env(), "ERR_SHAPE", "offsets: expected one list of at least 2 entries per list of rows");
  return c;
}

}  // namespace permafrost::addon::args
