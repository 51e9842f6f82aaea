#include "spill_file.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#endif

namespace permafrost {

#if defined(__unix__) || defined(__APPLE__)

namespace {

bool reserve(int file, size_t bytes) {
#if defined(__APPLE__)
  fstore_t store = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, off_t(bytes), 0};
  return fcntl(file, F_PREALLOCATE, &store) != -1 && ftruncate(file, off_t(bytes)) == 0;
#else
  return posix_fallocate(file, 0, off_t(bytes)) == 0;
#endif
}

}  // namespace

std::unique_ptr<SpillFile> SpillFile::create(const std::string& directory, size_t floats) {
  if (directory.empty() || floats == 0) return nullptr;
  std::string path = directory + "/permafrost-prefix-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return nullptr;
  unlink(path.c_str());
  const size_t bytes = floats * sizeof(float);
  void* data = MAP_FAILED;
  if (reserve(file, bytes)) data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return nullptr;
  return std::unique_ptr<SpillFile>(new SpillFile(static_cast<float*>(data), bytes));
}

SpillFile::~SpillFile() { munmap(data_, bytes_); }

#else

std::unique_ptr<SpillFile> SpillFile::create(const std::string&, size_t) { return nullptr; }
SpillFile::~SpillFile() = default;

#endif

}  // namespace permafrost
