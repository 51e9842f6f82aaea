// spill_file.h — floats in a memory-mapped temporary file: room for cached prefixes beyond the memory budget. Nothing is left
// behind: the file is unlinked at once, or on Windows deleted by the system when its handle is closed. Its blocks are reserved
// before it is mapped, so that a full disk is a refusal here and not a fault on first touch. What it holds at first is not said.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace permafrost {

class SpillFile {
 public:
  // Null where it cannot be had: no room, no such directory, or a system that is neither Unix nor Windows. `directory` is UTF-8.
  static std::unique_ptr<SpillFile> create(const std::string& directory, size_t floats);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  float* data() const { return data_; }

 private:
  SpillFile(float* data, size_t bytes, void* file) : data_(data), bytes_(bytes), file_(file) {}
  float* data_;
  size_t bytes_;
  void* file_;  // Windows: its handle, open as long as it is mapped. Elsewhere null
};

}  // namespace permafrost
