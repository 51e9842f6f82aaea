// batch.cc — checks a dataset once, packs batches from it.
#include "batch.h"

#include <algorithm>
#include <numeric>

#include "error.h"

namespace permafrost {

void check(const Dataset& d, const ModelConfig& c) {
  if (d.offsets.size() < 2 || d.offsets[0] != 0) fail("ERR_SHAPE", "offsets: expected rows + 1 entries from 0, received ", d.offsets.size());
  if (d.ids.size() != d.types.size()) fail("ERR_SHAPE", "types: expected ", d.ids.size(), " entries, received ", d.types.size());
  if (d.labels.size() + 1 != d.offsets.size()) fail("ERR_SHAPE", "labels: expected ", d.offsets.size() - 1, " entries, received ", d.labels.size());
  for (int r = 0; r < d.rows(); ++r) {
    const int64_t n = int64_t(d.offsets[size_t(r) + 1]) - d.offsets[size_t(r)];
    if (n < 1 || n > c.positions) fail("ERR_RANGE", "row ", r, ": expected 1 to ", c.positions, " tokens, received ", n);
    if (d.labels[size_t(r)] < -1 || d.labels[size_t(r)] >= c.labels)
      fail("ERR_RANGE", "row ", r, ": expected a label in [-1, ", c.labels, "), received ", d.labels[size_t(r)]);
  }
  if (size_t(d.offsets.back()) != d.ids.size()) fail("ERR_SHAPE", "offsets: expected the last to be ", d.ids.size(), ", received ", d.offsets.back());
  for (size_t i = 0; i < d.ids.size(); ++i) {
    if (d.ids[i] < 0 || d.ids[i] >= c.vocab) fail("ERR_RANGE", "ids[", i, "]: expected a token in [0, ", c.vocab, "), received ", d.ids[i]);
    if (d.types[i] < 0 || d.types[i] >= c.types) fail("ERR_RANGE", "types[", i, "]: expected a type in [0, ", c.types, "), received ", d.types[i]);
  }
}

void Batch::assign(const Dataset& data, const int32_t* chosen, int count) {
  rows.assign(chosen, chosen + count);
  ids.clear();
  types.clear();
  positions.clear();
  labels.clear();
  targets.clear();
  offsets.assign(1, 0);
  shape = {};
  for (int b = 0; b < count; ++b) {
    const size_t begin = size_t(data.offsets[size_t(chosen[b])]), end = size_t(data.offsets[size_t(chosen[b]) + 1]);
    ids.insert(ids.end(), data.ids.begin() + long(begin), data.ids.begin() + long(end));
    types.insert(types.end(), data.types.begin() + long(begin), data.types.begin() + long(end));
    const int64_t n = int64_t(end - begin);
    for (int64_t i = 0; i < n; ++i) positions.push_back(int32_t(i));
    offsets.push_back(int32_t(ids.size()));
    labels.push_back(data.labels[size_t(chosen[b])]);
    targets.push_back(std::max(labels.back(), 0));
    shape.S2 += n * n;
  }
  first.assign(offsets.begin(), offsets.end() - 1);
  shape.T = int64_t(ids.size());
  shape.B = count;
}

namespace {

void sort_rows(RowOrder& out, const std::vector<int32_t>& read, int32_t skip) {
  out.order.clear();
  for (int32_t t = 0; t < int32_t(read.size()); ++t)
    if (read[size_t(t)] != skip) out.order.push_back(t);
  std::stable_sort(out.order.begin(), out.order.end(), [&](int32_t a, int32_t b) { return read[size_t(a)] < read[size_t(b)]; });
  out.rows.clear();
  out.starts.clear();
  for (size_t i = 0; i < out.order.size(); ++i) {
    const int32_t row = read[size_t(out.order[i])];
    if (out.rows.empty() || out.rows.back() != row) {
      out.rows.push_back(row);
      out.starts.push_back(int32_t(i));
    }
  }
  out.starts.push_back(int32_t(out.order.size()));
}

}  // namespace

void Batch::order_rows(const ModelConfig& config) {
  sort_rows(word, ids, config.pad_token);
  sort_rows(position, positions, -1);
  sort_rows(type, types, -1);
}

}  // namespace permafrost
