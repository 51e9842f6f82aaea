// test_philox.cc — the generator against the known answers published with Random123 (kat_vectors, philox4x32 10), and the
// masks that every table makes of it against the scalar form.
#include "kernels/philox.h"

#include "op_test.h"

using namespace permafrost;
using namespace permafrost::test;
using kernels::Dropout;
using kernels::KernelTable;

TEST(philox, known_answers) {
  struct Case {
    uint32_t counter[4], key[2], answer[4];
  };
  const Case cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Case& c : cases) {
    kernels::Philox4 counter;
    std::memcpy(counter.word, c.counter, sizeof c.counter);
    const kernels::Philox4 got = kernels::philox4(counter, c.key[0], c.key[1]);
    for (int i = 0; i < 4; ++i) t.expect(got.word[i] == c.answer[i], describe("word %d is %08x, expected %08x", i, got.word[i], c.answer[i]));
  }
}

TEST(philox, dropout_masks_match) {
  ThreadPool pool(2);
  const size_t n = 70001;  // several chunks and a tail
  const std::vector<float> x = Random(t.seed()).normals(n);
  for (float p : {0.0f, 0.1f, 0.5f, 0.9999f, 1e-9f})
    for (const KernelTable* k : tables(t)) {
      const Dropout d{p, 0x123456789ABCDEFull, 77, 5};
      Guarded<float> y(t, "y", n), in_place(t, "y", x);
      k->dropout(y.data(), x.data(), d, n, pool);
      k->dropout(in_place.data(), in_place.data(), d, n, pool);
      t.expect(same_bits(y.values(), in_place.values()), describe("dropout in place on %s: other bits", k->name));
      size_t kept = 0;
      for (size_t i = 0; i < n; ++i) {
        const bool keep = p == 0 || kernels::philox_word(d.seed, d.step, d.site, i) >= double(p) * 4294967296.0;
        kept += keep;
        const float expected = keep ? x[i] * float(1.0 / (1.0 - double(p))) : 0.0f;
        if (y.data()[i] != expected) t.fail(describe("dropout p=%g element %zu on %s is %g, expected %g", p, i, k->name, y.data()[i], expected));
      }
      const double share = double(kept) / double(n), sigma = std::sqrt(double(p) * (1 - double(p)) / double(n));
      t.expect(std::fabs(share - (1 - double(p))) <= 5 * sigma + 1e-9, describe("p=%g kept %.5f", p, share));
    }
}

TEST(philox, dropout_accuracy) {
  for (size_t n : {size_t(1), size_t(3), size_t(17), size_t(1031)}) {
    const std::vector<float> x = Random(t.seed() + n).normals(n);
    const Dropout d{0.3f, t.seed(), 3, 9};
    std::vector<double> exact(n);
    for (size_t i = 0; i < n; ++i)
      exact[i] = kernels::philox_word(d.seed, d.step, d.site, i) >= kernels::dropout_threshold(d.p) ? x[i] * kernels::dropout_scale(d.p) : 0;
    check_op(t, describe("dropout n=%zu", n), exact, [&](const KernelTable& k, ThreadPool& pool) {
      Guarded<float> y(t, "y", n);
      k.dropout(y.data(), x.data(), d, n, pool);
      return y.values();
    });
  }
}
