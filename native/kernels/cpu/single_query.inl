// single_query.inl — attention of one query a sequence over its rows, without keys and values. Specification and why it is
// the same: ../ref/single_query.h.
//
// All heads of a sequence are one small matrix (H, C), so a sequence is a task and its products are those of attention.inl,
// with H rows or a reduction of H. The products with Wk and Wv are a task a head, over the B rows of the batch.
// Not here: bf16 (under 1 % of a step with nothing frozen; a third of one with all below cached, which is short anyway),
// splitting a sequence. Check: ctest -R single_query. Time: bench/kernels/attention.

struct SingleQueryTask {
  int begin, keys, padded;
  int ld;  // row stride of p and ds (H, keys)
  float *p, *ds, *panels, *columns, *panel, *factors;
};

struct SingleQueryScratch {
  size_t rows = 0, panels = 0, columns = 0, panel = 0, factors = 0;

  explicit SingleQueryScratch(const AttentionShape& s) {
    int longest = 0;
    for (int b = 0; b < s.B; ++b) longest = imax(longest, s.offsets[b + 1] - s.offsets[b]);
    rows = size_t(s.H) * size_t(score_stride(longest));
    panels = size_t(round_up(s.H, kNR)) * size_t(s.H * s.D);
    columns = size_t(longest) * size_t(round_up(s.H, kNR));
    panel = size_t(kNR) * size_t(imax(longest, s.H));
    factors = size_t(round_up(longest, kNR)) + 2 * kPhiloxBlock;
  }
  SingleQueryTask task(const AttentionShape& s, int b, int thread, ThreadPool& pool) const {
    SingleQueryTask t{};
    t.begin = s.offsets[b];
    t.keys = s.offsets[b + 1] - t.begin;
    t.padded = round_up(t.keys, kLanes);
    t.ld = score_stride(t.keys);
    t.p = static_cast<float*>(pool.scratch(thread, sizeof(float) * (2 * rows + panels + columns + panel + factors)));
    t.ds = t.p + rows;
    t.panels = t.ds + rows;
    t.columns = t.panels + panels;
    t.panel = t.columns + columns;
    t.factors = t.panel + panel;
    return t;
  }
};

// `scores` of a reduction of C, in partial sums of kSum: a score is one chain of C terms here, where keys would have had chains
// of D for it, and e^score passes on what a long one rounds. Sums of 32 and 64 broke the rule of tests/golden.
constexpr int kSum = 16;
static void long_scores(float* c, ptrdiff_t ldc, int rows, int cols, const float* a, ptrdiff_t lda, const float* panels, int units) {
  static const Tiles<Mac::f32, Layout::rows, Strides::packed, 2> wide;
  static const Tiles<Mac::f32, Layout::rows, Strides::packed, 1> narrow;
  for (int col = 0; col < cols; col += kNR, panels += ptrdiff_t(units) * kNR) {
    const bool half = cols - col <= kLanes;
    for (int k = 0; k < units; k += kSum)
      for (int r = 0, count; r < rows; r += count) {
        count = next_rows(rows - r);
        (half ? narrow.fn : wide.fn)[count](c + r * ldc + col, ldc, half ? kLanes : kNR, a + r * lda + k, lda,
                                            panels + ptrdiff_t(k) * kNR, kNR, imin(kSum, units - k), k > 0);
      }
  }
}

// c (H, keys) = u·xᵀ, u (H, C), zero up to `padded`. The side with fewer rows is packed, so it comes out transposed.
static void products_with_rows(float* c, const float* u, const float* x, const AttentionShape& s, const SingleQueryTask& t) {
  const int C = s.H * s.D, ld = round_up(s.H, kNR);
  pack_keys(t.panels, u, C, s.H, C);
  long_scores(t.columns, ld, t.keys, s.H, x, C, t.panels, C);
  for (int h = 0; h < s.H; ++h) {
    float* row = c + ptrdiff_t(h) * t.ld;
    for (int j = 0; j < t.keys; ++j) row[j] = t.columns[ptrdiff_t(j) * ld + h];
    for (int j = t.keys; j < t.padded; ++j) row[j] = 0.0f;
  }
}

// Factors of the dropout mask of head h, or null without dropout.
static const float* head_factors(const SingleQueryTask& t, const AttentionShape& s, const Dropout& dropout, const Keep& keep, int h) {
  if (dropout.p == 0.0f) return nullptr;
  return dropout_factors(t.factors, keep, (uint64_t(t.begin) * uint64_t(s.H) + uint64_t(h)) << 16, t.padded);
}

static void single_query_forward(float* y, float* lse, float* sums, const float* x, const float* u, const AttentionShape& s,
                                 const Dropout& dropout, ThreadPool& pool) {
  const SingleQueryScratch scratch(s);
  const Keep keep = make_keep(dropout);
  const ptrdiff_t C = ptrdiff_t(s.H) * s.D;
  pool.run(s.B, [&](int b, int thread) {
    const SingleQueryTask t = scratch.task(s, b, thread, pool);
    const float* x_b = x + t.begin * C;
    products_with_rows(t.p, u + b * s.H * C, x_b, s, t);
    for (int h = 0; h < s.H; ++h) {
      float* p = t.p + ptrdiff_t(h) * t.ld;
      float top;
      const V sum = set1(softmax_row(p, t.keys, t.padded, s.scale, &top));
      if (lse) lse[b * s.H + h] = top + max_lanes(log(sum));
      const float* factor = head_factors(t, s, dropout, keep, h);
      const V inverse = div(set1(1.0f), sum);
      V total = zero();
      for (int j = 0; j < t.padded; j += kLanes) {
        const V scaled = mul(load(p + j), inverse), dropped = factor ? mul(scaled, load(factor + j)) : scaled;
        store(p + j, dropped);
        total = add(total, dropped);
      }
      sums[b * s.H + h] = sum_lanes(total);
    }
    product<Layout::rows>(y + b * s.H * C, C, s.H, int(C), t.p, t.ld, x_b, C, t.keys, false, t.panel);
  });
}

// Of one head: scores -> dropped probabilities p, and products dy·x -> ds. Without dropout the probabilities sum to 1
// whatever x and u are: dsum has no say, and would only be rounded.
static void single_query_backward_row(float* p, float* ds, const float* factor, const SingleQueryTask& t, float lse, float dsum,
                                      float scale) {
  V delta = zero();  // Σ_j p_j·dp_j
  for (int j = 0; j < t.padded; j += kLanes) {
    const V e = exp(fma(load(p + j), set1(scale), set1(-lse)));
    store(p + j, j + kLanes > t.keys ? only(first_lanes(clamp_lanes(t.keys - j)), e) : e);
    if (factor) store(ds + j, mul(add(load(ds + j), set1(dsum)), load(factor + j)));
    delta = fma(load(p + j), load(ds + j), delta);
  }
  const V delta_v = set1(sum_lanes(delta)), scale_v = set1(scale);
  for (int j = 0; j < t.padded; j += kLanes) {
    const V e = load(p + j);
    // One key: p is 1 whatever its score, so ds is 0, not the difference of two roundings.
    store(ds + j, t.keys == 1 ? zero() : mul(mul(e, sub(load(ds + j), delta_v)), scale_v));
    if (factor) store(p + j, mul(e, load(factor + j)));
  }
}

static void single_query_backward(float* dx, float* du, const float* dy, const float* dsums, const float* lse, const float* x,
                                  const float* u, const AttentionShape& s, const Dropout& dropout, ThreadPool& pool) {
  const SingleQueryScratch scratch(s);
  const Keep keep = make_keep(dropout);
  const ptrdiff_t C = ptrdiff_t(s.H) * s.D;
  pool.run(s.B, [&](int b, int thread) {
    const SingleQueryTask t = scratch.task(s, b, thread, pool);
    const float *x_b = x + t.begin * C, *u_b = u + b * s.H * C, *dy_b = dy + b * s.H * C;
    products_with_rows(t.p, u_b, x_b, s, t);
    products_with_rows(t.ds, dy_b, x_b, s, t);
    for (int h = 0; h < s.H; ++h)
      single_query_backward_row(t.p + ptrdiff_t(h) * t.ld, t.ds + ptrdiff_t(h) * t.ld, head_factors(t, s, dropout, keep, h), t,
                                lse[b * s.H + h], dsums[b * s.H + h], s.scale);
    product<Layout::rows>(du + b * s.H * C, C, s.H, int(C), t.ds, t.ld, x_b, C, t.keys, false, t.panel);
    if (!dx) return;
    product<Layout::columns>(dx + t.begin * C, C, t.keys, int(C), t.p, t.ld, dy_b, C, s.H, false, t.panel);
    product<Layout::columns>(dx + t.begin * C, C, t.keys, int(C), t.ds, t.ld, u_b, C, s.H, true, t.panel);
  });
}

static void by_head_expand(float* y, float* sums, const float* x, const float* w, const float* bias, int B, int H, int D,
                           ThreadPool& pool) {
  const ptrdiff_t C = ptrdiff_t(H) * D;
  pool.run(H, [&](int h, int thread) {
    float* panel = static_cast<float*>(pool.scratch(thread, sizeof(float) * size_t(kNR * D)));
    product<Layout::rows>(y + h * C, H * C, B, int(C), x + h * D, C, w + h * D * C, C, D, false, panel);
    for (int b = 0; sums && b < B; ++b) sums[b * H + h] = dot(x + b * C + h * D, bias + h * D, D);
  });
}

static void by_head_reduce(float* y, const float* x, const float* sums, const float* w, const float* bias, int B, int H, int D,
                           ThreadPool& pool) {
  constexpr int kRows = 8 * kMR;
  const ptrdiff_t C = ptrdiff_t(H) * D;
  const int ld = round_up(D, kNR);
  pool.run(H, [&](int h, int thread) {
    float* panels = static_cast<float*>(pool.scratch(thread, sizeof(float) * size_t(ld) * size_t(C + kRows)));
    float* block = panels + ld * C;
    pack_keys(panels, w + h * D * C, int(C), D, int(C));
    for (int begin = 0; begin < B; begin += kRows) {
      const int rows = imin(kRows, B - begin);
      long_scores(block, ld, rows, D, x + (ptrdiff_t(begin) * H + h) * C, H * C, panels, int(C));
      for (int r = 0; r < rows; ++r) {
        float* to = y + (begin + r) * C + h * D;
        for (int d = 0; d < D; d += kLanes) {
          const int n = clamp_lanes(D - d);
          const V sum = load(block + r * ld + d);
          store_n(to + d, bias ? fma(set1(sums[(begin + r) * H + h]), load_n(bias + h * D + d, n), sum) : sum, n);
        }
      }
    }
  });
}

static void by_head_backward_weight(float* dw, float* dbias, const float* dy, const float* x, const float* sums, int B, int H, int D,
                                    ThreadPool& pool) {
  const ptrdiff_t C = ptrdiff_t(H) * D;
  pool.run(H, [&](int h, int thread) {
    float* panel = static_cast<float*>(pool.scratch(thread, sizeof(float) * size_t(kNR) * size_t(B)));
    product<Layout::columns>(dw + h * D * C, C, D, int(C), dy + h * D, C, x + h * C, H * C, B, false, panel);
    for (int d = 0; d < D; d += kLanes) {
      const int n = clamp_lanes(D - d);
      V sum = zero();
      for (int b = 0; sums && b < B; ++b) sum = fma(set1(sums[b * H + h]), load_n(dy + b * C + h * D + d, n), sum);
      store_n(dbias + h * D + d, sum, n);
    }
  });
}
