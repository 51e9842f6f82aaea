import { describe, expect, it } from "vitest";
import { analyseLayers, compareArms } from "../../../src/analysis/index.js";
import type { LayerTrial } from "../../../src/analysis/types.js";
import {
  buildReport,
  parseReport,
  REPORT_FORMAT,
  renderHtml,
  renderJson,
  renderMarkdown,
  renderTerminal,
  type SearchFindings,
} from "../../../src/report/index.js";
import { arm } from "../analysis/arms.js";
import { exampleFindings } from "./fixture.js";

const findings = exampleFindings();
const report = buildReport(findings);

function withTrials(trials: readonly LayerTrial[]): SearchFindings {
  const layers = analyseLayers(trials, { seed: 1, permutations: 99, resamples: 99 });
  return { ...findings, trials, layers, comparisons: [], notices: [] };
}

/** Like not.toMatch, without the whole file in the message. */
function absent(text: string, pattern: RegExp): void {
  const found = pattern.exec(text);
  expect(found && text.slice(Math.max(0, found.index - 80), found.index + 80)).toBeNull();
}

describe("document", () => {
  it("answers first, says last what was not tested and what was run", () => {
    expect(report.sections.map((section) => section.title)).toMatchInlineSnapshot(`
      [
        "Read this first",
        "Does it beat plain fine-tuning?",
        "Which layers matter?",
        "What the search found",
        "What was not tested",
        "What was run",
      ]
    `);
    expect(report.subtitle).toMatchInlineSnapshot(
      `"study banking12 × MiniLM-L6 · 192 training rows, 12 labels · 104 trials · 2026-11-24"`,
    );
    const figures = report.sections.flatMap((s) =>
      s.blocks.flatMap((b) => (b.kind === "figure" ? [b.title] : [])),
    );
    expect(figures).toMatchInlineSnapshot(`
      [
        "per-layer and uniform on the test set",
        "Importance with intervals",
        "Learning rate per layer, best trials",
        "Course of the search",
        "Cost against accuracy",
      ]
    `);
  });

  it.each<[string, string | undefined, string]>([
    ["minilm", "train.jsonl", "minilm on train.jsonl"],
    ["/srv/a/very/long/way/to/minilm/", "../../data/banking77/train.jsonl", "minilm on train.jsonl"],
    ["C:\\models\\minilm", "D:\\data\\train.csv", "minilm on train.csv"],
    ["runs/monday/model", "train.jsonl", "monday/model on train.jsonl"],
    ["model", "train.jsonl", "model on train.jsonl"],
    ["..", "train.jsonl", "bert on train.jsonl"],
    ["minilm", undefined, "minilm"],
  ])("is called by what was run: model %s, train %s", (name, train, title) => {
    const { study } = findings;
    const data = train === undefined ? [] : [{ ...study.data[0]!, path: train }];
    const named = { ...findings, study: { ...study, model: { ...study.model, name }, data } };
    expect(buildReport(named).title).toBe(title);
  });

  it("every row of every table has a cell a column", () => {
    const tables = report.sections.flatMap((s) => s.blocks.flatMap((b) => (b.kind === "table" ? [b] : [])));
    expect(tables.length).toBeGreaterThan(8);
    for (const table of tables)
      for (const row of table.rows) expect(row.length, table.caption).toBe(table.columns.length);
  });

  it("warns of a test set read twice and of a comparison not run", () => {
    const twice = { ...findings.study, testReadAt: ["2026-11-24T09:40:02Z", "2026-11-25T08:00:00Z"] };
    const text = renderTerminal(buildReport({ ...findings, study: twice, comparisons: [] }), { width: 100 });
    expect(text.split("Which layers matter?")[0]).toMatchInlineSnapshot(`
      "minilm-l6 on train.jsonl
      study banking12 × MiniLM-L6 · 192 training rows, 12 labels · 104 trials · 2026-11-24

      Does it beat plain fine-tuning?
      Test set read more than once. The test rows were read 2 times (2026-11-24T09:40:02Z,
      2026-11-25T08:00:00Z). Every look after the first makes the numbers below too good.

      No comparison. Nothing here says whether the search beats plain fine-tuning.

      "
    `);
  });
});

describe("html", () => {
  it("is one file: no script, nothing loaded, nothing linked, of bounded size", async () => {
    const html = await renderHtml(report);
    absent(html, /https?:/i);
    absent(html, /<script|<link|<iframe|<img|@import|url\((?!#)|\bon\w+=/i);
    expect(html.match(/(href|src)="[^#"]/g)).toBeNull();
    expect(html.match(/<svg/g)).toHaveLength(5);
    expect(html).toContain("default-src 'none'");
    expect(html).toContain("prefers-color-scheme: dark");
    expect(html.length).toBeLessThan(300_000);
    absent(html, /undefined|NaN|\[object/);
  });

  it("shows names as text, in tables, attributes and pictures", async () => {
    const evil = `<script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;
    const { study } = findings;
    const named: SearchFindings = {
      ...exampleFindings(evil),
      trials: findings.trials.map((trial) => ({ ...trial, rates: { ...trial.rates, [evil]: 1e-4 } })),
      study: {
        ...study,
        name: evil,
        objective: evil,
        model: { ...study.model, name: evil },
        data: [{ ...study.data[0]!, path: evil }],
        options: { [evil]: evil },
      },
      comparisons: [
        compareArms(
          arm(evil, [
            [true, false],
            [true, true],
          ]),
          arm("uniform", [
            [true, false],
            [false, true],
          ]),
          { seed: 1 },
        ),
      ],
      notices: [{ tone: "warning", text: evil }],
    };
    const html = await renderHtml(buildReport(named));
    absent(html, /<script|<img/);
    // Of `onerror=` only text is left: each one follows an escaped tag.
    expect(html.match(/onerror=/g)!.length).toBe(html.match(/&lt;img src=x onerror=/g)!.length);
    expect(html.includes("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;")).toBe(true);
    expect(html.includes("&amp;amp;")).toBe(true);
  });

  it("has a title for the browser's tab, and the same above the page", async () => {
    const html = await renderHtml({ ...report, title: "<tiny> on a&b.jsonl" });
    expect(html).toContain("<title>&lt;tiny&gt; on a&amp;b.jsonl · permafrost</title>");
    expect(html).toContain("<h1>&lt;tiny&gt; on a&amp;b.jsonl</h1>");
  });

  it("names what tables and pictures show", async () => {
    const html = await renderHtml(report);
    const tables = html.match(/<table/g)!.length;
    expect(html.match(/<caption>/g)).toHaveLength(tables);
    expect(html.match(/<th scope="col"/g)!.length).toBeGreaterThan(tables);
    expect(html.match(/class="plot" role="img" aria-label="[^"]{40,}"/g)).toHaveLength(5);
  });

  it("leaves the event loop a turn before every step of every picture", async () => {
    await renderHtml(report); // loads Vega, which waits for the disk
    const pictures = report.sections.flatMap((s) => s.blocks.filter((b) => b.kind === "figure")).length;
    let [turns, ended] = [0, false];
    const turn = () => {
      turns += 1;
      if (!ended) setImmediate(turn);
    };
    setImmediate(turn);
    await renderHtml(report);
    ended = true;
    expect(pictures).toBe(5);
    expect(turns).toBeGreaterThanOrEqual(3 * pictures);
  });

  it("stays small for 400 trials of a 24-layer model", async () => {
    const groups = ["embeddings", ...Array.from({ length: 24 }, (_, i) => `layer.${i}`), "head"];
    const trials = Array.from({ length: 400 }, (_, number): LayerTrial => {
      const like = findings.trials[number % findings.trials.length]!;
      const rates = Object.fromEntries(
        groups.map((g, i) => [g, (number * 7 + i * 3) % 5 === 0 ? 0 : 10 ** (-5 + ((number + i) % 3))]),
      );
      return { ...like, number, rates, value: like.value === null ? null : like.value - 1e-5 * number };
    });
    const html = await renderHtml(buildReport(withTrials(trials)));
    expect(html.length).toBeLessThan(700_000);
    absent(html, /undefined|NaN/);
  });

  it.each([
    ["no trial at all", []],
    ["one trial", findings.trials.slice(0, 1)],
    [
      "only failed trials",
      findings.trials.slice(0, 3).map((t): LayerTrial => ({ ...t, state: "FAIL", value: null })),
    ],
    ["constant values", findings.trials.slice(0, 20).map((t) => ({ ...t, value: 0.5 }))],
    [
      "everything frozen but the head",
      findings.trials.slice(2, 9).map((t): LayerTrial => ({ ...t, rates: { "layer.0": 0, head: 1e-3 } })),
    ],
    [
      "NaN values",
      findings.trials.slice(0, 9).map((t, i) => ({ ...t, value: i % 2 ? Number.NaN : t.value })),
    ],
  ] as const)("survives %s, in every format", async (_, trials) => {
    const sparse = withTrials(trials);
    const document = buildReport(sparse);
    for (const text of [
      await renderHtml(document),
      renderMarkdown(document),
      renderTerminal(document),
      renderJson(sparse),
    ])
      absent(text, /undefined|NaN|Infinity/);
  });
});

describe("terminal", () => {
  it("fits the width and has no colour unless asked", () => {
    for (const width of [40, 60, 80, 132]) {
      const text = renderTerminal(report, { width });
      expect(Math.max(...text.split("\n").map((line) => [...line].length))).toBeLessThanOrEqual(width);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for one.
      absent(text, /\u001b/);
    }
    expect(renderTerminal(report, { color: true })).toContain("\u001b[1;36mVerdict.\u001b[0m");
    // What was frozen is all there, on as many lines as it takes.
    const frozen = "embeddings, layer.1, layer.3–4, layer.6";
    const narrow = renderTerminal(
      {
        title: "t",
        subtitle: "s",
        sections: [
          {
            id: "x",
            title: "X",
            blocks: [
              {
                kind: "table",
                caption: "c",
                columns: [
                  { label: "Configuration" },
                  { label: "Best validation", align: "right" },
                  { label: "Frozen" },
                ],
                rows: [["per-layer", "97.31 ± 0.20", frozen]],
                brief: true,
              },
            ],
          },
        ],
      },
      { width: 50 },
    );
    absent(narrow, /…/);
    for (const word of frozen.split(" ")) expect(narrow).toContain(word);
    expect(narrow).toContain("97.31 ± 0.20");
  });

  it("breaks words where it must, headings first, and cuts nothing off: rows stay apart", () => {
    const columns = [
      { label: "Group" },
      ...["Mean rank", "Validation", "Parameters"].map((label) => ({ label, align: "right" as const })),
      { label: "Reading" },
    ];
    const rows = [
      ["embeddings", "1.3", "97.31 ± 0.20", "8.87 M", "not shown"],
      ["layer.10", "10.5", "96.00 ± 0.11", "17.2 M", "better trained"],
      ["layer.11", "12.0", "96.00 ± 1.11", "17.2 M", "not shown"],
    ];
    const blocks = [{ kind: "table" as const, caption: "c", columns, rows, brief: true }];
    const at = (width: number) =>
      renderTerminal(
        { title: "t", subtitle: "s", sections: [{ id: "x", title: "X", blocks }] },
        { width },
      ).split("c\n")[1];
    expect(at(40)).toMatchInlineSnapshot(`
      "Group       Mean  Valid  Parame  Reading
                  rank  ation    ters
      embeddings   1.3  97.31  8.87 M  not
                            ±          shown
                         0.20
      layer.10    10.5  96.00  17.2 M  better
                            ±          trained
                         0.11
      layer.11    12.0  96.00  17.2 M  not
                            ±          shown
                         1.11
      "
    `);
    expect(at(60)).toMatchInlineSnapshot(`
      "Group       Mean rank    Validation  Parameters  Reading
      embeddings        1.3  97.31 ± 0.20      8.87 M  not shown
      layer.10         10.5  96.00 ± 0.11      17.2 M  better
                                                       trained
      layer.11         12.0  96.00 ± 1.11      17.2 M  not shown
      "
    `);
    for (const width of [40, 50, 60]) absent(renderTerminal(report, { width }), /…/);
  });

  it("reads like this", () => {
    expect(renderTerminal(report, { width: 92 }).split("What the search found")[0]).toMatchInlineSnapshot(`
      "minilm-l6 on train.jsonl
      study banking12 × MiniLM-L6 · 192 training rows, 12 labels · 104 trials · 2026-11-24

      Does it beat plain fine-tuning?
      Verdict. No gain over uniform shown: the difference is +0.2 points (95 % interval −0.9 to
      +1.4; 5 seeds × 480 rows). The smallest difference these seeds and rows would have shown
      four times in five is 1.4 points.
      Against uniform it needs 36 % of the trained parameters and 89 % of the training FLOPs with
      embeddings, layer.2–3 frozen (3 of 8 groups). The same accuracy for less is a result too: a
      loss of more than 0.9 points is excluded (they are called equal below 1.0).

      Accuracy in %, mean ± standard deviation over seeds
      Configuration          Trials  Best validation        Test  Seeds  Frozen
      per-layer                 104             96.6  96.9 ± 0.5      5  embeddings, layer.2–3
      uniform                   104             96.8  96.7 ± 0.6      5  none
      always “card_arrival”       –                –         8.3      –  –

      What one training run costs, mean over seeds
                          per-layer  uniform  Ratio
      Trained parameters     8.87 M   24.3 M  0.36×
      Training FLOPs         2.31 T   2.59 T  0.89×
      Time                     22 s     25 s  0.90×

      Which layers matter?
      Layers. 2 of 8 groups pass q < .05: head (better with a higher rate); layer.5 (better
      trained). Nothing is shown for embeddings, layer.0–4.

      With 59 random trials |r| must exceed .30 to .32 for freezing and .31 to .34 for a rate (35
      to 41 trials) at p < .05; after correction over 16 tests .46 at the least. Weaker layers
      cannot be told from chance.

      Ranks of the layers by each method, 1 = strongest evidence
      Group       Mean rank  Frozen or not  Rate given global  Reading
      head              1.5              2                  1  better with a higher rate
      layer.5           4.0              1                  7  better trained
      layer.0           4.0              5                  3  not shown
      layer.1           4.5              7                  2  not shown
      layer.3           4.5              4                  5  not shown
      layer.4           5.5              3                  8  not shown
      embeddings        6.0              8                  4  not shown
      layer.2           6.0              6                  6  not shown

      "
    `);
  });

  it("lets no control character of a name through", () => {
    const { study } = findings;
    const name = "a\u001b[2J\u0007b";
    const text = renderTerminal(
      buildReport({ ...findings, study: { ...study, name, model: { ...study.model, name } } }),
    );
    expect(text.startsWith("a [2J b on train.jsonl\nstudy a [2J b · ")).toBe(true);
  });
});

describe("markdown", () => {
  it("escapes what would be markup, and keeps tables whole", () => {
    const name = "a|b *c* <d> [e](f)\n# g `h`";
    const text = renderMarkdown(buildReport({ ...findings, study: { ...findings.study, name } }));
    expect(text.split("\n")[2]?.split(" · ")[0]).toBe(
      "study a\\|b \\*c\\* &lt;d&gt; \\[e\\](f) \\# g \\`h\\`",
    );
    const lines = renderMarkdown(report).split("\n");
    const start = lines.findIndex((line) => line.startsWith("| Configuration"));
    expect(lines.slice(start, start + 4)).toMatchInlineSnapshot(`
      [
        "| Configuration | Trials | Best validation | Test | Seeds | SE | Optimism | Frozen |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
        "| per-layer | 104 | 96.6 | 96.9 ± 0.5 | 5 | 0.8 | −0.3 | embeddings, layer.2–3 |",
        "| uniform | 104 | 96.8 | 96.7 ± 0.6 | 5 | 0.8 | +0.1 | none |",
      ]
    `);
  });
});

describe("json", () => {
  it("is the findings, with null for what JSON cannot say", () => {
    const parsed = JSON.parse(renderJson(withTrials([{ ...findings.trials[0]!, value: Number.NaN }])));
    expect(parsed.format).toBe(REPORT_FORMAT);
    expect(parsed.trials[0].value).toBeNull();
    expect(JSON.parse(renderJson(findings)).comparisons[0].verdict.word).toBe("no difference shown");
  });
});

describe("reading a report again", () => {
  type Loose = Record<string, unknown>;
  const again = (change: (json: Loose) => unknown) => parseReport(change(JSON.parse(renderJson(findings))));

  it("gives what was written, and the same page", () => {
    const parsed = again((json) => json);
    expect("issues" in parsed ? parsed.issues : []).toEqual([]);
    expect("findings" in parsed && renderMarkdown(buildReport(parsed.findings))).toBe(renderMarkdown(report));
  });

  it("takes null for what was not finite", () => {
    const parsed = again((json) => {
      (json.comparisons as { winner: Loose }[])[0]!.winner.optimism = null;
      return json;
    });
    expect("findings" in parsed && parsed.findings.comparisons[0]!.winner.optimism).toBeNaN();
  });

  it.each<[string, (json: Loose) => unknown, string, string]>([
    ["another file", () => ({ study: {}, trials: [] }), "study.name", "a string"],
    ["a list", () => [], "the whole", "an object"],
    ["null", () => null, "the whole", "an object"],
    ["no layers", ({ layers: _, ...rest }) => rest, "layers", "an object"],
    [
      "text for a rate",
      (json) => spoil(json, ["trials", 0, "rates", "head"], "fast"),
      "trials.0.rates.head",
      "a number",
    ],
    [
      "an unknown state",
      (json) => spoil(json, ["trials", 3, "state"], "LOST"),
      "trials.3.state",
      'one of "RUNNING"',
    ],
    [
      "a number missing",
      (json) => spoil(json, ["comparisons", 0, "rows"], undefined),
      "comparisons.0.rows",
      "a number",
    ],
    ["a later format", (json) => ({ ...json, format: "permafrost-report/9" }), "format", REPORT_FORMAT],
  ])("refuses %s, naming the key", (_, change, path, expected) => {
    const parsed = again(change);
    const issue = "issues" in parsed ? parsed.issues.find((one) => one.path === path) : undefined;
    expect(issue?.expected).toContain(expected);
  });

  function spoil(json: Loose, path: readonly (string | number)[], value: unknown): Loose {
    let at = json as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) at = at[key] as Loose;
    at[path.at(-1)!] = value;
    return json;
  }
});
