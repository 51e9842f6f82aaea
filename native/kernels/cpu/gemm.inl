// gemm.inl — C = A·B over a thread pool: which task computes what, from which panels. Once for each instruction set.
//
// A task is a range of rows times a group of panels. Where A has to be made (bf16, column tiles), the first tasks of a range make it
// in pieces, in memory that all share. A task goes through the reduction in blocks of kKC units; in each it packs
// its group into its own scratch (L2) and runs all its tiles. So a weight is read from memory once for every range of rows
// and never written back packed: at the product's 200 tokens a step a packed copy in memory would cost as much traffic as
// the multiplication itself. Prediction keeps its weights packed (Weight::packed) and skips that part.
// Not here: what A and B mean (linear.inl), the multiplication (tile.inl). Time: bench/kernels/gemm.

// Reduction block, in units. A tile of A (14 x 384 floats, 21 KB) then stays in L1 while the group's panels stream
// from L2. Part of the numerics: C is rounded between blocks.
constexpr int kKC = 384;
constexpr int kGroupMost = 8;    // panels a task packs at once: 8 x 48 KB, well inside 1 MB of L2
constexpr int kRowsMost = 1024;  // rows of a task
constexpr int kCutsMost = 8;     // cuts that are compared
// For cut(), rough figures: what packing a panel once more counts, in rows multiplied with it; and what reading a row of A that
// another core made counts, in panels multiplied with it (two Zen 5 cores on different chiplets: 490 ns there and back).
constexpr float kPackRows = 7, kFetchPanels = 1;

// A range of A's rows that is made by the first task that needs it: a loop before the product would end by waiting for the
// slowest thread, and leave half of A in the cache of another core.
struct alignas(64) Piece {
  enum State { missing, begun, made };
  std::atomic<int> state{missing};

  bool claim() {
    int seen = state.load(std::memory_order_relaxed);
    return seen == missing && state.compare_exchange_strong(seen, begun, std::memory_order_relaxed);
  }
};

enum class Epilogue { none, bias, gelu, gelu_backward };

struct Gemm {
  float* c;  // (rows, cols)
  int rows, cols;
  int depth;       // of the reduction, in floats
  bool accumulate = false;
  // A: units, by rows (lda = units of a row) or in column tiles ([tile][units][kMR]).
  const float* a = nullptr;
  ptrdiff_t lda = 0;
  ptrdiff_t a_tile = 0;  // floats between column tiles
  // Where A is made on the way: room for a piece a tile, each at the place of its first, and the fewest tiles worth making at once.
  Piece* pieces = nullptr;
  int piece_tiles = 1;
  // B: packed panels, or the matrix to pack from.
  const float* packed = nullptr;
  const float* b = nullptr;
  ptrdiff_t ldb = 0;
  bool b_transposed = false;
  // What happens to a finished element.
  Epilogue epilogue = Epilogue::none;
  const float* bias = nullptr;
  float* u = nullptr;     // (rows, cols): gelu keeps its input there, or null; gelu_backward reads it and leaves gelu(u)
  bool stream_u = false;  // gelu: past the caches; needs whole aligned vectors
};

// The epilogue of a finished tile. A loop for each epilogue, whole tiles apart, and what it reads of g in locals: gelu is one long
// dependency chain, and vectors overlap only where few instructions lie between.
template <Epilogue kEpilogue, bool kWhole>
static void finish(const Gemm& g, int row, int rows, int col, int cols) {
  float* c = g.c + ptrdiff_t(row) * g.cols + col;
  float* u = g.u ? g.u + ptrdiff_t(row) * g.cols + col : nullptr;
  const float* bias = g.bias ? g.bias + col : nullptr;
  const ptrdiff_t next = g.cols;
  const bool stream_u = g.stream_u;
  for (; rows > 0; --rows, c += next) {
    PF_UNROLL
    for (int v = 0; v < 2; ++v) {
      const int at = v * kLanes, n = kWhole ? kLanes : clamp_lanes(cols - at);
      V x = load_n(c + at, n);
      if (bias) x = add(x, load_n(bias + at, n));
      if constexpr (kEpilogue == Epilogue::gelu) {
        if (stream_u) stream(u + at, x);
        else if (u) store_n(u + at, x, n);
        V slope;
        x = gelu(x, &slope);
      }
      if constexpr (kEpilogue == Epilogue::gelu_backward) {
        V slope;
        store_n(u + at, gelu(load_n(u + at, n), &slope), n);
        x = mul(x, slope);
      }
      store_n(c + at, x, n);
    }
    if (u) u += next;
  }
}

using FinishFn = void (*)(const Gemm& g, int row, int rows, int col, int cols);
template <bool kWhole>
static FinishFn finish_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::bias: return finish<Epilogue::bias, kWhole>;
    case Epilogue::gelu: return finish<Epilogue::gelu, kWhole>;
    case Epilogue::gelu_backward: return finish<Epilogue::gelu_backward, kWhole>;
    default: return nullptr;
  }
}

// Panels [begin, end) of B, `stride` floats apart.
template <Factor kFactor>
static void pack_panels(float* to, ptrdiff_t stride, const Gemm& g, int begin, int end, int unit, int units) {
  const int col = begin * kNR, cols = imin(end * kNR, g.cols) - col;
  if (!g.b_transposed) return pack_direct<kFactor>(to, stride, g.b + col, g.ldb, cols, g.depth, unit, units);
  for (int p = begin; p < end; ++p)
    pack_transposed<kFactor>(to + (p - begin) * stride, g.b + p * kNR * g.ldb, g.ldb, imin(kNR, g.cols - p * kNR), g.depth, unit, units);
}

// How the output is cut. Never seen by the values: any cut gives the same bits.
struct Cut {
  int rows, row_tasks;      // rows of a task (a multiple of kMR)
  int panels, group_tasks;  // panels of a task
};

static Cut cut_rows_in(int ranges, const Gemm& g, int threads) {
  const int panels = (g.cols + kNR - 1) / kNR, tiles = (g.rows + kMR - 1) / kMR;
  const int tiles_each = (tiles + ranges - 1) / ranges;
  const int row_tasks = (tiles + tiles_each - 1) / tiles_each;
  // Enough tasks that the last one to finish costs little.
  const int wanted = threads == 1 ? 1 : 6 * threads;
  int group = imin(kGroupMost, imax(1, panels * row_tasks / wanted));
  const int group_tasks = (panels + group - 1) / group;
  group = (panels + group_tasks - 1) / group_tasks;
  return {tiles_each * kMR, row_tasks, group, (panels + group - 1) / group};
}

static int common_divisor(int a, int b) { return b == 0 ? a : common_divisor(b, a % b); }

// The cheapest of a few: what every range of rows packs again, against threads that read the same rows and threads that have no
// task in the last round.
static Cut cut(const Gemm& g, int threads) {
  const int panels = (g.cols + kNR - 1) / kNR, tiles = (g.rows + kMR - 1) / kMR;
  int fewest = (g.rows + kRowsMost - 1) / kRowsMost;
  if (threads > 1 && panels < 2 * threads) fewest = imax(fewest, imin(tiles / 2, (2 * threads + panels - 1) / panels));
  fewest = imax(fewest, 1);
  Cut best{};
  float least = 0;
  for (int ranges = fewest; ranges < fewest + imin(threads, kCutsMost); ++ranges) {
    const Cut c = cut_rows_in(ranges, g, threads);
    const int tasks = c.row_tasks * c.group_tasks, rounds = (tasks + threads - 1) / threads;
    // Threads begin with equal stretches of the tasks: those that begin inside a range share its rows.
    const float shared = g.pieces ? float(threads - common_divisor(threads, c.row_tasks)) / float(c.row_tasks) : 0;
    const float cost = float(rounds * threads) / float(tasks) * (1 + kPackRows / float(c.rows) + kFetchPanels * shared / float(panels));
    if (ranges > fewest && cost >= least) continue;
    best = c;
    least = cost;
  }
  return best;
}

// Has the rows [begin, end) of A made in pieces of `rows`, from the start-th on, by make(begin, end) for those that nobody has begun.
template <class Make>
static void have_rows(const Gemm& g, int begin, int end, int rows, int start, Make make) {
  const int count = (end - begin + rows - 1) / rows;
  const auto piece = [&](int i) -> Piece& { return g.pieces[(begin + i * rows) / kMR]; };
  for (int k = 0; k < count; ++k) {
    const int i = (start + k) % count;
    if (!piece(i).claim()) continue;
    make(begin + i * rows, imin(end, begin + (i + 1) * rows));
    piece(i).state.store(Piece::made, std::memory_order_release);
  }
  for (int i = 0; i < count; ++i) spin_until([&] { return piece(i).state.load(std::memory_order_acquire) == Piece::made; });
}

// make(begin, end): rows of A from begin, a whole number of tiles, to end; null where A is there.
template <Factor kFactor, Layout kLayout, class Make = std::nullptr_t>
static void run_gemm(const Gemm& g, ThreadPool& pool, Make make = nullptr) {
  constexpr Mac kMac = kFactor == Factor::pairs ? Mac::pairs : Mac::f32;
  constexpr bool kMade = !std::is_same_v<Make, std::nullptr_t>;
  static const Tiles<kMac, kLayout, Strides::packed, 2> tiles;
  const int units = units_of<kFactor>(g.depth);
  const int all_panels = (g.cols + kNR - 1) / kNR;
  const int share = pool.share();
  const Cut how = cut(g, share);
  const FinishFn finish_whole = finish_of<true>(g.epilogue), finish_edge = finish_of<false>(g.epilogue);
  // Four pieces for each of those who meet at a range; a thread that has it to itself makes it at once.
  const int meet = (share + how.row_tasks - 1) / how.row_tasks, pieces_each = meet == 1 ? 1 : 4 * meet;
  const int piece = kMR * imax(g.piece_tiles, (how.rows / kMR + pieces_each - 1) / pieces_each);
  if constexpr (kMade)
    for (int begin = 0; begin < g.rows; begin += how.rows)
      for (int row = begin; row < imin(g.rows, begin + how.rows); row += piece) new (g.pieces + row / kMR) Piece;

  pool.run(how.row_tasks * how.group_tasks, [&](int task, int thread) {
    // Ranges one after another: a thread's tasks lie together, so it mostly keeps to its own rows.
    const int range = task / how.group_tasks, group = task % how.group_tasks;
    const int row_begin = range * how.rows, row_end = imin(g.rows, row_begin + how.rows);
    const int panel_begin = group * how.panels, panel_end = imin(all_panels, panel_begin + how.panels);
    if constexpr (kMade) have_rows(g, row_begin, row_end, piece, group, make);
    float* scratch = nullptr;
    if (!g.packed) scratch = static_cast<float*>(pool.scratch(thread, sizeof(float) * kNR * kKC * size_t(how.panels)));
    for (int unit = 0; unit < units || unit == 0; unit += kKC) {
      const int block = imin(kKC, units - unit);
      const bool add_to = g.accumulate || unit > 0, last = unit + kKC >= units;
      if (scratch) pack_panels<kFactor>(scratch, kNR * kKC, g, panel_begin, panel_end, unit, block);
      for (int row = row_begin, rows; row < row_end; row += rows) {
        const int left = row_end - row;
        // A short last tile would wait for its own additions: share its rows with the one before.
        rows = left <= kMR ? left : left < 2 * kMR && kLayout == Layout::rows ? (left + 1) / 2 : kMR;
        const float* a = kLayout == Layout::rows ? g.a + row * g.lda + unit : g.a + row / kMR * g.a_tile + ptrdiff_t(unit) * kMR;
        for (int p = panel_begin; p < panel_end; ++p) {
          const float* b = scratch ? scratch + ptrdiff_t(p - panel_begin) * kNR * kKC
                                   : g.packed + (ptrdiff_t(p) * units + unit) * kNR;
          const int col = p * kNR, cols = imin(kNR, g.cols - col);
          // While the tile is multiplied: what is added to, and what gelu's chain of operations leaves no room to read.
          if (add_to) prefetch_rows(g.c + ptrdiff_t(row) * g.cols + col, g.cols, rows, cols);
          if (last && g.epilogue == Epilogue::gelu_backward) prefetch_rows(g.u + ptrdiff_t(row) * g.cols + col, g.cols, rows, cols);
          tiles.fn[rows](g.c + ptrdiff_t(row) * g.cols + col, g.cols, cols, a, kLayout == Layout::rows ? g.lda : kMR, b, kNR,
                         block, add_to);
          if (last && finish_whole) (cols == kNR ? finish_whole : finish_edge)(g, row, rows, col, cols);
        }
      }
    }
    if (g.stream_u) end_streams();
  });
}
