// lane.cc — see lane.h.
#include "lane.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"
#include "model.h"

namespace permafrost {

Lane::Lane(Model& model, LaneConfig config, bool in_place) : model_(model), config_(std::move(config)) {
  const Layout& layout = model.layout();
  for (const auto& [tensor, values] : config_.initial)
    if (!trainable(tensor)) fail("ERR_RANGE", "initial: expected trainable tensors, received ", layout.tensors[size_t(tensor)].name, " of a frozen group");
  group_index_.assign(layout.groups.size(), -1);
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    if (!config_.trainable[g]) continue;
    const GroupRange& range = layout.groups[g];
    group_index_[g] = long(groups_.size());
    groups_.push_back({int(g), range.begin, size_, in_place ? range.begin : size_, range.end - range.begin});
    size_ += range.end - range.begin;
  }
  m_ = Floats::zeroed(size_);
  v_ = Floats::zeroed(size_);
  // Moments of the embeddings, the first group, are mostly never touched.
  const size_t sparse = config_.trainable[0] ? groups_[0].floats : 0;
  for (Floats* f : {&m_, &v_}) f->use_large_pages(sparse);
  if (config_.trainable[0]) {
    const auto& e = layout.embeddings;
    for (int t : {e.word, e.position, e.type}) {
      const size_t rows = size_t(layout.tensors[size_t(t)].rows);
      tables_.push_back({t, std::vector<uint32_t>(rows, 0), std::vector<uint8_t>(rows, 0)});
    }
  }
  // Last: what fails before leaves the model as it was.
  if (in_place) {
    p_ = model.train_in_place();
  } else {
    copies_ = Floats::zeroed(size_);
    copies_.use_large_pages();
    p_ = copies_.data();
    for (const Group& g : groups_) std::memcpy(p_ + g.in_moments, model.weights() + g.in_model, g.floats * sizeof(float));
  }
  for (const auto& [tensor, values] : config_.initial) std::memcpy(weights(tensor), values.data(), values.size() * sizeof(float));
  config_.initial.clear();
}

bool Lane::trainable(int tensor) const { return config_.trainable[size_t(model_.layout().tensors[size_t(tensor)].group)]; }

const Lane::Group& Lane::group_of(int tensor) const {
  return groups_[size_t(group_index_[size_t(model_.layout().tensors[size_t(tensor)].group)])];
}

float* Lane::weights(int tensor) const {
  const Group& g = group_of(tensor);
  return p_ + g.in_weights + (model_.layout().tensors[size_t(tensor)].offset - g.in_model);
}

size_t Lane::moment_offset(int tensor) const {
  const Group& g = group_of(tensor);
  return g.in_moments + (model_.layout().tensors[size_t(tensor)].offset - g.in_model);
}

const float* Lane::param(int tensor) const { return trainable(tensor) ? weights(tensor) : model_.param(tensor); }

RowTable* Lane::table(int tensor) {
  for (RowTable& t : tables_)
    if (t.tensor == tensor) return &t;
  return nullptr;
}

// ---- owed updates ----------------------------------------------------------------------------------------------------

void Lane::settle_row(RowTable& t, int row) {
  const uint32_t now = step(), done = t.done[size_t(row)];
  if (done == now) return;
  const size_t C = size_t(model_.config().hidden);
  const size_t offset = moment_offset(t.tensor) + size_t(row) * C;
  float* p = weights(t.tensor) + size_t(row) * C;
  const kernels::AdamWStep* owed = history_.data() + (int64_t(done) - history_from_);
  if (t.moving[size_t(row)]) {
    model_.ops().adamw_idle(p, m_.data() + offset, v_.data() + offset, owed, int(now - done), C);
  } else if (config_.weight_decay != 0) {
    // Moments are exactly zero: only the decay is left of an update. Same product as adamw's.
    for (uint32_t s = 0; s < now - done; ++s) {
      const float keep = float(1.0 - owed[s].lr * owed[s].weight_decay);
      for (size_t c = 0; c < C; ++c) p[c] *= keep;
    }
  }
  t.done[size_t(row)] = now;
}

void Lane::settle_rows(RowTable& t, const RowOrder& order, ThreadPool& pool) {
  pool.run(order.count(), [&](int u, int) { settle_row(t, order.rows[size_t(u)]); });
}

void Lane::settle(const Batch& batch, ThreadPool& pool) {
  if (tables_.empty() || step_ == 0) return;
  const auto& e = model_.layout().embeddings;
  settle_rows(*table(e.word), batch.word, pool);
  settle_rows(*table(e.position), batch.position, pool);
  settle_rows(*table(e.type), batch.type, pool);
  const int pad = model_.config().pad_token;  // left out of the order, but read when a text holds it
  if (pad >= 0 && pad < model_.config().vocab) settle_row(*table(e.word), pad);
}

void Lane::settle_all(ThreadPool& pool) {
  constexpr int kBlock = 256;  // rows a task
  for (RowTable& t : tables_) {
    const int rows = int(t.done.size());
    pool.run((rows + kBlock - 1) / kBlock, [&](int block, int) {
      for (int r = block * kBlock; r < std::min(rows, (block + 1) * kBlock); ++r) settle_row(t, r);
    });
  }
  history_.clear();  // nobody owes anything
  history_from_ = step_;
}

// ---- AdamW -----------------------------------------------------------------------------------------------------------

double Lane::gradient_norm(const Gradients& gradients, ThreadPool& pool) const {
  const Layout& layout = model_.layout();
  const kernels::KernelTable& ops = model_.ops();
  double sum = 0;
  for (const Group& g : groups_) {
    const GroupRange& range = layout.groups[size_t(g.group)];
    const float* dense = gradients.dense[size_t(g.group)];
    const size_t decaying = range.decay_end - range.dense;
    if (decaying > 0) sum += ops.sum_squares(dense, decaying, pool);
    sum += ops.sum_squares(dense + decaying, range.end - range.decay_end, pool);
  }
  for (const RowGradients* r : {&gradients.word, &gradients.position, &gradients.type})
    if (r->rows) sum += ops.sum_squares(r->rows, size_t(r->order->count()) * size_t(model_.config().hidden), pool);
  return std::sqrt(sum);
}

kernels::AdamWStep Lane::adamw(double rate, double weight_decay) const {
  const double t = double(step_) + 1;
  return {rate,  config_.beta1, config_.beta2, config_.epsilon, weight_decay, 1.0 - std::pow(config_.beta1, t), 1.0 - std::pow(config_.beta2, t)};
}

void Lane::update_rows(RowTable& t, const RowGradients& rows, float scale, ThreadPool& pool) {
  const size_t C = size_t(model_.config().hidden), base = moment_offset(t.tensor);
  float* p = weights(t.tensor);
  const kernels::AdamWStep& now = history_.back();
  pool.run(rows.order->count(), [&](int u, int) {
    static thread_local ThreadPool serial(1);
    const size_t row = size_t(rows.order->rows[size_t(u)]), offset = base + row * C;
    settle_row(t, int(row));
    model_.ops().adamw(p + row * C, m_.data() + offset, v_.data() + offset, rows.rows + size_t(u) * C, scale, now, C, serial);
    t.done[row] = uint32_t(step_) + 1;
    t.moving[row] = 1;
  });
}

void Lane::update(const Gradients& gradients, double norm, const double* rates, ThreadPool& pool) {
  const Layout& layout = model_.layout();
  const kernels::KernelTable& ops = model_.ops();
  const double clip = config_.max_grad_norm > 0 ? std::min(1.0, config_.max_grad_norm / (norm + 1e-6)) : 1.0;
  const float scale = float(clip);
  if (!tables_.empty()) history_.push_back(adamw(rates[0], config_.weight_decay));  // first: it is what may fail
  // The last group first: its gradient is what the norm's pass left in the caches, and the next step begins with the first one's weights.
  for (auto group = groups_.rbegin(); group != groups_.rend(); ++group) {
    const Group& g = *group;
    const GroupRange& range = layout.groups[size_t(g.group)];
    const double rate = rates[g.group];
    const float* gradient = gradients.dense[size_t(g.group)];
    auto step = [&](size_t from, size_t to, double weight_decay) {
      if (from == to) return;
      const size_t at = from - range.begin, own = g.in_moments + at;
      ops.adamw(p_ + g.in_weights + at, m_.data() + own, v_.data() + own, gradient + (from - range.dense), scale, adamw(rate, weight_decay), to - from, pool);
    };
    step(range.dense, range.decay_end, config_.weight_decay);
    step(range.decay_end, range.end, 0);
  }
  if (!tables_.empty()) {
    const RowGradients* rows[] = {&gradients.word, &gradients.position, &gradients.type};
    for (size_t i = 0; i < tables_.size(); ++i) update_rows(tables_[i], *rows[i], scale, pool);
  }
  ++step_;
}

// ---- state -----------------------------------------------------------------------------------------------------------

void Lane::snapshot(ThreadPool& pool) {
  settle_all(pool);
  if (!snapshot_) {
    snapshot_ = std::make_unique<Floats>(Floats::zeroed(size_));
    snapshot_->use_large_pages();
  }
  for (const Group& g : groups_) std::memcpy(snapshot_->data() + g.in_moments, p_ + g.in_weights, g.floats * sizeof(float));
}

void Lane::restore(ThreadPool& pool) {
  if (!snapshot_) fail("ERR_STATE", "restore: expected a snapshot of this lane, received none");
  settle_all(pool);  // owed updates shrink moments too, and moments stay
  for (const Group& g : groups_) std::memcpy(p_ + g.in_weights, snapshot_->data() + g.in_moments, g.floats * sizeof(float));
}

namespace {

constexpr int64_t kMostSteps = INT32_MAX / 2;  // the counters of rows have 32 bits, what one owes is an int

// Blob: magic, format, groups, floats, step, trainable bytes, p, m, v, moving bytes per table. Little endian, as the machine.
constexpr char kMagic[8] = {'P', 'F', 'L', 'A', 'N', 'E', '0', '1'};

struct Header {
  char magic[8];
  uint64_t groups, floats, tables, bytes;
  int64_t step;
  uint64_t seed;
};

}  // namespace

std::vector<uint8_t> Lane::save(ThreadPool& pool) {
  settle_all(pool);
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof(kMagic));
  h.groups = config_.trainable.size();
  h.floats = size_;
  for (const RowTable& t : tables_) h.tables += t.moving.size();
  h.bytes = sizeof(Header) + h.groups + 3 * size_ * sizeof(float) + h.tables;
  h.step = step_;
  h.seed = config_.seed;
  std::vector<uint8_t> out(h.bytes);
  uint8_t* to = out.data();
  auto put = [&](const void* from, size_t n) {
    if (n) std::memcpy(to, from, n);
    to += n;
  };
  put(&h, sizeof(h));
  for (bool b : config_.trainable) *to++ = b;
  for (const Group& g : groups_) put(p_ + g.in_weights, g.floats * sizeof(float));
  for (const Floats* f : {&m_, &v_}) put(f->data(), size_ * sizeof(float));
  for (const RowTable& t : tables_) put(t.moving.data(), t.moving.size());
  return out;
}

void Lane::load(const uint8_t* bytes, size_t count) {
  Header h{};
  if (count < sizeof(h)) fail("ERR_STATE", "state: expected at least ", sizeof(h), " bytes, received ", count);
  std::memcpy(&h, bytes, sizeof(h));
  size_t rows = 0;
  for (const RowTable& t : tables_) rows += t.moving.size();
  if (std::memcmp(h.magic, kMagic, sizeof(kMagic)) != 0) fail("ERR_STATE", "state: expected a lane state of this version, received other bytes");
  if (h.groups != config_.trainable.size() || h.floats != size_ || h.tables != rows)
    fail("ERR_STATE", "state: expected ", size_, " trained floats in ", config_.trainable.size(), " groups, received ", h.floats, " in ", h.groups);
  const size_t expected = sizeof(Header) + h.groups + 3 * size_ * sizeof(float) + rows;
  if (count != expected || h.bytes != expected) fail("ERR_STATE", "state: expected ", expected, " bytes, received ", count);
  const uint8_t* from = bytes + sizeof(h);
  for (size_t g = 0; g < h.groups; ++g)
    if (bool(from[g]) != config_.trainable[g]) fail("ERR_STATE", "state: expected the same groups to be trainable, group ", g, " differs");
  if (h.step < 0 || h.step > kMostSteps) fail("ERR_STATE", "state: expected a step count of at most ", kMostSteps, ", received ", h.step);
  if (h.seed != config_.seed) fail("ERR_STATE", "state: expected seed ", config_.seed, ", received ", h.seed);
  from += h.groups;
  auto get = [&](void* to, size_t n) {
    if (n) std::memcpy(to, from, n);
    from += n;
  };
  for (const Group& g : groups_) get(p_ + g.in_weights, g.floats * sizeof(float));
  for (Floats* f : {&m_, &v_}) get(f->data(), size_ * sizeof(float));
  step_ = h.step;
  history_from_ = step_;
  history_.clear();
  for (RowTable& t : tables_) {
    get(t.moving.data(), t.moving.size());
    std::fill(t.done.begin(), t.done.end(), step());
  }
}

}  // namespace permafrost
