// math.inl — exp, log, tanh, normal distribution and gelu on vectors. Included once for each instruction set.
//
// Accuracy: exp and log about 1 ulp, tanh 2 ulp (test_rows.cc), gelu 2^-22·|u| (test_linear.cc).
// The polynomials were fitted by us to minimise the largest relative error (Lawson's reweighting on Chebyshev nodes);
// the figure behind each is that error before rounding. NaN goes through, but for log. Not here: denormal results (they become 0).

// e^x for x <= 88; above it no caller reads the result. n = round(x/ln 2), r = x - n·ln 2 in two pieces, 1 + r + r²·P(r)
// (7e-9), times 2^n. Below -86.5 the result is 0.
PF_INLINE V exp(V x) {
  const V low = set1(-86.5f);
  const V y = max(low, x);
  const V n = round_whole(mul(y, set1(1.44269504f)));
  V r = fnma(n, set1(0.693145751953125f), y);
  r = fnma(n, set1(1.42860682030941723e-6f), r);
  V p = fma(set1(1.394121442e-03f), r, set1(8.363234811e-03f));
  p = fma(p, r, set1(4.166637361e-02f));
  p = fma(p, r, set1(1.666657627e-01f));
  p = fma(p, r, set1(5.0e-01f));
  p = add(fma(mul(r, r), p, r), set1(1.0f));
  return select(lt(x, low), zero(), scale_by_pow2(p, n));
}

// ln x for normal positive x. x = m·2^e, f = m - 1, ln m = f - f²/2 + f³·P(f) (1e-8 of f³'s share).
PF_INLINE V log(V x) {
  V m;
  const V e = split_exponent(x, &m);
  const V f = sub(m, set1(1.0f)), f2 = mul(f, f);
  V p = fma(set1(-8.305379003e-02f), f, set1(1.279889792e-01f));
  p = fma(p, f, set1(-1.294341981e-01f));
  p = fma(p, f, set1(1.419023722e-01f));
  p = fma(p, f, set1(-1.664348841e-01f));
  p = fma(p, f, set1(2.000187933e-01f));
  p = fma(p, f, set1(-2.500028014e-01f));
  p = fma(p, f, set1(3.333332539e-01f));
  // Smallest parts first: e·ln2's low half, f³·P, -f²/2, f, e·ln2's high half.
  V r = mul(mul(f2, f), p);
  r = fma(e, set1(-2.12194440e-4f), r);
  r = fnma(f2, set1(0.5f), r);
  return fma(e, set1(0.693359375f), add(f, r));
}

// tanh: x + x³·P(x²) (5e-8) below 0.625, else 1 - 2/(e^2|x| + 1), which is 1 long before |x| = 40, with the sign of x.
PF_INLINE V tanh(V x) {
  const V a = abs(x), z = mul(x, x);
  V p = fma(set1(-6.062237080e-03f), z, set1(2.097501792e-02f));
  p = fma(p, z, set1(-5.384669825e-02f));
  p = fma(p, z, set1(1.333274692e-01f));
  p = fma(p, z, set1(-3.333332837e-01f));
  const V small = fma(mul(p, z), x, x);
  const V large = sub(set1(1.0f), div(set1(2.0f), add(exp(min(set1(80.0f), add(a, a))), set1(1.0f))));
  return select(lt(a, set1(0.625f)), small, copy_sign(large, x));
}

// Φ(u), and the density φ(u) on the way: with E = e^(-u²/2) and s = 1/(1 + 0.3·|u|), the tail Φ(-|u|) = E·s·P(s) (4e-9).
// One exponential serves both, which is what gelu' needs.
PF_INLINE V normal_cdf(V u, V* density) {
  const V a = abs(u);
  const V e = exp(mul(mul(a, set1(-0.5f)), a));
  const V s = div(set1(1.0f), fma(a, set1(0.3f), set1(1.0f)));
  V p = fma(set1(-2.061294764e-02f), s, set1(1.123764291e-01f));
  p = fma(p, s, set1(-2.280690521e-01f));
  p = fma(p, s, set1(1.915837526e-01f));
  p = fma(p, s, set1(-7.924905419e-02f));
  p = fma(p, s, set1(9.605874866e-02f));
  p = fma(p, s, set1(7.842525840e-02f));
  p = fma(p, s, set1(1.102273911e-01f));
  p = fma(p, s, set1(1.195728332e-01f));
  p = fma(p, s, set1(1.196866333e-01f));
  const V tail = mul(mul(p, s), e);
  *density = mul(e, set1(0.398942280f));
  return select(lt(u, zero()), tail, sub(set1(1.0f), tail));
}

// gelu(u), and gelu'(u) in *slope.
PF_INLINE V gelu(V u, V* slope) {
  V density;
  const V cdf = normal_cdf(u, &density);
  *slope = fma(u, density, cdf);
  return mul(u, cdf);
}
