// tile.inl — the innermost loop of every matrix product: an MR x NR tile of C in registers. Once for each instruction set.
//
// A unit is 32 bits of both operands along the reduction: one float, or two bf16 (multiplied by dot2). A is broadcast,
// one unit a row; B comes NR = 2·kLanes columns at a time. Every element of C is one chain of multiply-adds over the
// units in order, whatever MR is, so neither the row's neighbours nor the split of the work can change its bits.
//
//   rows     A[r][u] at a + r·lda + u     activations, mostly as they lie in memory
//   columns  A[r][u] at a + u·lda + r     the transposed factor of a weight gradient, or of Pᵀ in attention
//
// With panels (ldb = kNR) and column tiles (lda = kMR) the strides are constants, so kUnroll units cost one step of the loop.
// Which matters where a neighbour on the same core takes half of what it decodes: with AVX2 a unit is 12 multiply-adds in
// 6 cycles and 20 instructions, 24 with the loop around it (bench/results/gemm-unroll-avx2.txt).
//
// Check: tests/native/test_linear.cc. Time: bench/kernels/gemm.

enum class Layout { rows, columns };
enum class Mac { f32, pairs };
enum class Strides { any, packed };  // packed: ldb is kNR and, by columns, lda is kMR

template <Mac kMac>
PF_INLINE V mac(V acc, V a, V b) {
#if PERMAFROST_BF16_PAIRS
  if constexpr (kMac == Mac::pairs) return dot2(acc, a, b);
#endif
  return fma_into(a, b, acc);
}

// acc += A·B for the k-th unit from base and b on.
template <Mac kMac, Layout kLayout, int kRows, int kVectors>
PF_INLINE void multiply(V (&acc)[kRows][kVectors], const float* const* base, ptrdiff_t lda, const float* b, ptrdiff_t ldb, int k) {
  V bv[kVectors];
  PF_UNROLL
  for (int v = 0; v < kVectors; ++v) bv[v] = load(b + k * ldb + v * kLanes);
  PF_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const V av = set1(kLayout == Layout::rows ? base[r / 3][(r % 3) * lda + k] : base[0][k * lda + r]);
    PF_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[r][v] = mac<kMac>(acc[r][v], av, bv[v]);
  }
}

// c (ldc) = or += A·B over `units`; only the first `cols` columns are written (0 < cols <= kVectors·kLanes). B is read in
// whole vectors: it must have kVectors·kLanes readable columns.
using TileFn = void (*)(float* c, ptrdiff_t ldc, int cols, const float* a, ptrdiff_t lda, const float* b, ptrdiff_t ldb,
                        int units, bool add);

template <Mac kMac, Layout kLayout, Strides kStrides, int kRows, int kVectors>
static void tile(float* c, ptrdiff_t ldc, int cols, const float* a, ptrdiff_t lda, const float* b, ptrdiff_t ldb, int units,
                 bool add_to) {
  V acc[kRows][kVectors];
  PF_UNROLL
  for (int r = 0; r < kRows; ++r)
    PF_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[r][v] = zero();

  constexpr bool kRowsOfA = kLayout == Layout::rows;
  constexpr int kAtOnce = kStrides == Strides::packed ? kUnroll : 1;
  if constexpr (kStrides == Strides::packed) {
    ldb = kNR;
    if constexpr (!kRowsOfA) lda = kMR;
  }
  // By rows, one moving pointer for three: base, base + lda, base + 2·lda are addressing modes, so fourteen rows need five
  // registers and lda.
  constexpr int kBases = kRowsOfA ? (kRows + 2) / 3 : 1;
  const float* base[kBases];
  PF_UNROLL
  for (int i = 0; i < kBases; ++i) base[i] = a + 3 * i * lda;
  const ptrdiff_t next = kRowsOfA ? 1 : lda;
  for (int left = units % kAtOnce; left > 0; --left) {
    multiply<kMac, kLayout>(acc, base, lda, b, ldb, 0);
    b += ldb;
    PF_UNROLL
    for (int i = 0; i < kBases; ++i) base[i] += next;
  }
  for (int left = units / kAtOnce; left > 0; --left) {
    PF_UNROLL
    for (int k = 0; k < kAtOnce; ++k) multiply<kMac, kLayout>(acc, base, lda, b, ldb, k);
    b += kAtOnce * ldb;
    PF_UNROLL
    for (int i = 0; i < kBases; ++i) base[i] += kAtOnce * next;
  }

  if (cols == kVectors * kLanes) {
    PF_UNROLL
    for (int r = 0; r < kRows; ++r)
      PF_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        float* at = c + r * ldc + v * kLanes;
        store(at, add_to ? add(load(at), acc[r][v]) : acc[r][v]);
      }
    return;
  }
  PF_UNROLL
  for (int r = 0; r < kRows; ++r)
    PF_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      float* at = c + r * ldc + v * kLanes;
      const int left = cols - v * kLanes, n = left < 0 ? 0 : left < kLanes ? left : kLanes;
      store_n(at, add_to ? add(load_n(at, n), acc[r][v]) : acc[r][v], n);
    }
}

// The tile of `rows` rows, 1 <= rows <= kMR.
template <Mac kMac, Layout kLayout, Strides kStrides, int kVectors, int kRows = kMR>
static TileFn tile_of(int rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return tile_of<kMac, kLayout, kStrides, kVectors, kRows - 1>(rows);
  }
  return tile<kMac, kLayout, kStrides, kRows, kVectors>;
}
// Once at load: choosing by comparison would cost as much as a small attention tile.
template <Mac kMac, Layout kLayout, Strides kStrides, int kVectors>
struct Tiles {
  TileFn fn[kMR + 1];
  Tiles() {
    fn[0] = nullptr;
    for (int r = 1; r <= kMR; ++r) fn[r] = tile_of<kMac, kLayout, kStrides, kVectors>(r);
  }
};
