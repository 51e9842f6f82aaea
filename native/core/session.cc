// session.cc — see session.h.
#include "session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "error.h"

namespace permafrost {

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Tokens of an evaluation or prefix batch: large enough for full GEMM speed, small enough that its activations
// (about 20 kB a token for C = 384) stay within tens of MB.
constexpr int64_t kBatchTokens = 2048;  // SLICE_TOKENS of src/predict.ts too

// Cuts `rows` into batches of at most kBatchTokens (at least one row each).
template <class Fn>
bool for_batches(const Dataset& data, const std::vector<int32_t>& rows, Fn&& fn) {
  size_t begin = 0;
  while (begin < rows.size()) {
    int64_t tokens = 0;
    size_t end = begin;
    while (end < rows.size() && (end == begin || tokens + data.length(rows[end]) <= kBatchTokens)) tokens += data.length(rows[end++]);
    if (!fn(begin, end)) return false;
    begin = end;
  }
  return true;
}

}  // namespace

Session::Session(Model& model, std::vector<LaneConfig> lanes, kernels::Precision precision, bool cache, bool in_place)
    : model_(model), use_(model), precision_(precision), cache_(cache) {
  const ModelConfig& c = model.config();
  if (in_place && lanes.size() != 1) fail("ERR_RANGE", "inPlace: expected one lane, received ", lanes.size());
  for (size_t i = 0; i < lanes.size(); ++i) {
    const std::vector<bool>& trainable = lanes[i].trainable;
    if (int(trainable.size()) != c.groups()) fail("ERR_SHAPE", "lanes[", i, "].trainable: expected ", c.groups(), " groups, received ", trainable.size());
    if (std::find(trainable.begin(), trainable.end(), true) == trainable.end())
      fail("ERR_RANGE", "lanes[", i, "].trainable: expected at least one trainable group, received all frozen");
    Worker& w = *workers_.emplace_back(std::make_unique<Worker>());
    PlanOptions o;
    o.trainable = trainable;
    o.dropout = lanes[i].dropout;
    o.train = true;
    w.train = compile(c, model.layout(), o);
    o.cached = true;
    w.train_cached = compile(c, model.layout(), o);
    o.train = false;
    w.evaluate_cached = compile(c, model.layout(), o);
    o.cached = false;
    w.evaluate = compile(c, model.layout(), o);
    o.all_rows = true;
    w.evaluate_all = compile(c, model.layout(), o);
    w.lane = std::make_unique<Lane>(model, std::move(lanes[i]), in_place);
  }
}

void Session::pack_frozen_weights() {
  for (const auto& w : workers_)
    for (const Plan* plan : {&w->evaluate, &w->evaluate_all})
      for (const Op& op : plan->ops)
        if ((op.kind == OpKind::linear_forward || op.kind == OpKind::linear_gelu_forward) && !w->lane->trainable(op.weight))
          model_.pack(op.weight, op.n, op.k, precision_);
}

Lane& Session::lane(int index) {
  if (index < 0 || index >= lanes()) fail("ERR_RANGE", "lane: expected an index below ", lanes(), ", received ", index);
  return *workers_[size_t(index)]->lane;
}

size_t Session::bytes() const {
  size_t sum = 0;
  for (const auto& w : workers_) sum += w->lane->bytes();
  return sum;
}

Plan Session::plan(int lane, bool cached) const {
  if (lane < 0 || lane >= lanes()) fail("ERR_RANGE", "lane: expected an index below ", lanes(), ", received ", lane);
  const Worker& w = *workers_[size_t(lane)];
  return cached ? w.train_cached : w.train;
}

Profile Session::profile() const {
  Profile sum = prefix_profile_;
  for (const auto& w : workers_) sum.add(w->profile);
  return sum;
}

float* Session::arena(Worker& w, Plan& plan) const {
  const BatchShape& s = w.batch.shape;
  if (w.placed != &plan || s.T > w.capacity_T || s.B > w.capacity_B) {
    if (w.placed != &plan) w.capacity_T = w.capacity_B = 0;
    w.placed = nullptr;  // until there is memory for it
    // As the first batch needs, then by an eighth at least: slightly longer batches do not move the arena each time.
    if (s.T > w.capacity_T) w.capacity_T = std::max(s.T, w.capacity_T + w.capacity_T / 8);
    w.capacity_B = std::max(w.capacity_B, s.B);
    const size_t floats = plan.place(w.capacity_T, w.capacity_B);
    if (floats > w.arena.size()) {
      w.arena = Floats::zeroed(floats);
      w.arena.use_large_pages();
    }
    w.placed = &plan;
  }
  return w.arena.data();
}

// ---- prefix ----------------------------------------------------------------------------------------------------------

PrefixCache::Entry* Session::prefetch(Worker& w, int dataset, const std::vector<int32_t>& rows, int64_t* hits, int64_t* misses) {
  const int depth = w.train.prefix_depth;
  if (!cache_ || depth == 0) return nullptr;
  const Dataset& data = model_.dataset(dataset);
  const ModelConfig& c = model_.config();
  const bool per_row = depth == c.layers + 1;
  const size_t floats = (per_row ? size_t(data.rows()) : data.ids.size()) * size_t(c.hidden);
  PrefixCache::Entry* entry = model_.prefixes().open({dataset, depth, uint8_t(precision_)}, size_t(data.rows()), floats, per_row);
  if (!entry) return nullptr;
  std::set<int32_t> missing;
  for (int32_t r : rows) {
    if (entry->have[size_t(r)]) ++*hits;
    else if (missing.insert(r).second) ++*misses;
    else ++*hits;
  }
  if (!missing.empty()) fill(*entry, dataset, depth, {missing.begin(), missing.end()});
  return cancel_.load(std::memory_order_relaxed) ? nullptr : entry;
}

void Session::fill(PrefixCache::Entry& entry, int dataset, int depth, const std::vector<int32_t>& missing) {
  const Dataset& data = model_.dataset(dataset);
  const int C = model_.config().hidden;
  Worker scratch;
  int from = 0;
  const PrefixCache::Entry* source = model_.prefixes().shallower(dataset, depth, uint8_t(precision_), missing, &from);
  Plan plan = compile_prefix(model_.config(), model_.layout(), from, depth);
  for_batches(data, missing, [&](size_t begin, size_t end) {
    scratch.batch.assign(data, missing.data() + begin, int(end - begin));
    Execution run{model_, model_.pool(), precision_, arena(scratch, plan), scratch.batch};
    run.cancel = &cancel_;
    run.profile = &prefix_profile_;
    if (source) {
      float* input = at(plan, run, plan.input);
      for (size_t b = 0; b < end - begin; ++b) {
        const int row = scratch.batch.rows[b];
        std::copy_n(source->row(data.offsets, row, C), size_t(data.length(row)) * size_t(C), input + size_t(scratch.batch.offsets[b]) * size_t(C));
      }
    }
    if (!execute(plan, run)) return false;
    const float* output = at(plan, run, plan.output);
    for (size_t b = 0; b < end - begin; ++b) {
      const int row = scratch.batch.rows[b];
      const size_t at_row = entry.per_row ? b : size_t(scratch.batch.offsets[b]);
      std::copy_n(output + at_row * size_t(C), (entry.per_row ? 1 : size_t(data.length(row))) * size_t(C), entry.row(data.offsets, row, C));
      entry.have[size_t(row)] = 1;
    }
    return true;
  });
}

void Session::point_to_prefix(Worker& w, int dataset, const PrefixCache::Entry& entry) const {
  const Dataset& data = model_.dataset(dataset);
  w.prefix.clear();
  for (int32_t r : w.batch.rows) w.prefix.push_back(entry.row(data.offsets, r, model_.config().hidden));
}

// ---- training --------------------------------------------------------------------------------------------------------

void Session::validate_rows(int dataset, const std::vector<int32_t>& rows) const {
  const int count = model_.dataset(dataset).rows();
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i] < 0 || rows[i] >= count) fail("ERR_RANGE", "rows[", i, "]: expected a row below ", count, ", received ", rows[i]);
}

void Session::validate(const StepChunk& chunk) const {
  const Dataset& data = model_.dataset(chunk.dataset);
  if (chunk.lanes.empty()) fail("ERR_SHAPE", "lanes: expected at least one, received none");
  std::vector<bool> seen(workers_.size());
  for (int l : chunk.lanes) {
    if (l < 0 || l >= lanes()) fail("ERR_RANGE", "lanes: expected indices below ", lanes(), ", received ", l);
    if (seen[size_t(l)]) fail("ERR_RANGE", "lanes: expected each lane once, received lane ", l, " twice");
    seen[size_t(l)] = true;
  }
  if (chunk.rows.size() != 1 && chunk.rows.size() != chunk.lanes.size())
    fail("ERR_SHAPE", "rows: expected 1 or ", chunk.lanes.size(), " lists, received ", chunk.rows.size());
  if (chunk.offsets.size() != chunk.rows.size()) fail("ERR_SHAPE", "offsets: expected ", chunk.rows.size(), " lists, received ", chunk.offsets.size());
  const size_t steps = chunk.offsets[0].size() - 1;
  for (size_t l = 0; l < chunk.rows.size(); ++l) {
    const auto& offsets = chunk.offsets[l];
    if (offsets.size() < 2 || offsets.size() != steps + 1) fail("ERR_SHAPE", "offsets[", l, "]: expected ", steps + 1, " entries, at least 2, received ", offsets.size());
    if (offsets[0] != 0 || size_t(offsets.back()) != chunk.rows[l].size())
      fail("ERR_SHAPE", "offsets[", l, "]: expected to run from 0 to ", chunk.rows[l].size(), ", received ", offsets[0], " to ", offsets.back());
    for (size_t s = 0; s < steps; ++s)
      if (offsets[s + 1] <= offsets[s]) fail("ERR_SHAPE", "offsets[", l, "]: expected every batch to have rows, step ", s, " has none");
    validate_rows(chunk.dataset, chunk.rows[l]);
    for (int32_t r : chunk.rows[l])
      if (data.labels[size_t(r)] < 0) fail("ERR_RANGE", "rows: expected rows with a label, row ", r, " has none");
  }
  const size_t rates = chunk.lanes.size() * steps * size_t(model_.config().groups());
  if (chunk.rates.size() != rates) fail("ERR_SHAPE", "learningRates: expected ", rates, " values (lanes, steps, groups), received ", chunk.rates.size());
  for (double r : chunk.rates)
    if (!(r >= 0) || !std::isfinite(r)) fail("ERR_RANGE", "learningRates: expected finite numbers ≥ 0, received ", r);
}

Lane::Gradients Session::take_gradients(const Worker& w, const Plan& plan, const Execution& run) const {
  const Layout& layout = model_.layout();
  Lane::Gradients out;
  for (int buffer : plan.gradients) out.dense.push_back(at(plan, run, buffer));
  for (const Gap& gap : layout.padding) {
    const size_t dense = layout.groups[size_t(gap.group)].dense;
    float* of_group = at(plan, run, plan.gradients[size_t(gap.group)]);
    if (of_group && gap.offset >= dense) std::fill_n(of_group + (gap.offset - dense), gap.floats, 0.0f);
  }
  if (plan.word_rows < 0) return out;
  out.word = {&w.batch.word, at(plan, run, plan.word_rows)};
  out.position = {&w.batch.position, at(plan, run, plan.position_rows)};
  out.type = {&w.batch.type, at(plan, run, plan.type_rows)};
  return out;
}

struct Session::LaneRun {
  const StepChunk* chunk;
  size_t index;  // within the chunk
  Worker* worker;
  const PrefixCache::Entry* prefix;
  StepResults* results;
  int64_t tokens = 0;
  bool cancelled = false;
};

void Session::run_lane(LaneRun& run, ThreadPool& pool) {
  const StepChunk& chunk = *run.chunk;
  Worker& w = *run.worker;
  const Dataset& data = model_.dataset(chunk.dataset);
  const size_t list = chunk.rows.size() == 1 ? 0 : run.index;
  const auto& rows = chunk.rows[list];
  const auto& offsets = chunk.offsets[list];
  const size_t steps = offsets.size() - 1, groups = size_t(model_.config().groups());
  Plan& plan = run.prefix ? w.train_cached : w.train;
  for (size_t s = 0; s < steps; ++s) {
    w.batch.assign(data, rows.data() + offsets[s], offsets[s + 1] - offsets[s]);
    if (plan.word_rows >= 0) {
      const Clock::time_point owed = Clock::now();
      w.batch.order_rows(model_.config());
      w.lane->settle(w.batch, pool);
      w.profile.optimizer.seconds += since(owed);
    }
    Execution x{model_, pool, precision_, arena(w, plan), w.batch};
    x.lane = w.lane.get();
    x.cancel = &cancel_;
    x.profile = &w.profile;
    if (run.prefix) {
      point_to_prefix(w, chunk.dataset, *run.prefix);
      x.prefix = w.prefix.data();
    }
    if (!execute(plan, x)) {
      run.cancelled = true;
      return;
    }
    const float* loss = at(plan, x, plan.loss);
    double sum = 0;
    for (int64_t b = 0; b < w.batch.shape.B; ++b) sum += double(loss[b]);
    const float mean = float(sum / double(w.batch.shape.B));

    const Clock::time_point begin = Clock::now();
    const Lane::Gradients gradients = take_gradients(w, plan, x);
    const double norm = w.lane->gradient_norm(gradients, pool);
    const size_t at_step = run.index * steps + s;
    run.results->loss[at_step] = mean;
    run.results->gradient_norm[at_step] = float(norm);
    if (!std::isfinite(mean) || !std::isfinite(norm)) {
      run.results->diverged[run.index] = int32_t(s);
      return;
    }
    w.lane->update(gradients, norm, chunk.rates.data() + at_step * groups, pool);
    w.profile.optimizer.calls += 1;
    w.profile.optimizer.seconds += since(begin);
    // Gradient read twice (norm, update), weight and two moments read and written. Updates that rows owed are in the time alone.
    const size_t rows_updated = plan.word_rows < 0 ? 0 : size_t(w.batch.word.count() + w.batch.position.count() + w.batch.type.count());
    w.profile.optimizer.bytes += int64_t(8 * 4 * (plan.trained_dense + rows_updated * size_t(model_.config().hidden)));
    run.results->completed[run.index] = int32_t(s) + 1;
    run.tokens += w.batch.shape.T;
  }
}

StepResults Session::run_steps(const StepChunk& chunk) {
  validate(chunk);
  const Clock::time_point begin = Clock::now();
  const int64_t flops_before = profile().flops();
  const size_t K = chunk.lanes.size(), steps = size_t(chunk.steps());
  StepResults results;
  results.completed.assign(K, 0);
  results.diverged.assign(K, -1);
  results.loss.assign(K * steps, std::numeric_limits<float>::quiet_NaN());
  results.gradient_norm.assign(K * steps, std::numeric_limits<float>::quiet_NaN());

  std::vector<LaneRun> runs;
  for (size_t i = 0; i < K; ++i) runs.push_back({&chunk, i, workers_[size_t(chunk.lanes[i])].get(), nullptr, &results});
  // Deeper prefixes are computed from shallower ones.
  std::vector<LaneRun*> by_depth;
  for (LaneRun& run : runs) by_depth.push_back(&run);
  std::stable_sort(by_depth.begin(), by_depth.end(), [](const LaneRun* a, const LaneRun* b) { return a->worker->train.prefix_depth < b->worker->train.prefix_depth; });
  model_.prefixes().pin();
  for (LaneRun* run : by_depth) {
    const auto& rows = chunk.rows[chunk.rows.size() == 1 ? 0 : run->index];
    run->prefix = prefetch(*run->worker, chunk.dataset, rows, &results.cache_hits, &results.cache_misses);
  }
  model_.pool().lead(int(K), [&](int i, ThreadPool& crew) { run_lane(runs[size_t(i)], crew); });
  for (const LaneRun& run : runs) {
    results.tokens += run.tokens;
    results.cancelled = results.cancelled || run.cancelled;
  }
  results.cache_bytes = int64_t(model_.prefixes().memory_bytes() + model_.prefixes().file_bytes());
  results.flops = profile().flops() - flops_before;
  results.seconds = since(begin);
  return results;
}

GradientResults Session::gradients(int index, int dataset, const std::vector<int32_t>& rows) {
  lane(index);
  validate_rows(dataset, rows);
  if (rows.empty()) fail("ERR_SHAPE", "rows: expected at least one, received none");
  Worker& w = *workers_[size_t(index)];
  Plan& plan = w.train;
  w.batch.assign(model_.dataset(dataset), rows.data(), int(rows.size()));
  for (size_t b = 0; b < rows.size(); ++b)
    if (w.batch.labels[b] < 0) fail("ERR_RANGE", "rows: expected rows with a label, row ", rows[b], " has none");
  if (plan.word_rows >= 0) {
    w.batch.order_rows(model_.config());
    w.lane->settle(w.batch, model_.pool());
  }
  Execution x{model_, model_.pool(), precision_, arena(w, plan), w.batch};
  x.lane = w.lane.get();
  x.cancel = &cancel_;
  if (!execute(plan, x)) fail("ERR_CANCELLED", "gradients: cancelled");
  GradientResults out;
  double sum = 0;
  for (size_t b = 0; b < rows.size(); ++b) sum += double(at(plan, x, plan.loss)[b]);
  out.loss = float(sum / double(rows.size()));
  const Lane::Gradients gradients = take_gradients(w, plan, x);
  const auto& e = model_.layout().embeddings;
  const size_t C = size_t(model_.config().hidden);
  for (int t : plan.updates) {
    const TensorInfo& info = model_.layout().tensors[size_t(t)];
    out.names.push_back(info.name);
    if (!info.row_table) {
      const float* g = gradients.dense[size_t(info.group)] + (info.offset - model_.layout().groups[size_t(info.group)].dense);
      out.gradients.emplace_back(g, g + info.size());
      continue;
    }
    const Lane::RowGradients& r = t == e.word ? gradients.word : t == e.position ? gradients.position : gradients.type;
    std::vector<float> dense(info.size(), 0.0f);
    for (int u = 0; u < r.order->count(); ++u) std::copy_n(r.rows + size_t(u) * C, C, dense.data() + size_t(r.order->rows[size_t(u)]) * C);
    out.gradients.push_back(std::move(dense));
  }
  return out;
}

// ---- evaluation ------------------------------------------------------------------------------------------------------

EvaluateResults Session::evaluate(int index, int dataset, const std::vector<int32_t>& rows, bool hidden) {
  lane(index);
  validate_rows(dataset, rows);
  const Clock::time_point begin = Clock::now();
  Worker& w = *workers_[size_t(index)];
  const Dataset& data = model_.dataset(dataset);
  const ModelConfig& c = model_.config();
  EvaluateResults out;
  int64_t hits = 0, misses = 0;
  model_.prefixes().pin();
  const PrefixCache::Entry* prefix = hidden ? nullptr : prefetch(w, dataset, rows, &hits, &misses);
  Plan& plan = hidden ? w.evaluate_all : prefix ? w.evaluate_cached : w.evaluate;
  const bool finished = for_batches(data, rows, [&](size_t from, size_t to) {
    w.batch.assign(data, rows.data() + from, int(to - from));
    if (w.lane->config().trainable[0]) {
      w.batch.order_rows(c);
      w.lane->settle(w.batch, model_.pool());
    }
    Execution x{model_, model_.pool(), precision_, arena(w, plan), w.batch};
    x.lane = w.lane.get();
    x.cancel = &cancel_;
    x.profile = &w.profile;
    if (prefix) {
      point_to_prefix(w, dataset, *prefix);
      x.prefix = w.prefix.data();
    }
    if (!execute(plan, x)) return false;
    const float* logits = at(plan, x, plan.logits);
    const float* loss = at(plan, x, plan.loss);
    out.logits.insert(out.logits.end(), logits, logits + w.batch.shape.B * c.labels);
    for (size_t b = 0; b < to - from; ++b) out.loss.push_back(w.batch.labels[b] < 0 ? std::numeric_limits<float>::quiet_NaN() : loss[b]);
    if (hidden) {
      const float* h = at(plan, x, plan.output);
      out.hidden.insert(out.hidden.end(), h, h + w.batch.shape.T * c.hidden);
    }
    return true;
  });
  out.cancelled = !finished;
  out.seconds = since(begin);
  return out;
}

}  // namespace permafrost
