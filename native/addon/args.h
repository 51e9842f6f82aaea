// args.h — JavaScript arguments into plain C++, copied in, each failure naming the field. Trusts nobody.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "../core/session.h"

namespace permafrost::addon::args {

// Throws a JavaScript error with `code`.
[[noreturn]] void reject(Napi::Env env, const char* code, const std::string& message);

Napi::Object object(const Napi::CallbackInfo& info, size_t index, const char* name);
Napi::Value field(const Napi::Object& from, const char* key);
double number(const Napi::Object& from, const char* key, double low, double high);
int64_t integer(const Napi::Object& from, const char* key, int64_t low, int64_t high);
int integer(const Napi::CallbackInfo& info, size_t index, const char* name);
bool boolean(const Napi::Object& from, const char* key);
std::string string(const Napi::Object& from, const char* key);

// Contents of a typed array of exactly this element type; detached and shared buffers are refused.
std::vector<int32_t> ints(Napi::Value value, const std::string& name);
std::vector<double> doubles(Napi::Value value, const std::string& name);
std::vector<uint8_t> bytes(Napi::Value value, const std::string& name);
const float* floats(Napi::Value value, const std::string& name, size_t expected);  // valid until the call returns

ModelConfig model_config(const Napi::Object& spec);
CacheBudget cache_budget(const Napi::Object& spec);
LaneConfig lane_config(const Napi::Object& spec, const Layout& layout);
StepChunk step_chunk(const Napi::Object& spec);

}  // namespace permafrost::addon::args
