// memory.h — aligned float storage. `zeroed` asks the system for zero pages, so that what is never touched costs nothing:
// the moments of an embedding table are mostly that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace permafrost {

class Floats {
 public:
  Floats() = default;
  static Floats zeroed(size_t n) { return Floats(n); }
  static Floats copy(const float* from, size_t n) {
    Floats f(n);
    if (n) std::memcpy(f.data(), from, n * sizeof(float));
    return f;
  }
  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  explicit Floats(size_t n) : size_(n) {
    // calloc of a large block is untouched zero pages; 64 bytes of slack give the alignment.
    void* p = std::calloc(n * sizeof(float) + 64, 1);
    if (!p) throw std::bad_alloc();
    block_.reset(p);
    data_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64);
  }
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> block_;
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace permafrost
