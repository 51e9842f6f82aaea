// cross_entropy.inl — softmax cross entropy with label smoothing, loss and gradient. Specification: ../ref/cross_entropy.h.

static float log_of(float x) {
  float lanes[kLanes];
  store(lanes, log(set1(x)));
  return lanes[0];
}

static float exp_of(float x) {
  float lanes[kLanes];
  store(lanes, exp(set1(x)));
  return lanes[0];
}

static void cross_entropy(float* loss, float* dlogits, const float* logits, const int32_t* labels, int B, int R, float smoothing,
                          float scale, ThreadPool& pool) {
  for_rows(B, 4 * R, pool, [&](int b) {
    const float* x = logits + ptrdiff_t(b) * R;
    const V minus_infinity = set1(-INFINITY);
    V most = minus_infinity;
    for (int r = 0; r < R; r += kLanes) {
      const int n = clamp_lanes(R - r);
      most = max(most, select(first_lanes(n), load_n(x + r, n), minus_infinity));
    }
    const float top = max_lanes(most);
    const V top_v = set1(top);
    V sum = zero(), total = zero();
    for (int r = 0; r < R; r += kLanes) {
      const int n = clamp_lanes(R - r);
      const K mask = first_lanes(n);
      const V shifted = sub(load_n(x + r, n), top_v);
      sum = add(sum, only(mask, exp(shifted)));
      total = add(total, only(mask, shifted));
    }
    const float sum_all = sum_lanes(sum), log_sum = log_of(sum_all);
    const float hard = log_sum - (x[labels[b]] - top), uniform = log_sum - sum_lanes(total) / float(R);
    loss[b] = (1.0f - smoothing) * hard + smoothing * uniform;
    if (!dlogits) return;
    float* dx = dlogits + ptrdiff_t(b) * R;
    const V sum_v = set1(sum_all), floor = set1(smoothing / float(R)), scale_v = set1(scale);
    for (int r = 0; r < R; r += kLanes) {
      const int n = clamp_lanes(R - r);
      const V p = div(exp(sub(load_n(x + r, n), top_v)), sum_v);
      store_n(dx + r, mul(sub(p, floor), scale_v), n);
    }
    const float p = exp_of(x[labels[b]] - top) / sum_all;
    dx[labels[b]] = (p - ((1.0f - smoothing) + smoothing / float(R))) * scale;
  });
}
