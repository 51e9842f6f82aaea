"""Golden values for src/analysis, from SciPy and statsmodels.

    python tests/golden/generate_statistics.py      # numpy, scipy, statsmodels

Writes statistics.json beside itself. Nothing random is left open: data are literals or come from a fixed seed and are
stored with the results, so the TypeScript tests need no Python.
"""

import json
from pathlib import Path

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(20261)


def distributions():
    z = [-38.0, -10.0, -3.0, -1.0, -1e-8, 0.0, 1e-8, 0.3, 1.0, 1.96, 3.0, 6.0, 10.0, 20.0, 37.0]
    p = [1e-300, 1e-100, 1e-15, 1e-6, 0.001, 0.025, 0.1, 0.3, 0.5, 0.7, 0.975, 0.999]
    t = [(t, df) for t in [-40.0, -2.0, -0.1, 0.0, 1e-6, 0.5, 1.0, 2.0, 5.0, 40.0, 1e4, 1e8]
         for df in [1, 2, 3, 4.5, 10, 30, 98, 1000, 1e6]]
    tq = [(q, df) for q in [1e-12, 1e-6, 0.0017857142857142857, 0.01, 0.025, 0.3, 0.5, 0.975]
          for df in [1, 2, 4, 4.7, 48, 98, 1e5]]
    b = [(k, n, q) for n in [1, 2, 10, 57, 480, 3080, 100000] for q in [0.5, 0.03, 0.9]
         for k in sorted({0, n // 20, n // 3, n // 2, (9 * n) // 10, n - 1})]
    return {
        "normalSf": [[x, stats.norm.sf(x)] for x in z],
        "normalQuantile": [[q, stats.norm.ppf(q)] for q in p],
        "studentTSf": [[x, df, stats.t.sf(x, df)] for x, df in t],
        "studentTUpperQuantile": [[q, df, stats.t.isf(q, df)] for q, df in tq],
        "binomialCdf": [[k, n, q, stats.binom.cdf(k, n, q)] for k, n, q in b],
        "fairCoinP": [[k, n, stats.binomtest(k, n, 0.5).pvalue] for k, n in
                      [(0, 1), (1, 2), (0, 5), (3, 17), (9, 18), (30, 45), (2, 100)]],
    }


def columns():
    x = rng.normal(size=30)
    y = 0.6 * x + rng.normal(size=30)
    tied_x = rng.integers(0, 4, size=25).astype(float)
    tied_y = np.round(tied_x + rng.normal(size=25))
    return {
        "normal": (x, y),
        "ties": (tied_x, tied_y),
        "tiny": (np.array([1.0, 2.0, 4.0]), np.array([2.0, 1.0, 7.0])),
        "five": (np.array([1.0, 5.0, 3.0, 3.0, 2.0]), np.array([0.2, 0.9, 0.4, 0.8, 0.1])),
        "far from zero": (x + 1e6, 1e-3 * y - 5e2),
        "perfect": (np.arange(6.0), 2.0 * np.arange(6.0) + 1.0),
        "log rates": (rng.uniform(-6, -2, size=100), 0.95 + 0.02 * rng.normal(size=100)),
    }


def correlations():
    out = []
    for name, (x, y) in columns().items():
        pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
        out.append({
            "name": name, "x": x.tolist(), "y": y.tolist(),
            "pearson": [float(pearson.statistic), float(pearson.pvalue)],
            "spearman": [float(spearman.statistic), float(spearman.pvalue)],
        })
    return out


def exact_permutations():
    """All orders, for n small enough: SciPy's permutation_test, which is exact there."""
    out = []
    for name in ["tiny", "five"]:
        x, y = columns()[name]
        for kind, statistic in [("pearson", stats.pearsonr), ("spearman", stats.spearmanr)]:
            result = stats.permutation_test(
                (y,), lambda v, s=statistic: s(x, v).statistic, permutation_type="pairings", n_resamples=np.inf)
            # SciPy doubles the smaller tail; ours counts |r| at least as large.
            distribution = np.asarray(result.null_distribution)
            p = np.mean(np.abs(distribution) >= abs(result.statistic) - 1e-12)
            out.append({"name": name, "kind": kind, "p": float(p), "count": len(distribution)})
    return out


def groups():
    out = []
    for name, g, y in [
        ("plain", rng.random(40) < 0.4, rng.normal(size=40)),
        ("ties", rng.random(30) < 0.5, rng.integers(0, 5, size=30).astype(float)),
        ("one frozen", np.arange(9) == 3, np.array([3.0, 1, 2, 9, 4, 5, 2, 2, 8])),
    ]:
        pb = stats.pointbiserialr(g, y)
        u = stats.mannwhitneyu(y[g], y[~g], method="asymptotic")
        out.append({
            "name": name, "group": g.tolist(), "y": y.tolist(),
            "pointBiserial": [float(pb.statistic), float(pb.pvalue)],
            "rankBiserial": [float(2 * u.statistic / (g.sum() * (~g).sum()) - 1), float(u.pvalue)],
        })
    return out


def partial():
    z = rng.normal(size=40)
    x = z + rng.normal(size=40)
    y = 0.5 * x - z + rng.normal(size=40)
    design = np.column_stack([np.ones(40), z])

    def residual(v):
        return v - design @ np.linalg.lstsq(design, v, rcond=None)[0]

    r = stats.pearsonr(residual(x), residual(y)).statistic
    # The t of x in the regression of y on x and z has the same p, from statsmodels this time.
    import statsmodels.api as sm
    fit = sm.OLS(y, np.column_stack([np.ones(40), x, z])).fit()
    return {"x": x.tolist(), "y": y.tolist(), "z": z.tolist(), "r": float(r), "p": float(fit.pvalues[1])}


def multiplicity():
    out = []
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.2], [0.0, 1.0, 0.001, 0.9, 0.04, 0.04, 0.03],
              rng.random(14).tolist()]:
        out.append({"p": p, "bh": multipletests(p, method="fdr_bh")[1].tolist(),
                    "holm": multipletests(p, method="holm")[1].tolist()})
    return out


def bootstraps():
    """BCa and percentile ends from a given bootstrap distribution: no random numbers on our side."""
    out = []
    for name, data, statistic in [
        ("mean, skewed", rng.exponential(size=25), np.mean),
        ("variance", rng.normal(size=20), np.var),
        ("median, many ties", rng.integers(0, 6, size=21).astype(float), np.median),
    ]:
        first = stats.bootstrap((data,), statistic, n_resamples=499, method="percentile", vectorized=False, rng=rng)
        ends = {}
        for method in ["percentile", "BCa"]:
            again = stats.bootstrap((data,), statistic, n_resamples=0, method=method, vectorized=False,
                                    bootstrap_result=first, confidence_level=0.9)
            ci = again.confidence_interval
            ends[method] = [float(ci.low), float(ci.high)]
        jackknife = [float(statistic(np.delete(data, i))) for i in range(len(data))]
        out.append({"name": name, "replicates": first.bootstrap_distribution.tolist(), "level": 0.9,
                    "observed": float(statistic(data)), "jackknife": jackknife, "ends": ends})
    return out


def paired():
    tables = [(b, c) for b, c in [(0, 0), (3, 3), (1, 8), (12, 4), (40, 22)]]
    flips = [[0.01, 0.02, -0.005, 0.015, 0.0], [0.3, 0.1, 0.2, 0.4, 0.25, 0.5], [1.0], [-0.02, -0.02, 0.01, -0.03]]
    out_flips = []
    for d in flips:
        d = np.array(d)
        signs = np.array(np.meshgrid(*[[-1, 1]] * len(d))).reshape(len(d), -1)
        sums = np.abs(signs.T @ d)
        p = float(np.mean(sums >= abs(d.sum()) - 1e-12))
        if len(d) > 1:  # SciPy agrees on the same enumeration.
            two = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf)
            assert abs(two.pvalue - p) < 1e-12, (two.pvalue, p)
        out_flips.append({"d": d.tolist(), "p": p})
    integers = []
    for d in [[1, 1, -1, 2, 3, 0, -1], [5, -3, 2, 2, 1, 1, 1, -4, 0, 0], rng.integers(-5, 6, size=14).tolist()]:
        two = stats.permutation_test((np.array(d),), np.sum, permutation_type="samples", n_resamples=np.inf)
        integers.append({"d": d, "p": float(two.pvalue)})
    return {
        "mcnemar": [[b, c, float(mcnemar([[10, b], [c, 10]], exact=True).pvalue)] for b, c in tables],
        "signFlip": out_flips,
        "integerSignFlip": integers,
    }


def critical_r():
    out = []
    for n in [3, 4, 10, 50, 100, 1000]:
        for alpha in [0.05, 0.05 / 14]:
            t = stats.t.isf(alpha / 2, n - 2)
            out.append([n, alpha, float(t / np.sqrt(n - 2 + t * t))])
    return out


def expected_maximum():
    from scipy.integrate import quad
    return [[k, quad(lambda z: z * k * stats.norm.pdf(z) * stats.norm.cdf(z) ** (k - 1), -9, 9, epsabs=1e-13)[0]]
            for k in [2, 5, 20, 100, 1000]]


def kendall_w():
    """W from Friedman's chi-square: W = chi2 / (m (k - 1)), ties corrected in SciPy's."""
    out = []
    for ranks in [[[1, 2, 3, 4], [1, 2, 3, 4], [2, 1, 4, 3]], [[1, 2.5, 2.5, 4, 5], [2, 1, 3, 5, 4], [1, 2, 4, 3, 5]]]:
        m, k = len(ranks), len(ranks[0])
        chi2 = stats.friedmanchisquare(*np.array(ranks).T).statistic
        out.append({"ranks": ranks, "w": float(chi2 / (m * (k - 1)))})
    return out


def xoshiro():
    """xoshiro128** from its paper, started from a plain state: an independent second implementation."""
    mask = 0xFFFFFFFF
    s = [1, 2, 3, 4]
    rotl = lambda x, k: ((x << k) | (x >> (32 - k))) & mask
    out = []
    for _ in range(12):
        out.append((rotl((s[1] * 5) & mask, 7) * 9) & mask)
        t = (s[1] << 9) & mask
        s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 11)
    return out


golden = {
    "versions": {"numpy": np.__version__, "scipy": scipy.__version__, "statsmodels": statsmodels.__version__},
    "distributions": distributions(),
    "correlations": correlations(),
    "exactPermutations": None,
    "groups": groups(),
    "partial": partial(),
    "multiplicity": multiplicity(),
    "bootstraps": bootstraps(),
    "paired": paired(),
    "criticalR": critical_r(),
    "expectedMaximum": expected_maximum(),
    "kendallW": kendall_w(),
    "xoshiro": xoshiro(),
}
# Literal fixtures only, so the order of random draws above does not matter to it.
golden["exactPermutations"] = exact_permutations()

path = Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
