// ref/attention.h — scaled dot-product attention over packed sequences, plain loops: the specification.
//
// Query row r of sequence b is token offsets[b]+r. Causal: query i sees keys j <= i of its sequence. Everything is computed in
// Real: Precision::bf16 permits an implementation to round q, k, v, dout and the probabilities before multiplying, and this one
// does not.
#pragma once

#include <cmath>
#include <vector>

#include "../kernels.h"
#include "dropout.h"

namespace permafrost::kernels::ref {

// One query of one head: where its rows are and which keys it sees.
struct Query {
  size_t token;  // its row in the packed batch, in q, out, dout, dq, lse
  int begin;     // first key (token)
  int keys;      // how many it sees
};

template <class Visit>
void for_each_query(const AttentionShape& s, Visit visit) {
  for (int b = 0; b < s.B; ++b) {
    const int begin = s.offsets[b], length = s.offsets[b + 1] - begin;
    for (int i = 0; i < length; ++i) visit(Query{size_t(begin + i), begin, s.causal ? i + 1 : length});
  }
}

inline uint64_t attention_element(const Query& i, int h, int H, int j) {
  return ((uint64_t(i.token) * uint64_t(H) + uint64_t(h)) << 16) + uint64_t(j);
}

// score[j] = scale · q_i · k_j
template <class Real>
void attention_scores(std::vector<Real>& score, const Query& i, int h, const Real* q, int ldq, const Real* k, int ldkv,
                      const AttentionShape& s) {
  score.resize(size_t(i.keys));
  for (int j = 0; j < i.keys; ++j) {
    Real sum = 0;
    for (int d = 0; d < s.D; ++d) sum += q[i.token * ldq + h * s.D + d] * k[size_t(i.begin + j) * ldkv + h * s.D + d];
    score[size_t(j)] = sum * Real(s.scale);
  }
}

template <class Real>
void attention_forward(Real* out, Real* lse, const Real* q, int ldq, const Real* k, const Real* v, int ldkv,
                       const AttentionShape& s, const Dropout& dropout) {
  std::vector<Real> score;
  for_each_query(s, [&](const Query& i) {
    for (int h = 0; h < s.H; ++h) {
      attention_scores(score, i, h, q, ldq, k, ldkv, s);
      Real top = score[0], sum = 0;
      for (Real x : score) top = x > top ? x : top;
      for (Real& x : score) sum += x = std::exp(x - top);
      if (lse) lse[i.token * s.H + h] = top + std::log(sum);
      for (int d = 0; d < s.D; ++d) {
        Real acc = 0;
        for (int j = 0; j < i.keys; ++j)
          acc += score[size_t(j)] * dropout_factor<Real>(dropout, attention_element(i, h, s.H, j)) *
                 v[size_t(i.begin + j) * ldkv + h * s.D + d];
        out[i.token * s.H * s.D + h * s.D + d] = acc / sum;
      }
    }
  });
}

template <class Real>
void attention_backward(Real* dq, Real* dk, Real* dv, const Real* dout, const Real* out, const Real* lse, const Real* q, int ldq,
                        const Real* k, const Real* v, int ldkv, const AttentionShape& s, const Dropout& dropout) {
  const int T = s.offsets[s.B], C = s.H * s.D;
  for (int t = 0; t < T; ++t)
    for (int c = 0; c < C; ++c) dk[size_t(t) * ldkv + c] = dv[size_t(t) * ldkv + c] = 0;
  std::vector<Real> score;
  for_each_query(s, [&](const Query& i) {
    for (int h = 0; h < s.H; ++h) {
      const Real* q_i = q + i.token * ldq + h * s.D;
      const Real* dout_i = dout + i.token * C + h * s.D;
      Real* dq_i = dq + i.token * ldq + h * s.D;
      attention_scores(score, i, h, q, ldq, k, ldkv, s);
      Real delta = 0;  // Σ_j p_j·dp_j = dout·out
      for (int d = 0; d < s.D; ++d) {
        delta += dout_i[d] * out[i.token * C + h * s.D + d];
        dq_i[d] = 0;
      }
      for (int j = 0; j < i.keys; ++j) {
        const size_t at = size_t(i.begin + j) * ldkv + h * s.D;
        const Real p = std::exp(score[size_t(j)] - lse[i.token * s.H + h]);
        const Real keep = dropout_factor<Real>(dropout, attention_element(i, h, s.H, j));
        Real dp = 0;
        for (int d = 0; d < s.D; ++d) {
          dp += dout_i[d] * v[at + d];
          dv[at + d] += p * keep * dout_i[d];
        }
        // With one visible key p is 1 whatever its score: ds is 0, not the difference of two roundings.
        const Real ds = i.keys == 1 ? Real(0) : p * (dp * keep - delta) * Real(s.scale);
        for (int d = 0; d < s.D; ++d) {
          dq_i[d] += ds * k[at + d];
          dk[at + d] += ds * q_i[d];
        }
      }
    }
  });
}

}  // namespace permafrost::kernels::ref
