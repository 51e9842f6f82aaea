// elementwise.inl — dropout, tanh, add: one pass over n floats in chunks. Specification: ../ref/dropout.h, ../ref/rows.h.

constexpr size_t kChunk = 16384;  // floats of a task: 64 KB, some microseconds. A multiple of 4, for the dropout words.

template <class Body>
static void for_chunks(size_t n, ThreadPool& pool, Body body) {
  pool.run(int((n + kChunk - 1) / kChunk), [&](int task, int) {
    const size_t begin = size_t(task) * kChunk;
    body(begin, n - begin < kChunk ? n - begin : kChunk);
  });
}

static void dropout(float* y, const float* x, const Dropout& d, size_t n, ThreadPool& pool) {
  if (d.p == 0.0f) {
    if (y != x) for_chunks(n, pool, [&](size_t begin, size_t count) { memcpy(y + begin, x + begin, count * sizeof(float)); });
    return;
  }
  const Keep keep = make_keep(d);
  for_chunks(n, pool, [&](size_t begin, size_t count) {
    constexpr int kStep = 512;
    float buffer[kStep + 2 * kPhiloxBlock];
    for (size_t i = begin; i < begin + count; i += kStep) {
      const int n_step = int(begin + count - i < kStep ? begin + count - i : kStep);
      const float* factor = dropout_factors(buffer, keep, i, n_step);
      for (int j = 0; j < n_step; j += kLanes) {
        const int lanes = clamp_lanes(n_step - j);
        store_n(y + i + j, mul(load_n(x + i + j, lanes), load(factor + j)), lanes);
      }
    }
  });
}

static void tanh_forward(float* y, const float* x, size_t n, ThreadPool& pool) {
  for_chunks(n, pool, [&](size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; i += kLanes) {
      const int lanes = begin + count - i < size_t(kLanes) ? int(begin + count - i) : kLanes;
      store_n(y + i, tanh(load_n(x + i, lanes)), lanes);
    }
  });
}

static void tanh_backward(float* dx, const float* dy, const float* y, size_t n, ThreadPool& pool) {
  for_chunks(n, pool, [&](size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; i += kLanes) {
      const int lanes = begin + count - i < size_t(kLanes) ? int(begin + count - i) : kLanes;
      const V value = load_n(y + i, lanes);
      store_n(dx + i, mul(load_n(dy + i, lanes), fnma(value, value, set1(1.0f))), lanes);
    }
  });
}

static void add_into(float* y, const float* x, size_t n, ThreadPool& pool) {
  for_chunks(n, pool, [&](size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count; i += kLanes) {
      const int lanes = begin + count - i < size_t(kLanes) ? int(begin + count - i) : kLanes;
      store_n(y + i, add(load_n(y + i, lanes), load_n(x + i, lanes)), lanes);
    }
  });
}
