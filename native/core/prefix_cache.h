// prefix_cache.h — outputs of the frozen prefix, per example, kept across epochs, lanes and sessions of a model.
//
// Key: (dataset, depth, precision); weights are those of the model, frozen in every lane that asks. A deeper entry is computed from
// a shallower one that has the rows. Bits equal recomputation: no op's row depends on the other rows of its batch.
//
// Entries live in memory up to a budget. Beyond it the least recently used moves to a memory-mapped file, up to a budget
// of its own; beyond that it is forgotten. Entries opened since the last pin() are in use: they neither move nor go.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "memory.h"
#include "spill_file.h"

namespace permafrost {

struct CacheBudget {
  size_t memory_bytes = 0;  // 0: no cache in memory
  size_t file_bytes = 0;    // 0: no spilling
  std::string directory;    // of the spill files
};

class PrefixCache {
 public:
  explicit PrefixCache(CacheBudget budget) : budget_(std::move(budget)) {}

  struct Entry {
    std::vector<uint8_t> have;  // per dataset row
    bool per_row = false;       // one vector a row (depth past the last layer), else one a token

    const float* row(const std::vector<int32_t>& offsets, int row, int C) const { return data_ + at(offsets, row, C); }
    float* row(const std::vector<int32_t>& offsets, int row, int C) { return data_ + at(offsets, row, C); }

   private:
    friend class PrefixCache;
    size_t at(const std::vector<int32_t>& offsets, int row, int C) const {
      return size_t(per_row ? row : offsets[size_t(row)]) * size_t(C);
    }
    float* data_ = nullptr;
    size_t floats_ = 0;
    Floats memory_;                     // either here
    std::unique_ptr<SpillFile> file_;   // or here
    uint64_t used_ = 0;                 // tick of the last use
  };
  using Key = std::tuple<int, int, uint8_t>;  // dataset, depth, precision

  void pin() { pinned_ = tick_ + 1; }

  // The entry, made if it is not there. Null when there is no room for it.
  Entry* open(const Key& key, size_t rows, size_t floats, bool per_row);

  // The deepest entry of `dataset` below `depth` that is per token and has all of `rows`; null if none. Counts as a use.
  const Entry* shallower(int dataset, int depth, uint8_t precision, const std::vector<int32_t>& rows, int* found);

  void forget_dataset(int dataset);

  size_t memory_bytes() const { return memory_; }
  size_t file_bytes() const { return file_; }

 private:
  Entry* oldest(bool in_file);
  bool can_fit(size_t bytes, bool in_file) const;
  bool place_in_memory(Entry& entry);
  bool place_in_file(Entry& entry);
  void forget(Entry* entry);

  CacheBudget budget_;
  size_t memory_ = 0, file_ = 0;  // bytes in use
  uint64_t tick_ = 0, pinned_ = 0;
  std::map<Key, std::unique_ptr<Entry>> entries_;
};

}  // namespace permafrost
