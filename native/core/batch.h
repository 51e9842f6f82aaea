// batch.h — a packed dataset, and a batch of some of its rows as the ops read it. No padding anywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "plan.h"

namespace permafrost {

struct Dataset {
  std::vector<int32_t> ids, types;  // (tokens)
  std::vector<int32_t> offsets;     // (rows + 1)
  std::vector<int32_t> labels;      // (rows), -1: none

  int rows() const { return int(offsets.size()) - 1; }
  int length(int row) const { return offsets[size_t(row) + 1] - offsets[size_t(row)]; }
};

// Throws ERR_SHAPE or ERR_RANGE naming the field.
void check(const Dataset& data, const ModelConfig& config);

// Tokens of a batch sorted by the table row they read: order[starts[u] .. starts[u+1]) all read row rows[u].
struct RowOrder {
  std::vector<int32_t> order, starts, rows;
  int count() const { return int(rows.size()); }
};

struct Batch {
  std::vector<int32_t> rows;  // of the dataset
  std::vector<int32_t> ids, types, positions;  // (T)
  std::vector<int32_t> offsets;                // (B+1)
  std::vector<int32_t> labels;                 // (B), -1: none
  std::vector<int32_t> targets;                // (B) labels, 0 where there is none: safe to index with
  std::vector<int32_t> first;                  // (B) = offsets without the last
  RowOrder word, position, type;               // filled by order_rows
  BatchShape shape;

  void assign(const Dataset& data, const int32_t* rows, int count);
  void order_rows(const ModelConfig& config);  // the padding row of the word table is left out: it gets no gradient
};

}  // namespace permafrost
