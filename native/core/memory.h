// memory.h — aligned float storage. `zeroed` asks the system for zero pages, so that what is never touched costs nothing:
// the moments of an embedding table are mostly that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

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

  // Asks for large pages from float `from` on, where the system gives them on request: before the first touch, and only for what is
  // then touched whole. Without most of the page faults a lane of MiniLM was made, stepped once and freed in half the time.
  void use_large_pages(size_t from = 0) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t kPage = uintptr_t(2) << 20;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data_ + from) + kPage - 1) / kPage * kPage;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data_ + size_) / kPage * kPage;
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)from;
#endif
  }

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
