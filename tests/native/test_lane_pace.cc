// test_lane_pace.cc — several lanes run the way that was measured to be faster.
#include "core/session.h"
#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;

namespace {

// Runs chunks of 4 steps of `lanes`, each way at its cost a step, and says which way is taken in the end.
LanePace::Way settle(LanePace& pace, int lanes, double in_turn, double side_by_side) {
  for (int chunk = 0; chunk < 8; ++chunk) {
    const LanePace::Way way = pace.next();
    pace.took(way, lanes, 4, 4 * (way == LanePace::in_turn ? in_turn : side_by_side));
  }
  return pace.next();
}

}  // namespace

TEST(lane_pace, takes_the_faster_way) {
  LanePace slow_turns, fast_turns;
  t.expect(settle(slow_turns, 4, 2.0, 1.0) == LanePace::side_by_side, "side by side is faster, in turn is taken");
  t.expect(settle(fast_turns, 4, 1.0, 2.0) == LanePace::in_turn, "in turn is faster, side by side is taken");
  // A slow chunk after the choice changes nothing.
  fast_turns.took(LanePace::in_turn, 4, 4, 1000);
  t.expect(fast_turns.next() == LanePace::in_turn, "a choice is given up for one chunk");
}

TEST(lane_pace, the_first_chunk_does_not_count) {
  LanePace pace;
  pace.took(LanePace::in_turn, 2, 8, 1000);  // memory touched for the first time
  t.expect(settle(pace, 2, 1.0, 2.0) == LanePace::in_turn, "the first chunk was counted");
}

TEST(lane_pace, another_number_of_lanes_is_measured_anew) {
  LanePace pace;
  t.expect(settle(pace, 4, 1.0, 2.0) == LanePace::in_turn, "in turn is faster with four");
  t.expect(settle(pace, 3, 2.0, 1.0) == LanePace::side_by_side, "side by side is faster with three, and was not tried");
}
