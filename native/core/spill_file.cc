#include "spill_file.h"

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX  // GCC's library defines it too
#define NOMINMAX
#endif
#include <windows.h>

#include <atomic>
#elif defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#endif

namespace permafrost {

#if defined(_WIN32)

namespace {

std::wstring wide(const std::string& utf8) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, utf8.data(), int(utf8.size()), nullptr, 0);
  std::wstring text(size_t(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, utf8.data(), int(utf8.size()), text.data(), length);
  return text;
}

// A new file that the system deletes when its handle is closed, by us or by the end of the process.
HANDLE create_temporary(const std::string& directory) {
  static std::atomic<unsigned> turn{0};
  const std::wstring stem = wide(directory) + L"\\permafrost-prefix-" + std::to_wstring(GetCurrentProcessId()) + L"-";
  while (true) {
    const std::wstring path = stem + std::to_wstring(turn++);
    const HANDLE file = CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, CREATE_NEW,
                                    FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
    if (file != INVALID_HANDLE_VALUE || GetLastError() != ERROR_FILE_EXISTS) return file;
  }
}

}  // namespace

std::unique_ptr<SpillFile> SpillFile::create(const std::string& directory, size_t floats) {
  if (directory.empty() || floats == 0) return nullptr;
  const HANDLE file = create_temporary(directory);
  if (file == INVALID_HANDLE_VALUE) return nullptr;
  const unsigned long long bytes = floats * sizeof(float);
  void* data = nullptr;
  // Makes the file as long as the mapping, which reserves its blocks; the view keeps the mapping.
  if (const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READWRITE, DWORD(bytes >> 32), DWORD(bytes), nullptr)) {
    data = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size_t(bytes));
    CloseHandle(mapping);
  }
  if (!data) {
    CloseHandle(file);
    return nullptr;
  }
  return std::unique_ptr<SpillFile>(new SpillFile(static_cast<float*>(data), size_t(bytes), file));
}

SpillFile::~SpillFile() {
  UnmapViewOfFile(data_);
  CloseHandle(file_);
}

#elif defined(__unix__) || defined(__APPLE__)

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
  return std::unique_ptr<SpillFile>(new SpillFile(static_cast<float*>(data), bytes, nullptr));
}

SpillFile::~SpillFile() { munmap(data_, bytes_); }

#else

std::unique_ptr<SpillFile> SpillFile::create(const std::string&, size_t) { return nullptr; }
SpillFile::~SpillFile() = default;

#endif

}  // namespace permafrost
