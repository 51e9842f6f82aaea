// prefix_cache.h — outputs of the frozen prefix, per example, kept across epochs, lanes and sessions of a model.
//
// Key: (dataset, depth, precision); weights are those of the model, which never change. A deeper entry is computed from
// a shallower one that has the rows. Bits equal recomputation: no op's row depends on the other rows of its batch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "memory.h"
#include "plan.h"

namespace permafrost {

class PrefixCache {
 public:
  explicit PrefixCache(size_t budget_bytes) : budget_(budget_bytes) {}

  struct Entry {
    Floats values;              // per token (rows, C), or per row when the depth is past the last layer
    std::vector<uint8_t> have;  // per dataset row
    bool per_row = false;
    uint64_t used = 0;  // tick of the last use

    const float* row(const std::vector<int32_t>& offsets, int row, int C) const {
      return values.data() + size_t(per_row ? row : offsets[size_t(row)]) * size_t(C);
    }
    float* row(const std::vector<int32_t>& offsets, int row, int C) {
      return values.data() + size_t(per_row ? row : offsets[size_t(row)]) * size_t(C);
    }
  };
  using Key = std::tuple<int, int, uint8_t>;  // dataset, depth, precision

  // Entries opened after a pin stay until the next pin: their rows may be pointed to.
  void pin() { pinned_ = tick_ + 1; }

  // The entry, made if there is room; the least recently used others that are not pinned give way. Null when it cannot
  // fit the budget.
  Entry* open(const Key& key, size_t rows, size_t floats, bool per_row) {
    auto it = entries_.find(key);
    if (it == entries_.end()) {
      const size_t bytes = floats * sizeof(float);
      if (bytes > budget_) return nullptr;
      while (bytes_ + bytes > budget_)
        if (!evict()) return nullptr;
      it = entries_.emplace(key, std::make_unique<Entry>()).first;
      it->second->values = Floats::zeroed(floats);
      it->second->have.assign(rows, 0);
      it->second->per_row = per_row;
      bytes_ += bytes;
    }
    it->second->used = ++tick_;
    return it->second.get();
  }

  // The deepest entry of `dataset` below `depth` that is per token and has all of `rows`; null if none.
  const Entry* shallower(int dataset, int depth, uint8_t precision, const std::vector<int32_t>& rows, int* found) const {
    for (int d = depth - 1; d >= 1; --d) {
      const auto it = entries_.find({dataset, d, precision});
      if (it == entries_.end() || it->second->per_row) continue;
      bool all = true;
      for (int32_t r : rows) all = all && it->second->have[size_t(r)];
      if (!all) continue;
      *found = d;
      return it->second.get();
    }
    return nullptr;
  }

  size_t bytes() const { return bytes_; }

 private:
  bool evict() {
    auto oldest = entries_.begin();
    for (auto it = entries_.begin(); it != entries_.end(); ++it)
      if (it->second->used < oldest->second->used) oldest = it;
    if (oldest == entries_.end() || oldest->second->used >= pinned_) return false;
    bytes_ -= oldest->second->values.size() * sizeof(float);
    entries_.erase(oldest);
    return true;
  }

  size_t budget_;
  size_t bytes_ = 0;
  uint64_t tick_ = 0, pinned_ = 0;
  std::map<Key, std::unique_ptr<Entry>> entries_;
};

}  // namespace permafrost
