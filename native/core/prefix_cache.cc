#include "prefix_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace permafrost {

PrefixCache::Entry* PrefixCache::open(const Key& key, size_t rows, size_t floats, bool per_row) {
  auto it = entries_.find(key);
  if (it == entries_.end()) {
    // A map of its own until it has its place: what fails after that would leave the budget charged.
    decltype(entries_) made;
    Entry& entry = *made.emplace(key, std::make_unique<Entry>()).first->second;
    entry.floats_ = floats;
    entry.per_row = per_row;
    entry.have.assign(rows, 0);
    if (!place_in_memory(entry) && !place_in_file(entry)) return nullptr;
    it = entries_.insert(made.extract(made.begin())).position;
  }
  it->second->used_ = ++tick_;
  return it->second.get();
}

const PrefixCache::Entry* PrefixCache::shallower(int dataset, int depth, uint8_t precision, const std::vector<int32_t>& rows, int* found) {
  for (int d = depth - 1; d >= 1; --d) {
    const auto it = entries_.find({dataset, d, precision});
    if (it == entries_.end() || it->second->per_row) continue;
    Entry& entry = *it->second;
    if (!std::all_of(rows.begin(), rows.end(), [&](int32_t r) { return entry.have[size_t(r)] != 0; })) continue;
    *found = d;
    entry.used_ = ++tick_;
    return &entry;
  }
  return nullptr;
}

// The least recently used entry that is not pinned.
PrefixCache::Entry* PrefixCache::oldest(bool in_file) {
  Entry* found = nullptr;
  for (const auto& [key, entry] : entries_)
    if ((entry->file_ != nullptr) == in_file && entry->used_ < pinned_ && (!found || entry->used_ < found->used_)) found = entry.get();
  return found;
}

// Whether `bytes` fit once what is not pinned has gone: asked first, so that nothing goes for an entry that will not fit.
bool PrefixCache::can_fit(size_t bytes, bool in_file) const {
  size_t pinned = 0;
  for (const auto& [key, entry] : entries_)
    if ((entry->file_ != nullptr) == in_file && entry->used_ >= pinned_) pinned += entry->floats_ * sizeof(float);
  const size_t budget = in_file ? budget_.file_bytes : budget_.memory_bytes;
  return bytes <= budget && pinned <= budget - bytes;
}

bool PrefixCache::place_in_memory(Entry& entry) {
  const size_t bytes = entry.floats_ * sizeof(float);
  if (!can_fit(bytes, false)) return false;
  while (memory_ + bytes > budget_.memory_bytes) {
    Entry* victim = oldest(false);
    const size_t freed = victim->floats_ * sizeof(float);
    if (place_in_file(*victim)) {
      victim->memory_ = Floats();
      memory_ -= freed;
    } else {
      forget(victim);
    }
  }
  try {
    entry.memory_ = Floats::zeroed(entry.floats_);
  } catch (const std::bad_alloc&) {
    return false;  // the budget is more than there is
  }
  entry.data_ = entry.memory_.data();
  memory_ += bytes;
  return true;
}

// Copies what the entry holds, if anything.
bool PrefixCache::place_in_file(Entry& entry) {
  const size_t bytes = entry.floats_ * sizeof(float);
  if (!can_fit(bytes, true)) return false;
  while (file_ + bytes > budget_.file_bytes) forget(oldest(true));
  entry.file_ = SpillFile::create(budget_.directory, entry.floats_);
  if (!entry.file_) return false;
  if (entry.data_) std::memcpy(entry.file_->data(), entry.data_, bytes);
  entry.data_ = entry.file_->data();
  file_ += bytes;
  return true;
}

void PrefixCache::forget_dataset(int dataset) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry* entry = std::get<0>(it->first) == dataset ? it->second.get() : nullptr;
    ++it;
    if (entry) forget(entry);
  }
}

void PrefixCache::forget(Entry* entry) {
  (entry->file_ ? file_ : memory_) -= entry->floats_ * sizeof(float);
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.get() != entry) continue;
    entries_.erase(it);
    return;
  }
}

}  // namespace permafrost
