// profile.h — time, FLOPs and bytes per op kind.
#pragma once

#include <array>
#include <cstdint>

#include "plan.h"

namespace permafrost {

struct ProfileRow {
  int64_t calls = 0;
  double seconds = 0;
  int64_t flops = 0, bytes = 0;
};

struct Profile {
  std::array<ProfileRow, size_t(OpKind::count)> ops;
  ProfileRow optimizer;  // norm, clipping and AdamW of a step

  int64_t flops() const {
    int64_t sum = 0;
    for (const ProfileRow& r : ops) sum += r.flops;
    return sum;
  }
  void add(const Profile& other) {
    for (size_t i = 0; i < ops.size(); ++i) add(ops[i], other.ops[i]);
    add(optimizer, other.optimizer);
  }

 private:
  static void add(ProfileRow& to, const ProfileRow& from) {
    to.calls += from.calls;
    to.seconds += from.seconds;
    to.flops += from.flops;
    to.bytes += from.bytes;
  }
};

}  // namespace permafrost
