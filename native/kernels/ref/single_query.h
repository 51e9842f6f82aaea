// ref/single_query.h — attention of one query a sequence, its first token, without keys and values: plain loops, the
// specification of cpu/single_query.inl.
//
// With k_j = Wk·x_j + bk and v_j = Wv·x_j + bv, of one head,
//
//   q·k_j = (Wkᵀq)·x_j + q·bk        the last term is the same for every key: softmax does not see it
//   Σ_j p_j·v_j = Wv·(Σ_j p_j·x_j) + (Σ_j p_j)·bv
//
// so two products a sequence (by_head_expand, by_head_reduce) stand in for two a token. (Absorbed projections: DeepSeek-V2, 2024,
// §2.1.2.) The key's bias has a gradient of exactly zero.
#pragma once

#include <cmath>
#include <vector>

#include "../kernels.h"
#include "attention.h"

namespace permafrost::kernels::ref {

template <class Real>
void by_head_expand(Real* y, Real* sums, const Real* x, const Real* w, const Real* bias, int B, int H, int D) {
  const int C = H * D;
  for (int b = 0; b < B; ++b)
    for (int h = 0; h < H; ++h) {
      const Real* x_h = x + size_t(b) * C + h * D;
      for (int c = 0; c < C; ++c) {
        Real sum = 0;
        for (int d = 0; d < D; ++d) sum += x_h[d] * w[size_t(h * D + d) * C + c];
        y[(size_t(b) * H + h) * C + c] = sum;
      }
      if (!sums) continue;
      sums[size_t(b) * H + h] = 0;
      for (int d = 0; d < D; ++d) sums[size_t(b) * H + h] += x_h[d] * bias[h * D + d];
    }
}

template <class Real>
void by_head_reduce(Real* y, const Real* x, const Real* sums, const Real* w, const Real* bias, int B, int H, int D) {
  const int C = H * D;
  for (int b = 0; b < B; ++b)
    for (int n = 0; n < C; ++n) {
      const size_t head = size_t(b) * H + n / D;
      Real sum = 0;
      for (int c = 0; c < C; ++c) sum += x[head * C + c] * w[size_t(n) * C + c];
      y[size_t(b) * C + n] = bias ? sum + sums[head] * bias[n] : sum;
    }
}

template <class Real>
void by_head_backward_weight(Real* dw, Real* dbias, const Real* dy, const Real* x, const Real* sums, int B, int H, int D) {
  const int C = H * D;
  for (int n = 0; n < C; ++n) {
    for (int c = 0; c < C; ++c) {
      Real sum = 0;
      for (int b = 0; b < B; ++b) sum += dy[size_t(b) * C + n] * x[(size_t(b) * H + n / D) * C + c];
      dw[size_t(n) * C + c] = sum;
    }
    dbias[n] = 0;
    for (int b = 0; sums && b < B; ++b) dbias[n] += dy[size_t(b) * C + n] * sums[size_t(b) * H + n / D];
  }
}

// score[j] = scale · u · x_j
template <class Real>
void single_query_scores(std::vector<Real>& score, const Query& i, const Real* u, const Real* x, int C, Real scale) {
  score.resize(size_t(i.keys));
  for (int j = 0; j < i.keys; ++j) {
    Real sum = 0;
    for (int c = 0; c < C; ++c) sum += u[c] * x[size_t(i.begin + j) * C + c];
    score[size_t(j)] = sum * scale;
  }
}

inline Query first_query(const AttentionShape& s, int b) {
  return {size_t(s.offsets[b]), s.offsets[b], s.offsets[b + 1] - s.offsets[b]};
}

template <class Real>
void single_query_forward(Real* y, Real* lse, Real* sums, const Real* x, const Real* u, const AttentionShape& s, const Dropout& dropout) {
  const int C = s.H * s.D;
  std::vector<Real> score;
  for (int b = 0; b < s.B; ++b) {
    const Query i = first_query(s, b);
    for (int h = 0; h < s.H; ++h) {
      const size_t head = size_t(b) * s.H + h;
      single_query_scores(score, i, u + head * C, x, C, Real(s.scale));
      Real top = score[0], sum = 0;
      for (Real p : score) top = p > top ? p : top;
      for (Real& p : score) sum += p = std::exp(p - top);
      if (lse) lse[head] = top + std::log(sum);
      sums[head] = 0;
      for (int c = 0; c < C; ++c) y[head * C + c] = 0;
      for (int j = 0; j < i.keys; ++j) {
        const Real p = score[size_t(j)] / sum * dropout_factor<Real>(dropout, attention_element(i, h, s.H, j));
        sums[head] += p;
        for (int c = 0; c < C; ++c) y[head * C + c] += p * x[size_t(i.begin + j) * C + c];
      }
    }
  }
}

template <class Real>
void single_query_backward(Real* dx, Real* du, const Real* dy, const Real* dsums, const Real* lse, const Real* x, const Real* u,
                           const AttentionShape& s, const Dropout& dropout) {
  const int C = s.H * s.D;
  for (size_t n = 0; dx && n < size_t(s.offsets[s.B]) * C; ++n) dx[n] = 0;
  std::vector<Real> score, p, dp;
  for (int b = 0; b < s.B; ++b) {
    const Query i = first_query(s, b);
    for (int h = 0; h < s.H; ++h) {
      const size_t head = size_t(b) * s.H + h;
      single_query_scores(score, i, u + head * C, x, C, Real(s.scale));
      p.resize(score.size());
      dp.resize(score.size());
      Real delta = 0;  // Σ_j p_j·dp_j
      for (int j = 0; j < i.keys; ++j) {
        const Real keep = dropout_factor<Real>(dropout, attention_element(i, h, s.H, j));
        Real sum = dsums[head];
        for (int c = 0; c < C; ++c) sum += dy[head * C + c] * x[size_t(i.begin + j) * C + c];
        p[size_t(j)] = std::exp(score[size_t(j)] - lse[head]);
        dp[size_t(j)] = sum * keep;
        delta += p[size_t(j)] * dp[size_t(j)];
      }
      for (int c = 0; c < C; ++c) du[head * C + c] = 0;
      for (int j = 0; j < i.keys; ++j) {
        // With one key p is 1 whatever its score: ds is 0, not the difference of two roundings.
        const Real ds = i.keys == 1 ? Real(0) : p[size_t(j)] * (dp[size_t(j)] - delta) * Real(s.scale);
        const Real dropped = p[size_t(j)] * dropout_factor<Real>(dropout, attention_element(i, h, s.H, j));
        const size_t at = size_t(i.begin + j) * C;
        for (int c = 0; c < C; ++c) {
          du[head * C + c] += ds * x[at + c];
          if (dx) dx[at + c] += dropped * dy[head * C + c] + ds * u[head * C + c];
        }
      }
    }
  }
}

}  // namespace permafrost::kernels::ref
