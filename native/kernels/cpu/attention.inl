// attention.inl — attention of packed sequences, forward and backward, a (sequence, head) a task. Specification:
// ../ref/attention.h.
//
// Every product is the tile of tile.inl: scores q·kᵀ and p·v read activations by rows, dk and dv read p and ds by columns,
// so only k (and v in backward) must be packed, transposed. Queries go in blocks: scratch holds kQueries x keys scores,
// never T x T. Backward computes the probabilities again from lse. Short sequences (5–50 tokens) are one block, and a
// 16-column tile where 32 would be half empty.
// Not here: bf16 (the scores' exponent wants the digits, and the whole op is 4–10 % of a step), key blocks with a running
// maximum (rows of 8192 scores still fit L2). Check: ctest -R attention. Time: bench/kernels/attention.

// Queries of a block, by the keys of its sequence: many, so that dk and dv gain from long reductions, and few where two rows
// of scores for each would leave L2 (AVX2: 2 x 48 x 512 floats, 196 KB). Part of the numerics: dk and dv are rounded between blocks.
constexpr int kQueries = 8 * kMR;
constexpr int kQueriesOfLong = 2 * kMR;
constexpr int kLong = 512;
static int block_queries(int keys, bool causal) { return causal || keys > kLong ? kQueriesOfLong : kQueries; }

static int next_rows(int left) { return left <= kMR ? left : left < 2 * kMR ? (left + 1) / 2 : kMR; }
static int round_up(int n, int to) { return (n + to - 1) / to * to; }

// C (rows, cols) = or += A·B, B a matrix of `cols` columns that may be read only in [0, cols). A panel of it is copied to
// `panel` (units·kNR floats) when it is not whole vectors, or when many tiles read it: heads lie so far apart in q, k and v
// that their rows fall on a few sets of the cache.
template <Layout kLayout>
static void product(float* c, ptrdiff_t ldc, int rows, int cols, const float* a, ptrdiff_t lda, const float* b, ptrdiff_t ldb,
                    int units, bool add_to, float* panel) {
  static const Tiles<Mac::f32, kLayout, Strides::any, 2> wide;
  static const Tiles<Mac::f32, kLayout, kLayout == Layout::rows ? Strides::packed : Strides::any, 2> panels;
  static const Tiles<Mac::f32, kLayout, Strides::any, 1> narrow;
  for (int col = 0; col < cols; col += kNR) {
    const int n = imin(kNR, cols - col);
    const float* from = b + col;
    ptrdiff_t ld = ldb;
    if (n % kLanes != 0 || rows >= 4 * kMR) {
      pack_direct<Factor::f32>(panel, 0, from, ldb, n, units, 0, units);
      from = panel;
      ld = kNR;
    }
    const TileFn* tiles = n <= kLanes ? narrow.fn : ld == kNR ? panels.fn : wide.fn;
    for (int r = 0, count; r < rows; r += count) {
      count = next_rows(rows - r);
      tiles[count](c + r * ldc + col, ldc, n, kLayout == Layout::rows ? a + r * lda : a + r, lda, from, ld, units, add_to);
    }
  }
}

// C (rows, keys rounded up to whole vectors) = A·Bᵀ with Bᵀ in packed panels of depth D.
static void scores(float* c, ptrdiff_t ldc, int rows, int keys, const float* a, ptrdiff_t lda, const float* panels, int D) {
  static const Tiles<Mac::f32, Layout::rows, Strides::packed, 2> wide;
  static const Tiles<Mac::f32, Layout::rows, Strides::packed, 1> narrow;
  for (int col = 0; col < keys; col += kNR, panels += ptrdiff_t(D) * kNR) {
    const bool half = keys - col <= kLanes;
    for (int r = 0, count; r < rows; r += count) {
      count = next_rows(rows - r);
      (half ? narrow.fn : wide.fn)[count](c + r * ldc + col, ldc, half ? kLanes : kNR, a + r * lda, lda, panels, kNR, D, false);
    }
  }
}

static void pack_keys(float* panels, const float* k, int ldkv, int keys, int D) {
  for (int j = 0; j < keys; j += kNR, panels += ptrdiff_t(D) * kNR)
    pack_transposed<Factor::f32>(panels, k + ptrdiff_t(j) * ldkv, ldkv, imin(kNR, keys - j), D, 0, D);
}

// What a task needs to know of its sequence, and its scratch.
struct AttentionTask {
  int h, begin, keys;
  int block;  // queries of a block
  int ld;     // row stride of score buffers
  float *keys_t, *values_t, *p, *ds, *panel, *factors;
};

// A line more than the keys need, or rows of a power of two would fall on a few sets of the cache.
static int score_stride(int keys) { return round_up(keys, kNR) + kLine; }

struct AttentionScratch {
  size_t panels = 0, block = 0, panel = 0, factors = 0;

  explicit AttentionScratch(const AttentionShape& s) {
    int longest = 0;
    for (int b = 0; b < s.B; ++b) longest = imax(longest, s.offsets[b + 1] - s.offsets[b]);
    panels = size_t(round_up(longest, kNR)) * size_t(s.D);
    block = size_t(imax(kQueries * score_stride(imin(longest, kLong)), kQueriesOfLong * score_stride(longest)));
    panel = size_t(kNR) * size_t(imax(longest, kQueries));
    factors = size_t(round_up(longest, kNR)) + 2 * kPhiloxBlock;
  }
  AttentionTask task(const AttentionShape& s, int index, int thread, ThreadPool& pool, bool backward) const {
    AttentionTask t{};
    const int b = index / s.H;
    t.h = index % s.H;
    t.begin = s.offsets[b];
    t.keys = s.offsets[b + 1] - t.begin;
    t.block = block_queries(t.keys, s.causal);
    t.ld = score_stride(t.keys);
    const size_t floats = (panels + block) * (backward ? 2 : 1) + panel + factors;
    float* at = static_cast<float*>(pool.scratch(thread, sizeof(float) * floats));
    t.keys_t = at;
    t.p = t.keys_t + panels;
    t.panel = t.p + block;
    t.factors = t.panel + panel;
    t.values_t = t.factors + factors;
    t.ds = t.values_t + panels;
    return t;
  }
};

// Mask element of query i of the task, key 0.
static uint64_t mask_element(const AttentionTask& t, const AttentionShape& s, int i) {
  return (uint64_t(t.begin + i) * uint64_t(s.H) + uint64_t(t.h)) << 16;
}

// Row of scores -> unnormalised probabilities over [0, padded), zero behind `keys`. Returns their sum, and the maximum.
static float softmax_row(float* p, int keys, int padded, float scale, float* top) {
  const V minus_infinity = set1(-INFINITY);
  V most = minus_infinity;
  for (int j = 0; j < padded; j += kLanes) {
    V x = load(p + j);
    if (j + kLanes > keys) {
      x = select(first_lanes(clamp_lanes(keys - j)), x, minus_infinity);
      store(p + j, x);
    }
    most = max(most, x);
  }
  const float m = max_lanes(most) * scale;
  const V factor = set1(scale), shift = set1(-m);
  V sum = zero();
  for (int j = 0; j < padded; j += kLanes) {
    const V e = exp(fma(load(p + j), factor, shift));
    store(p + j, e);
    sum = add(sum, e);
  }
  *top = m;
  return sum_lanes(sum);
}

static void attention_forward(float* out, float* lse, const float* q, int ldq, const float* k, const float* v, int ldkv,
                              const AttentionShape& s, const Dropout& dropout, Precision, ThreadPool& pool) {
  const AttentionScratch scratch(s);
  const Keep keep = make_keep(dropout);
  const int C = s.H * s.D;
  pool.run(s.B * s.H, [&](int index, int thread) {
    const AttentionTask t = scratch.task(s, index, thread, pool, false);
    if (t.keys == 0) return;
    const ptrdiff_t head = ptrdiff_t(t.h) * s.D, first_key = ptrdiff_t(t.begin) * ldkv + head;
    pack_keys(t.keys_t, k + first_key, ldkv, t.keys, s.D);
    for (int i = 0; i < t.keys; i += t.block) {
      const int rows = imin(t.block, t.keys - i), keys = s.causal ? imin(t.keys, i + rows) : t.keys;
      const int padded = round_up(keys, kLanes);
      scores(t.p, t.ld, rows, keys, q + ptrdiff_t(t.begin + i) * ldq + head, ldq, t.keys_t, s.D);
      float sums[kQueries + kLanes], tops[kQueries + kLanes];
      for (int r = 0; r < rows; ++r) {
        float* p = t.p + ptrdiff_t(r) * t.ld;
        sums[r] = softmax_row(p, s.causal ? i + r + 1 : keys, padded, s.scale, tops + r);
        if (dropout.p == 0.0f) continue;
        const float* factor = dropout_factors(t.factors, keep, mask_element(t, s, i + r), padded);
        for (int j = 0; j < padded; j += kLanes) store(p + j, mul(load(p + j), load(factor + j)));
      }
      float* out_i = out + ptrdiff_t(t.begin + i) * C + head;
      product<Layout::rows>(out_i, C, rows, s.D, t.p, t.ld, v + first_key, ldkv, keys, false, t.panel);
      for (int r = 0; r < rows; ++r) {
        const V inverse = div(set1(1.0f), set1(sums[r]));
        for (int d = 0; d < s.D; d += kLanes) {
          float* at = out_i + ptrdiff_t(r) * C + d;
          const int n = clamp_lanes(s.D - d);
          store_n(at, mul(load_n(at, n), inverse), n);
        }
      }
      if (!lse) continue;
      for (int r = 0; r < rows; r += kLanes) store(sums + r, add(load(tops + r), log(load(sums + r))));
      for (int r = 0; r < rows; ++r) lse[ptrdiff_t(t.begin + i + r) * s.H + t.h] = sums[r];
    }
  });
}

// Row r: scores -> dropped probabilities p, and dp -> ds = p·(dp·factor - delta)·scale.
static void softmax_backward_row(float* p, float* ds, const float* factor, int keys, int padded, float lse, float delta,
                                 float scale) {
  const V scale_v = set1(scale), shift = set1(-lse), delta_v = set1(delta);
  for (int j = 0; j < padded; j += kLanes) {
    V e = exp(fma(load(p + j), scale_v, shift));
    if (j + kLanes > keys) e = only(first_lanes(clamp_lanes(keys - j)), e);
    V dp = load(ds + j), dropped = e;
    if (factor) {
      const V f = load(factor + j);
      dp = mul(dp, f);
      dropped = mul(e, f);
    }
    store(p + j, dropped);
    // One visible key: p is 1 whatever its score, so ds is 0, not the difference of two roundings.
    store(ds + j, keys == 1 ? zero() : mul(mul(e, sub(dp, delta_v)), scale_v));
  }
}

static float dot(const float* a, const float* b, int n) {
  V sum = zero();
  for (int d = 0; d < n; d += kLanes) {
    const int lanes = clamp_lanes(n - d);
    sum = fma(load_n(a + d, lanes), load_n(b + d, lanes), sum);
  }
  return sum_lanes(sum);
}

static void attention_backward(float* dq, float* dk, float* dv, const float* dout, const float* out, const float* lse,
                               const float* q, int ldq, const float* k, const float* v, int ldkv, const AttentionShape& s,
                               const Dropout& dropout, Precision, ThreadPool& pool) {
  const AttentionScratch scratch(s);
  const Keep keep = make_keep(dropout);
  const int C = s.H * s.D;
  pool.run(s.B * s.H, [&](int index, int thread) {
    const AttentionTask t = scratch.task(s, index, thread, pool, true);
    if (t.keys == 0) return;
    const ptrdiff_t head = ptrdiff_t(t.h) * s.D, first_key = ptrdiff_t(t.begin) * ldkv + head;
    pack_keys(t.keys_t, k + first_key, ldkv, t.keys, s.D);
    pack_keys(t.values_t, v + first_key, ldkv, t.keys, s.D);
    // A causal block reaches only some keys: start from zero and add.
    for (int j = 0; s.causal && j < t.keys; ++j) {
      memset(dk + first_key + ptrdiff_t(j) * ldkv, 0, sizeof(float) * size_t(s.D));
      memset(dv + first_key + ptrdiff_t(j) * ldkv, 0, sizeof(float) * size_t(s.D));
    }
    for (int i = 0; i < t.keys; i += t.block) {
      const int rows = imin(t.block, t.keys - i), keys = s.causal ? imin(t.keys, i + rows) : t.keys;
      const int padded = round_up(keys, kLanes);
      const int row = t.begin + i;
      const float* q_i = q + ptrdiff_t(row) * ldq + head;
      const float* dout_i = dout + ptrdiff_t(row) * C + head;
      const float* out_i = out + ptrdiff_t(row) * C + head;
      prefetch_rows(out_i, C, rows, s.D);  // for delta: a line or two a row, from memory
      scores(t.p, t.ld, rows, keys, q_i, ldq, t.keys_t, s.D);
      scores(t.ds, t.ld, rows, keys, dout_i, C, t.values_t, s.D);
      for (int r = 0; r < rows; ++r) {
        const float delta = dot(dout_i + ptrdiff_t(r) * C, out_i + ptrdiff_t(r) * C, s.D);
        const float* factor = nullptr;
        if (dropout.p != 0.0f) factor = dropout_factors(t.factors, keep, mask_element(t, s, i + r), padded);
        softmax_backward_row(t.p + ptrdiff_t(r) * t.ld, t.ds + ptrdiff_t(r) * t.ld, factor, s.causal ? i + r + 1 : keys, padded,
                             lse[ptrdiff_t(row + r) * s.H + t.h], delta, s.scale);
      }
      const bool add_to = s.causal || i > 0;
      product<Layout::rows>(dq + ptrdiff_t(row) * ldq + head, ldq, rows, s.D, t.ds, t.ld, k + first_key, ldkv, keys, false, t.panel);
      product<Layout::columns>(dv + first_key, ldkv, keys, s.D, t.p, t.ld, dout_i, C, rows, add_to, t.panel);
      product<Layout::columns>(dk + first_key, ldkv, keys, s.D, t.ds, t.ld, q_i, ldq, rows, add_to, t.panel);
    }
  });
}
