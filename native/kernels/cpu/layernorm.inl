// layernorm.inl — dropout + residual + layer norm + dropout as one op, and its gradient. Specification: ../ref/layernorm.h.
//
// A row is read once from memory and stays in L1 for its three passes. Column sums (dgain, dbias) are made by blocks of
// kNormRows rows, each in row order, then joined in block order: the bits do not depend on the threads.
// Check: ctest -R layernorm. Time: bench/kernels/rows.

constexpr int kNormRows = 16;

struct Masks {
  Keep inner, outer;
  bool has_inner, has_outer;
  Masks(const Dropout& in, const Dropout& out)
      : inner(make_keep(in)), outer(make_keep(out)), has_inner(in.p != 0.0f), has_outer(out.p != 0.0f) {}
  // Floats for the factors of one row, of one mask.
  static size_t room(int C) { return size_t(C) + 3 * size_t(kPhiloxBlock); }
};

static void layernorm_forward(float* y, float* z, float* mean, float* rstd, const float* x, const float* residual, const float* gain,
                              const float* bias, const Dropout& inner, const Dropout& outer, float eps, int T, int C,
                              ThreadPool& pool) {
  const Masks masks(inner, outer);
  pool.run((T + kNormRows - 1) / kNormRows, [&](int task, int thread) {
    float* buffer = static_cast<float*>(pool.scratch(thread, sizeof(float) * Masks::room(C)));
    for (int t = task * kNormRows; t < imin(T, (task + 1) * kNormRows); ++t) {
      const ptrdiff_t row = ptrdiff_t(t) * C;
      // Pointers of the row in locals, here and below: those of the lambda would be read again after every store.
      const float *in = x + row, *add_to = residual ? residual + row : nullptr;
      float* value = z ? z + row : y + row;
      const float* factor = masks.has_inner ? dropout_factors(buffer, masks.inner, uint64_t(row), C) : nullptr;
      // Two chains of additions each, of even and of odd vectors.
      V sum0 = zero(), sum1 = zero();
      const auto place = [&](int c, V& sum) {
        const int n = clamp_lanes(C - c);
        V v = load_n(in + c, n);
        if (factor) v = mul(v, load(factor + c));
        if (add_to) v = add(v, load_n(add_to + c, n));
        store_n(value + c, v, n);
        sum = add(sum, v);
      };
      for (int c = 0; c < C; c += 2 * kLanes) {
        place(c, sum0);
        if (c + kLanes < C) place(c + kLanes, sum1);
      }
      const float mu = sum_lanes(add(sum0, sum1)) / float(C);
      const V mu_v = set1(mu);
      V squares0 = zero(), squares1 = zero();
      const auto square = [&](int c, V& squares) {
        const int n = clamp_lanes(C - c);
        V d = sub(load_n(value + c, n), mu_v);
        if (n < kLanes) d = only(first_lanes(n), d);
        squares = fma(d, d, squares);
      };
      for (int c = 0; c < C; c += 2 * kLanes) {
        square(c, squares0);
        if (c + kLanes < C) square(c + kLanes, squares1);
      }
      const float r = 1.0f / ::sqrtf(sum_lanes(add(squares0, squares1)) / float(C) + eps);
      const V r_v = set1(r);
      const float* keep = masks.has_outer ? dropout_factors(buffer, masks.outer, uint64_t(row), C) : nullptr;
      const float *scale = gain, *shift = bias;
      float* out = y + row;
      for (int c = 0; c < C; c += kLanes) {
        const int n = clamp_lanes(C - c);
        V v = mul(sub(load_n(value + c, n), mu_v), r_v);
        v = fma(v, load_n(scale + c, n), load_n(shift + c, n));
        if (keep) v = mul(v, load(keep + c));
        store_n(out + c, v, n);
      }
      if (mean) mean[t] = mu;
      if (rstd) rstd[t] = r;
    }
  });
}

static void layernorm_backward(float* dx, float* dz, float* y, float* dgain, float* dbias, const float* dy, const float* z,
                               const float* mean, const float* rstd, const float* gain, const float* bias, const Dropout& inner,
                               const Dropout& outer, int T, int C, ThreadPool& pool) {
  const Masks masks(inner, outer);
  const int blocks = (T + kNormRows - 1) / kNormRows, padded = (C + kLanes - 1) / kLanes * kLanes;
  const bool columns = dgain || dbias;
  float* partial = columns ? static_cast<float*>(pool.shared_scratch(sizeof(float) * 2 * size_t(blocks) * size_t(padded))) : nullptr;
  pool.run(blocks, [&](int task, int thread) {
    float* buffer = static_cast<float*>(pool.scratch(thread, sizeof(float) * Masks::room(C)));
    float* gain_sum = columns ? partial + ptrdiff_t(task) * 2 * padded : nullptr;
    float* bias_sum = columns ? gain_sum + padded : nullptr;
    const int begin = task * kNormRows, end = imin(T, begin + kNormRows);
    for (int t = begin; t < end; ++t) {
      const ptrdiff_t row = ptrdiff_t(t) * C;
      const float* keep = masks.has_outer ? dropout_factors(buffer, masks.outer, uint64_t(row), C) : nullptr;
      const float *gradient = dy + row, *in = z + row, *scale = gain, *shift = bias;
      const V mu = set1(mean[t]), r = set1(rstd[t]);
      V sum = zero(), dot_sum = zero();
      for (int c = 0; c < C; c += kLanes) {
        const int n = clamp_lanes(C - c);
        V g = load_n(gradient + c, n);
        if (keep) g = mul(g, load(keep + c));
        const V normal = mul(sub(load_n(in + c, n), mu), r);
        if (columns) {
          const V weighted = mul(g, normal);
          store(gain_sum + c, t == begin ? weighted : add(load(gain_sum + c), weighted));
          store(bias_sum + c, t == begin ? g : add(load(bias_sum + c), g));
        }
        g = mul(g, load_n(scale + c, n));
        sum = add(sum, g);
        dot_sum = fma(g, normal, dot_sum);
      }
      const V mean_g = set1(sum_lanes(sum) / float(C)), mean_gn = set1(sum_lanes(dot_sum) / float(C));
      float *out = dz + row, *again = y ? y + row : nullptr;
      for (int c = 0; c < C; c += kLanes) {
        const int n = clamp_lanes(C - c);
        V g = load_n(gradient + c, n);
        if (keep) g = mul(g, load(keep + c));
        const V normal = mul(sub(load_n(in + c, n), mu), r);
        const V gain_v = load_n(scale + c, n);
        store_n(out + c, mul(r, fnma(normal, mean_gn, sub(mul(g, gain_v), mean_g))), n);
        if (!again) continue;
        V value = fma(normal, gain_v, load_n(shift + c, n));
        if (keep) value = mul(value, load(keep + c));
        store_n(again + c, value, n);
      }
      if (!dx) continue;
      if (!masks.has_inner) {
        if (dx != dz) memcpy(dx + row, dz + row, sizeof(float) * size_t(C));
        continue;
      }
      const float* factor = dropout_factors(buffer, masks.inner, uint64_t(row), C);
      for (int c = 0; c < C; c += kLanes) {
        const int n = clamp_lanes(C - c);
        store_n(dx + row + c, mul(load_n(dz + row + c, n), load(factor + c)), n);
      }
    }
  });
  if (!columns) return;
  pool.run((C + kStripe - 1) / kStripe, [&](int task, int) {
    for (int c = task * kStripe; c < imin(C, (task + 1) * kStripe); c += kLanes) {
      const int n = clamp_lanes(C - c);
      V g = zero(), b = zero();
      for (int block = 0; block < blocks; ++block) {
        g = add(g, load(partial + ptrdiff_t(block) * 2 * padded + c));
        b = add(b, load(partial + ptrdiff_t(block) * 2 * padded + padded + c));
      }
      if (dgain) store_n(dgain + c, g, n);
      if (dbias) store_n(dbias + c, b, n);
    }
  });
}
