// memory.h — aligned float storage. `zeroed` asks the system for zero pages, so that what is never touched costs nothing:
// the moments of an embedding table are mostly that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

// A sanitizer sees past the end of what malloc gave, and not past the end of a mapping. GCC and clang say so by other names.
#if defined(__SANITIZE_ADDRESS__)
#define PERMAFROST_ASAN 1
#elif defined(__has_feature)
#define PERMAFROST_ASAN __has_feature(address_sanitizer)
#else
#define PERMAFROST_ASAN 0
#endif
#if (defined(__unix__) || defined(__APPLE__)) && !PERMAFROST_ASAN
#include <sys/mman.h>
#define PERMAFROST_MMAP 1
#else
#define PERMAFROST_MMAP 0
#endif

namespace permafrost {

class Floats {
  struct Free {
    size_t mapped;  // bytes; 0: from calloc
    void operator()(void* p) const {
#if PERMAFROST_MMAP
      if (mapped) {
        munmap(p, mapped);
        return;
      }
#endif
      std::free(p);
    }
  };

 public:
  Floats() = default;
  static Floats zeroed(size_t n) { return Floats(n); }
  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

  // Asks for large pages from float `from` on, where the system gives them on request: before the first touch, and only for what is
  // then touched whole. Without most of the page faults a lane of MiniLM was made, stepped once and freed in half the time.
  void use_large_pages(size_t from = 0) {
#if PERMAFROST_MMAP && defined(MADV_HUGEPAGE)
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
#if PERMAFROST_MMAP
    // Pages of its own: the C library may serve a large calloc from what was freed before, and then writes its zeros.
    if (n * sizeof(float) >= kMapped) {
      void* p = mmap(nullptr, n * sizeof(float), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
      if (p == MAP_FAILED) throw std::bad_alloc();
      block_ = {p, Free{n * sizeof(float)}};
      data_ = static_cast<float*>(p);
      return;
    }
#endif
    void* p = std::calloc(n * sizeof(float) + 64, 1);  // 64 bytes of slack give the alignment
    if (!p) throw std::bad_alloc();
    block_ = {p, Free{0}};
    data_ = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64);
  }
  static constexpr size_t kMapped = size_t(1) << 20;  // bytes
  std::unique_ptr<void, Free> block_{nullptr, Free{0}};
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace permafrost
