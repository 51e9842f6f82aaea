// rows.inl — ops that move, sum or average rows: embedding, gather, scatter, mean pooling. Specification:
// ../ref/embedding.h, ../ref/rows.h.
//
// A task is a few rows, or one row's stripe of kStripe columns where one row may have thousands of summands (the type
// table has one or two rows for the whole batch). Sums go in the order given.

constexpr int kStripe = 8 * kLanes;  // eight independent chains: what two adders of four cycles need

template <class Body>
static void for_rows(int rows, int C, ThreadPool& pool, Body body) {
  const int each = imax(1, 16384 / imax(C, 1));
  pool.run((rows + each - 1) / each, [&](int task, int) {
    for (int r = task * each; r < imin(rows, (task + 1) * each); ++r) body(r);
  });
}

// y (C) = Σ over i in [begin, end) of x[row(i)], times scale, columns [c, c + kStripe).
template <class Row>
static void sum_stripe(float* y, const float* x, int begin, int end, int c, int C, float scale, Row row) {
  const int width = imin(kStripe, C - c);
  V acc[8];
  for (int v = 0; v < 8; ++v) acc[v] = zero();
  for (int i = begin; i < end; ++i) {
    const float* from = x + ptrdiff_t(row(i)) * C + c;
    if (width == kStripe) {
      PF_UNROLL
      for (int v = 0; v < 8; ++v) acc[v] = add(acc[v], load(from + v * kLanes));
    } else {
      for (int v = 0; v * kLanes < width; ++v) acc[v] = add(acc[v], load_n(from + v * kLanes, clamp_lanes(width - v * kLanes)));
    }
  }
  for (int v = 0; v * kLanes < width; ++v)
    store_n(y + c + v * kLanes, mul(acc[v], set1(scale)), clamp_lanes(width - v * kLanes));
}

static void embedding_forward(float* x, const float* word, const float* position, const float* type, const int32_t* ids,
                              const int32_t* positions, const int32_t* types, int T, int C, ThreadPool& pool) {
  for_rows(T, C, pool, [&](int t) {
    const float *w = word + ptrdiff_t(ids[t]) * C, *p = position + ptrdiff_t(positions[t]) * C, *y = type + ptrdiff_t(types[t]) * C;
    for (int c = 0; c < C; c += kLanes) {
      const int n = clamp_lanes(C - c);
      store_n(x + ptrdiff_t(t) * C + c, add(add(load_n(w + c, n), load_n(p + c, n)), load_n(y + c, n)), n);
    }
  });
}

static void embedding_backward(float* drows, const float* dx, const int32_t* order, const int32_t* starts, int U, int C,
                               ThreadPool& pool) {
  const int stripes = (C + kStripe - 1) / kStripe;
  // Word rows are many and mostly read once: several rows a task.
  const int each = imax(1, U / (16 * pool.share()));
  const int row_tasks = (U + each - 1) / each;
  pool.run(row_tasks * stripes, [&](int task, int) {
    const int first = task / stripes * each, c = task % stripes * kStripe;
    for (int u = first; u < imin(U, first + each); ++u)
      sum_stripe(drows + ptrdiff_t(u) * C, dx, starts[u], starts[u + 1], c, C, 1.0f, [&](int i) { return order[i]; });
  });
}

static void gather_rows(float* y, const float* x, const int32_t* rows, int B, int C, ThreadPool& pool) {
  for_rows(B, C, pool, [&](int b) { memcpy(y + ptrdiff_t(b) * C, x + ptrdiff_t(rows[b]) * C, sizeof(float) * size_t(C)); });
}

static void scatter_rows(float* dx, const float* dy, const int32_t* rows, int B, int T, int C, bool accumulate, ThreadPool& pool) {
  if (!accumulate) for_rows(T, C, pool, [&](int t) { memset(dx + ptrdiff_t(t) * C, 0, sizeof(float) * size_t(C)); });
  for_rows(B, C, pool, [&](int b) {
    float* to = dx + ptrdiff_t(rows[b]) * C;
    const float* from = dy + ptrdiff_t(b) * C;
    if (!accumulate) {
      memcpy(to, from, sizeof(float) * size_t(C));
      return;
    }
    for (int c = 0; c < C; c += kLanes) {
      const int n = clamp_lanes(C - c);
      store_n(to + c, add(load_n(to + c, n), load_n(from + c, n)), n);
    }
  });
}

static void mean_pool_forward(float* y, const float* x, const int32_t* offsets, int B, int C, ThreadPool& pool) {
  const int stripes = (C + kStripe - 1) / kStripe;
  pool.run(B * stripes, [&](int task, int) {
    const int b = task / stripes, length = offsets[b + 1] - offsets[b];
    sum_stripe(y + ptrdiff_t(b) * C, x, offsets[b], offsets[b + 1], task % stripes * kStripe, C,
               length > 0 ? 1.0f / float(length) : 0.0f, [](int i) { return i; });
  });
}

static void mean_pool_backward(float* dx, const float* dy, const int32_t* offsets, int B, int C, ThreadPool& pool) {
  pool.run(B, [&](int b, int) {
    const V scale = set1(1.0f / float(imax(1, offsets[b + 1] - offsets[b])));
    for (int t = offsets[b]; t < offsets[b + 1]; ++t)
      for (int c = 0; c < C; c += kLanes) {
        const int n = clamp_lanes(C - c);
        store_n(dx + ptrdiff_t(t) * C + c, mul(load_n(dy + ptrdiff_t(b) * C + c, n), scale), n);
      }
  });
}
