// test_spill_file.cc — a file for cached prefixes: private, nothing left behind, a refusal where there is no room.
#include "core/spill_file.h"

#include <filesystem>
#include <limits>
#include <random>

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
namespace fs = std::filesystem;

namespace {

// A new folder with a name that is not ASCII, removed at the end.
struct Folder {
  fs::path path;
  Folder() {
    std::random_device random;
    do {
      path = fs::temp_directory_path() / u8"permafrost-spill-tést-";
      path += std::to_string(random());
    } while (!fs::create_directory(path));
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string utf8() const {
    const std::u8string text = path.u8string();
    return {text.begin(), text.end()};
  }
  ptrdiff_t files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
};

}  // namespace

TEST(spill_file, holds_what_is_written_and_leaves_nothing) {
  const Folder folder;
  constexpr size_t n = 1 << 20;
  {
    const auto a = SpillFile::create(folder.utf8(), n), b = SpillFile::create(folder.utf8(), n);
    if (!a || !b) return t.fail("no file in " + folder.utf8());
    bool kept = true;
    for (size_t i = 0; i < n; ++i) {
      a->data()[i] = float(i);
      b->data()[i] = -1;
    }
    for (size_t i = 0; i < n; ++i) kept = kept && a->data()[i] == float(i);
    t.expect(kept, "a file lost what was written to it");
  }
  t.expect(folder.files() == 0, "a file stayed behind");
}

TEST(spill_file, refuses) {
  const Folder folder;
  t.expect(!SpillFile::create("", 1), "made a file in no folder");
  t.expect(!SpillFile::create(folder.utf8(), 0), "made an empty file");
  t.expect(!SpillFile::create(folder.utf8() + "/missing", 1), "made a file in a folder that is not there");
  t.expect(!SpillFile::create(folder.utf8(), std::numeric_limits<size_t>::max() / sizeof(float)), "made a file larger than any disk");
  t.expect(folder.files() == 0, "a refused file stayed behind");
}
