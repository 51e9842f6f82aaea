// linear.inl — linear layers and their gradients as matrix products. Specification: ../ref/linear.h.
//
//   forward          C = y (M,N)   A = x rows            B = wᵀ: packed by transposing 16 rows of w at a time
//   backward input   C = dx (M,K)  A = dy rows           B = w as it lies
//   backward weight  C = dw (N,K)  A = dyᵀ, column tiles B = x as it lies; dbias is summed while dy is packed
//
// bf16: A is rounded and paired once into shared scratch, by the tasks that need it, B while packing. Check: ctest -R linear. Time:
// bench/kernels/gemm.

// Rows this many floats apart, or a multiple of it, share the lines of L1 they may be in: more of them than it has ways push each
// other out.
constexpr int kAliased = 4096 / int(sizeof(float));

// C = A·B with the rows of x as A: x itself, or a copy in the pool's shared scratch, made on the way, of its bf16 form and of rows
// that would share their lines of L1.
template <Factor kFactor>
static void run_rows(Gemm g, const float* x, ThreadPool& pool) {
  const int units = units_of<kFactor>(g.depth);
  const bool aliased = units % kAliased == 0;
  if constexpr (kFactor == Factor::f32) {
    if (!aliased) {
      g.a = x;
      g.lda = units;
      return run_gemm<kFactor, Layout::rows>(g, pool);
    }
  }
  g.lda = units + (aliased ? kLine : 0);
  const size_t tiles = size_t((g.rows + kMR - 1) / kMR);
  g.pieces = static_cast<Piece*>(pool.shared_scratch(sizeof(Piece) * tiles + sizeof(float) * size_t(g.rows) * size_t(g.lda)));
  float* a = reinterpret_cast<float*>(g.pieces + tiles);
  g.a = a;
  run_gemm<kFactor, Layout::rows>(g, pool, [&](int begin, int end) { pack_rows<kFactor>(a, g.lda, x, g.depth, begin, end); });
}

template <Factor kFactor>
static void forward(Gemm g, const float* x, const Weight& w, int K, ThreadPool& pool) {
  g.depth = K;
  g.packed = static_cast<const float*>(w.packed);
  g.b = w.data;
  g.ldb = K;
  g.b_transposed = true;
  run_rows<kFactor>(g, x, pool);
}

template <Factor kFactor>
static void backward_input(Gemm g, const float* dy, const float* w, int N, ThreadPool& pool) {
  g.depth = N;
  g.b = w;
  g.ldb = g.cols;
  run_rows<kFactor>(g, dy, pool);
}

// Rows of the batch whose column tiles are in scratch at once: bounds it at kTokens·N floats however large M is.
constexpr int kTokens = 2 * kKC;
// Tiles of a piece at least, two lines of a row of dy: with many threads neighbours would read, and add up, the same lines.
constexpr int kTilesEach = (2 * kLine + kMR - 1) / kMR;
constexpr int kColumnRows = 32;  // rows packed, and summed while they are still in L1; a multiple of add_columns' four chains

template <Factor kFactor>
static void backward_weight(float* dw, float* dbias, const float* dy, const float* x, int M, int N, int K_, ThreadPool& pool) {
  constexpr int kWide = kFactor == Factor::pairs ? 2 : 1;
  const int tiles = (N + kMR - 1) / kMR;
  const int at_once = imin(M, kTokens * kWide);
  const ptrdiff_t a_tile = ptrdiff_t(units_of<kFactor>(at_once)) * kMR + kLanes;  // room for pack_columns' last store
  const size_t floats = size_t(tiles) * size_t(a_tile) + 4 * size_t(N);
  Piece* pieces = static_cast<Piece*>(pool.shared_scratch(sizeof(Piece) * size_t(tiles) + sizeof(float) * floats));
  float* a = reinterpret_cast<float*>(pieces + tiles);
  float* sums = a + tiles * a_tile;
  memset(sums, 0, 4 * sizeof(float) * size_t(N));
  for (int begin = 0; begin < M || begin == 0; begin += kTokens * kWide) {
    Gemm g{dw, N, K_, imin(kTokens * kWide, M - begin)};
    g.accumulate = begin > 0;
    g.a = a;
    g.a_tile = a_tile;
    g.pieces = pieces;
    g.piece_tiles = kTilesEach;
    g.b = x + ptrdiff_t(begin) * K_;
    g.ldb = K_;
    run_gemm<kFactor, Layout::columns>(g, pool, [&](int col, int end) {
      for (int row = 0; row < g.depth; row += kColumnRows) {
        const float* from = dy + ptrdiff_t(begin + row) * N + col;
        const int rows = imin(kColumnRows, g.depth - row);
        pack_columns<kFactor>(a + col / kMR * a_tile + row / kWide * kMR, a_tile, from, N, end - col, rows);
        if (dbias) add_columns(sums + col, N, from, N, end - col, rows);
      }
    });
  }
  if (dbias) join_sums(dbias, sums, N, N);
}

// ---- the signatures of kernels.h ----------------------------------------------------------------------------------

static size_t packed_bytes(int N, int K_, Precision precision) {
  const int units = precision == Precision::bf16 ? units_of<kBf16Factor>(K_) : K_;
  return sizeof(float) * size_t((N + kNR - 1) / kNR) * size_t(kNR) * size_t(units);
}

template <Factor kFactor>
static void pack_all(void* packed, const float* w, int N, int K_, ThreadPool& pool) {
  Gemm g{nullptr, 0, N, K_};
  g.b = w;
  g.ldb = K_;
  g.b_transposed = true;
  const int units = units_of<kFactor>(g.depth);
  pool.run((g.cols + kNR - 1) / kNR, [&](int p, int) {
    pack_panels<kFactor>(static_cast<float*>(packed) + ptrdiff_t(p) * kNR * units, 0, g, p, p + 1, 0, units);
  });
}

static void pack_weight(void* packed, const float* w, int N, int K_, Precision precision, ThreadPool& pool) {
  if (precision == Precision::bf16) pack_all<kBf16Factor>(packed, w, N, K_, pool);
  else pack_all<Factor::f32>(packed, w, N, K_, pool);
}

static void linear_forward(float* y, const float* x, const Weight& w, const float* bias, int M, int N, int K_, Precision precision,
                           ThreadPool& pool) {
  Gemm g{y, M, N, K_};
  g.epilogue = bias ? Epilogue::bias : Epilogue::none;
  g.bias = bias;
  if (precision == Precision::bf16) forward<kBf16Factor>(g, x, w, K_, pool);
  else forward<Factor::f32>(g, x, w, K_, pool);
}

// Floats of a u that is written past the caches: backward reads it many layers later, when they hold other things. A whole
// line of it is written at once, and none is read first: 3–5 % of the op at 2,048 tokens on Zen 3, measured when gelu'(u) was what it saved.
constexpr size_t kStreamed = size_t(2) << 20;

static void linear_gelu_forward(float* y, float* u, const float* x, const Weight& w, const float* bias, int M, int N, int K_,
                                Precision precision, ThreadPool& pool) {
  Gemm g{y, M, N, K_};
  g.epilogue = Epilogue::gelu;
  g.bias = bias;
  g.u = u;
  g.stream_u = u && size_t(M) * size_t(N) >= kStreamed && N % kNR == 0 && reinterpret_cast<uintptr_t>(u) % 64 == 0;
  if (precision == Precision::bf16) forward<kBf16Factor>(g, x, w, K_, pool);
  else forward<Factor::f32>(g, x, w, K_, pool);
}

static void linear_backward_input(float* dx, const float* dy, const float* w, int M, int N, int K_, bool accumulate,
                                  Precision precision, ThreadPool& pool) {
  Gemm g{dx, M, K_, N, accumulate};
  if (precision == Precision::bf16) backward_input<kBf16Factor>(g, dy, w, N, pool);
  else backward_input<Factor::f32>(g, dy, w, N, pool);
}

static void linear_gelu_backward_input(float* du, float* u, const float* dy, const float* w, int M, int N, int K_,
                                       Precision precision, ThreadPool& pool) {
  Gemm g{du, M, K_, N};
  g.epilogue = Epilogue::gelu_backward;
  g.u = u;
  if (precision == Precision::bf16) backward_input<kBf16Factor>(g, dy, w, N, pool);
  else backward_input<Factor::f32>(g, dy, w, N, pool);
}

static void linear_backward_weight(float* dw, float* dbias, const float* dy, const float* x, int M, int N, int K_,
                                   Precision precision, ThreadPool& pool) {
  if (precision == Precision::bf16) backward_weight<kBf16Factor>(dw, dbias, dy, x, M, N, K_, pool);
  else backward_weight<Factor::f32>(dw, dbias, dy, x, M, N, K_, pool);
}

static void use_linear(KernelTable& t) {
  t.packed_bytes = packed_bytes;
  t.pack_weight = pack_weight;
  t.linear_forward = linear_forward;
  t.linear_gelu_forward = linear_gelu_forward;
  t.linear_backward_input = linear_backward_input;
  t.linear_gelu_backward_input = linear_gelu_backward_input;
  t.linear_backward_weight = linear_backward_weight;
  t.register_chains = register_chains;
}
