// adamw.inl — AdamW and the sum of squares for clipping. Specification: ../ref/adamw.h.
//
// The scalars are those of ref::AdamWScalars, made here again: a template shared with other files must not be compiled for
// an instruction set (simd.h). One pass: 16 bytes read and 12 written a parameter; it runs at memory bandwidth, so nothing here is about arithmetic.
// adamw_idle is the same update with g = 0, several steps while the row is in registers: same function, same bits.
// Check: ctest -R adamw. Time: bench/kernels/rows.

struct AdamWLanes {
  V decay, beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction2, epsilon;
};

static AdamWLanes adamw_lanes(const AdamWStep& s) {
  return {set1(float(1.0 - s.lr * s.weight_decay)), set1(float(s.beta1)), set1(float(1.0 - s.beta1)), set1(float(s.beta2)),
          set1(float(1.0 - s.beta2)), set1(float(s.lr / s.correction1)), set1(float(::sqrt(s.correction2))),
          set1(float(s.epsilon))};
}

PF_INLINE void adamw_update(V* p, V* m, V* v, V g, const AdamWLanes& s) {
  *m = fma(s.beta1, *m, mul(s.one_minus_beta1, g));
  *v = fma(s.beta2, *v, mul(mul(s.one_minus_beta2, g), g));
  const V denominator = add(div(sqrt(*v), s.root_correction2), s.epsilon);
  *p = fnma(s.step_size, div(*m, denominator), mul(*p, s.decay));
}

static void adamw(float* p, float* m, float* v, const float* g, float grad_scale, const AdamWStep& step, size_t n, ThreadPool& pool) {
  for_chunks(n, pool, [&](size_t begin, size_t count) {
    const AdamWLanes s = adamw_lanes(step);
    const V clip = set1(grad_scale);
    const size_t end = begin + count;
    for (size_t i = begin; i < end; i += kLanes) {
      const int lanes = end - i < size_t(kLanes) ? int(end - i) : kLanes;
      V p_v = load_n(p + i, lanes), m_v = load_n(m + i, lanes), v_v = load_n(v + i, lanes);
      adamw_update(&p_v, &m_v, &v_v, mul(load_n(g + i, lanes), clip), s);
      store_n(p + i, p_v, lanes);
      store_n(m + i, m_v, lanes);
      store_n(v + i, v_v, lanes);
    }
  });
}

static void adamw_idle(float* p, float* m, float* v, const AdamWStep* steps, int count, size_t n) {
  constexpr int kAtOnce = 32;
  for (int first = 0; first < count; first += kAtOnce) {
    AdamWLanes s[kAtOnce];
    const int many = imin(kAtOnce, count - first);
    for (int i = 0; i < many; ++i) s[i] = adamw_lanes(steps[first + i]);
    for (size_t i = 0; i < n; i += kLanes) {
      const int lanes = n - i < size_t(kLanes) ? int(n - i) : kLanes;
      V p_v = load_n(p + i, lanes), m_v = load_n(m + i, lanes), v_v = load_n(v + i, lanes);
      for (int j = 0; j < many; ++j) adamw_update(&p_v, &m_v, &v_v, zero(), s[j]);
      store_n(p + i, p_v, lanes);
      store_n(m + i, m_v, lanes);
      store_n(v + i, v_v, lanes);
    }
  }
}

// Sixteen chains a block, joined in order.
static double sum_squares(const float* x, size_t n, ThreadPool& pool) {
  constexpr size_t kBlock = 4096;
  const int blocks = int((n + kBlock - 1) / kBlock);
  double* sums = static_cast<double*>(pool.shared_scratch(sizeof(double) * size_t(blocks)));
  pool.run((blocks + 7) / 8, [&](int task, int) {
    for (int block = task * 8; block < imin(blocks, (task + 1) * 8); ++block) {
      const float* from = x + size_t(block) * kBlock;
      const size_t count = n - size_t(block) * kBlock < kBlock ? n - size_t(block) * kBlock : kBlock;
      double acc[16] = {};
      size_t i = 0;
      for (; i + 16 <= count; i += 16)
        for (int j = 0; j < 16; ++j) acc[j] += double(from[i + j]) * double(from[i + j]);
      for (int j = 0; i < count; ++i, ++j) acc[j] += double(from[i]) * double(from[i]);
      double sum = 0;
      for (int j = 0; j < 16; ++j) sum += acc[j];
      sums[block] = sum;
    }
  });
  double total = 0;
  for (int block = 0; block < blocks; ++block) total += sums[block];
  return total;
}
