// pack.inl — the forms the tile reads: panels of B, and A as bf16 pairs, as rows with room
// between them or as column tiles. Once for each instruction set.
//
// A panel is [unit][kNR] floats: kNR columns of B along the reduction, missing columns and a missing last half pair zero.
// Factor says what a unit is made of:
//   f32      one float
//   rounded  one float rounded to bf16: Precision::bf16 on machines without the dot product
//   pairs    two bf16
// Not here: any copy of a whole weight that is used once. Panels are made where they are used, and stay in L2.

enum class Factor { f32, rounded, pairs };
constexpr Factor kBf16Factor = PERMAFROST_BF16_PAIRS ? Factor::pairs : Factor::rounded;

template <Factor kFactor>
PF_INLINE int units_of(int depth) {
  return kFactor == Factor::pairs ? (depth + 1) / 2 : depth;
}
PF_INLINE int imin(int a, int b) { return a < b ? a : b; }
PF_INLINE int imax(int a, int b) { return a > b ? a : b; }
PF_INLINE int clamp_lanes(int n) { return n < 0 ? 0 : n < kLanes ? n : kLanes; }

constexpr int kLine = 64 / int(sizeof(float));

// Asks for the first `cols` floats of every row, a line at a time.
PF_INLINE void prefetch_rows(const float* p, ptrdiff_t ld, int rows, int cols) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < cols; j += kLine) prefetch(p + r * ld + j);
}

// Rows of units to ask for in advance: the hardware follows a row, and does not see the next one coming.
constexpr int kAhead = 8;

// kLanes units along a row: p has `depth` values left.
template <Factor kFactor>
PF_INLINE V units_along(const float* p, int depth) {
  if constexpr (kFactor == Factor::f32) return depth >= kLanes ? load(p) : load_n(p, clamp_lanes(depth));
  if constexpr (kFactor == Factor::rounded) return round_bf16(depth >= kLanes ? load(p) : load_n(p, clamp_lanes(depth)));
#if PERMAFROST_BF16_PAIRS
  if constexpr (kFactor == Factor::pairs) {
    if (depth >= 2 * kLanes) return pair_along(load(p), load(p + kLanes));
    return pair_along(load_n(p, clamp_lanes(depth)), load_n(p + kLanes, clamp_lanes(depth - kLanes)));
  }
#endif
  return zero();
}

// The unit of reduction rows 2u, 2u+1 (pairs) or u, for n <= kLanes columns; `depth` rows exist below p.
// Whole vectors by a test of its own: with load_n's alone dW was 1 to 4 % slower (GCC 12, Zen 3).
template <Factor kFactor>
PF_INLINE V units_across(const float* p, ptrdiff_t ld, int depth, int n) {
  (void)ld;
  (void)depth;
  const V even = n >= kLanes ? load(p) : load_n(p, n);
  if constexpr (kFactor == Factor::rounded) return round_bf16(even);
#if PERMAFROST_BF16_PAIRS
  if constexpr (kFactor == Factor::pairs) return pair_rows(even, depth < 2 ? zero() : n >= kLanes ? load(p + ld) : load_n(p + ld, n));
#endif
  return even;
}

// B given by its transpose: column j, reduction index d at data[j·ld + d]. Units [unit, unit + units) of the columns
// [0, cols) below data.
template <Factor kFactor>
static void pack_transposed(float* panel, const float* data, ptrdiff_t ld, int cols, int depth, int unit, int units) {
  constexpr int kWide = kFactor == Factor::pairs ? 2 : 1;
  for (int v = 0; v < 2; ++v) {
    const int rows = clamp_lanes(cols - v * kLanes);
    const float* from = data + v * kLanes * ld + ptrdiff_t(unit) * kWide;
    for (int u = 0; u < units; u += kLanes) {
      const int left = depth - (unit + u) * kWide;
      // The next kLanes rows, for the reason of kAhead.
      if (u * kWide % kLine == 0) prefetch_rows(from + kLanes * ld + u * kWide, ld, kLanes, kLanes * kWide);
      V r[kLanes];
      if (rows == kLanes && left >= kLanes * kWide) {
        PF_UNROLL
        for (int i = 0; i < kLanes; ++i) r[i] = units_along<kFactor>(from + i * ld + u * kWide, kLanes * kWide);
      } else {
        for (int i = 0; i < kLanes; ++i) r[i] = i < rows ? units_along<kFactor>(from + i * ld + u * kWide, left) : zero();
      }
      transpose(r);
      float* to = panel + ptrdiff_t(u) * kNR + v * kLanes;
      if (u + kLanes <= units) {
        PF_UNROLL
        for (int i = 0; i < kLanes; ++i) store(to + i * kNR, r[i]);
      } else {
        for (int i = 0; i < units - u; ++i) store(to + i * kNR, r[i]);
      }
    }
  }
}

// B as it lies: reduction index d, column j at data[d·ld + j]. All panels of a row before the next row: a row is read once,
// from one page.
template <Factor kFactor>
static void pack_direct(float* panels, ptrdiff_t stride, const float* data, ptrdiff_t ld, int cols, int depth, int unit, int units) {
  constexpr int kWide = kFactor == Factor::pairs ? 2 : 1;
  for (int u = 0; u < units; ++u) {
    const int d = (unit + u) * kWide;
    const float* from = data + ptrdiff_t(d) * ld;
    float* to = panels + u * kNR;
    for (int col = 0; col < cols; col += kNR, to += stride) {
      prefetch_rows(from + kAhead * kWide * ld + col, ld, kWide, kNR);
      for (int v = 0; v < 2; ++v)
        store(to + v * kLanes,
              units_across<kFactor>(from + col + v * kLanes, ld, depth - d, clamp_lanes(cols - col - v * kLanes)));
    }
  }
}

// A rows as units: dst (units of a row, `stride` floats apart) = src (depth of a row), rows [begin, end).
template <Factor kFactor>
static void pack_rows(float* dst, ptrdiff_t stride, const float* src, int depth, int begin, int end) {
  constexpr int kWide = kFactor == Factor::pairs ? 2 : 1;
  const int units = units_of<kFactor>(depth);
  for (int r = begin; r < end; ++r) {
    const float* from = src + ptrdiff_t(r) * depth;
    float* to = dst + r * stride;
    int u = 0;
    for (; u + kLanes <= units && (u + kLanes) * kWide <= depth; u += kLanes)
      store(to + u, units_along<kFactor>(from + u * kWide, kLanes * kWide));
    for (; u < units; u += kLanes)
      store_n(to + u, units_along<kFactor>(from + u * kWide, depth - u * kWide), clamp_lanes(units - u));
  }
}

// A as column tiles, `stride` floats apart: kMR of the `cols` columns of src (depth, ld) each, as [unit][kMR]; missing columns
// are zero. Whole vectors are read and stored where there are any: what is more than a tile's own columns is overwritten by the
// next unit, so a tile has kLanes floats of room behind its end. All tiles of a row before the next row, as in pack_direct.
template <Factor kFactor>
static void pack_columns(float* tiles, ptrdiff_t stride, const float* src, ptrdiff_t ld, int cols, int depth) {
  constexpr int kWide = kFactor == Factor::pairs ? 2 : 1;
  for (int d = 0; d < depth; d += kWide) {
    const float* from = src + ptrdiff_t(d) * ld;
    float* to = tiles + ptrdiff_t(d / kWide) * kMR;
    for (int col = 0; col < cols; col += kMR, to += stride) {
      prefetch_rows(from + kAhead * kWide * ld + col, ld, kWide, kMR);
      for (int v = 0; v < kMR; v += kLanes)
        store(to + v, units_across<kFactor>(from + col + v, ld, depth - d, clamp_lanes(cols - col - v)));
    }
  }
}

// sums[d mod 4][j] += src[d·ld + j]: four chains for each column, joined by join_sums, since one would wait for each addition.
static void add_columns(float* sums, ptrdiff_t stride, const float* src, ptrdiff_t ld, int cols, int depth) {
  for (int d = 0; d < depth; ++d)
    for (int j = 0; j < cols; j += kLanes) {
      const int n = clamp_lanes(cols - j);
      float* at = sums + (d & 3) * stride + j;
      store_n(at, add(load_n(at, n), load_n(src + d * ld + j, n)), n);
    }
}
static void join_sums(float* sum, const float* sums, ptrdiff_t stride, int cols) {
  for (int j = 0; j < cols; j += kLanes) {
    const int n = clamp_lanes(cols - j);
    const auto chain = [&](int d) { return load_n(sums + d * stride + j, n); };
    store_n(sum + j, add(add(chain(0), chain(1)), add(chain(2), chain(3))), n);
  }
}
