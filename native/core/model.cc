#include "model.h"

#include <cstring>

#include "error.h"

namespace permafrost {

namespace {

const kernels::KernelTable* pick(const std::string& isa) {
  const kernels::KernelTable* ops = kernels::find_kernels(isa.c_str());
  if (!ops) fail("ERR_RANGE", "isa: expected \"auto\" or kernels this machine can run, received \"", isa, "\"");
  return ops;
}

}  // namespace

Model::Model(const ModelConfig& config, int threads, const std::string& isa, CacheBudget cache)
    : config_(config),
      layout_(config),
      ops_(pick(isa)),
      pool_(std::make_unique<ThreadPool>(threads)),
      weights_(Floats::zeroed(layout_.size)),
      prefixes_(std::move(cache)) {
  weights_.use_large_pages();
}

void Model::set_tensor(int tensor, const float* values) {
  const TensorInfo& t = layout_.tensors[size_t(tensor)];
  std::memcpy(weights_.data() + t.offset, values, t.size() * sizeof(float));
}

void Model::pack(int tensor, int n, int k, kernels::Precision precision) {
  const size_t bytes = ops_->packed_bytes(n, k, precision);
  if (bytes == 0 || packed(tensor, n, precision)) return;
  Floats form = Floats::zeroed((bytes + sizeof(float) - 1) / sizeof(float));
  ops_->pack_weight(form.data(), param(tensor), n, k, precision, *pool_);
  packed_.emplace(std::tuple(tensor, n, precision), std::move(form));
}

size_t Model::packed_bytes() const {
  size_t floats = 0;
  for (const auto& [key, form] : packed_) floats += form.size();
  return floats * sizeof(float);
}

const void* Model::packed(int tensor, int n, kernels::Precision precision) const {
  if (packed_.empty()) return nullptr;
  const auto it = packed_.find({tensor, n, precision});
  return it == packed_.end() ? nullptr : it->second.data();
}

Model::Use::Use(Model& model) : model_(model) {
  if (model.trained_in_place_) fail("ERR_STATE", "model: expected weights as they were loaded, received a model that a session trained in place: load it again");
  ++model.sessions_;
}

float* Model::train_in_place() {
  if (sessions_ != 1) fail("ERR_STATE", "inPlace: expected a model without other sessions, received one with ", sessions_ - 1, ": dispose them first");
  trained_in_place_ = true;
  return weights_.data();
}

int Model::add_dataset(Dataset data) {
  check(data, config_);
  // An index is given again after a billion others: a service adds and removes one a request.
  constexpr int kIndices = 1'000'000'000;
  while (datasets_.count(next_dataset_)) next_dataset_ = (next_dataset_ + 1) % kIndices;
  const int index = next_dataset_;
  datasets_.emplace(index, std::make_unique<Dataset>(std::move(data)));
  next_dataset_ = (index + 1) % kIndices;
  return index;
}

const Dataset& Model::dataset(int index) const {
  const auto it = datasets_.find(index);
  if (it == datasets_.end()) fail("ERR_RANGE", "dataset: expected one of the ", datasets_.size(), " added and not removed, received ", index);
  return *it->second;
}

void Model::remove_dataset(int index) {
  dataset(index);
  prefixes_.forget_dataset(index);
  datasets_.erase(index);
}

}  // namespace permafrost
