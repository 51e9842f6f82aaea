/** The columns of a dataset file, and what else their names and separators may be in files from elsewhere. */

export type Column = "text" | "text_b" | "label";

/** What else a header may be separated by, and what to do then. A .csv has commas, a .tsv tabs: nothing is guessed. */
const OTHER_SEPARATORS = [
  [";", 'the columns are separated by ";": save the file with commas, as .csv'],
  ["\t", "the columns are separated by tabs: save the file with commas, or name it .tsv"],
  [",", "the columns are separated by commas: name the file .csv"],
] as const;

/** Names in Hugging Face's data sets and elsewhere, lower case; the first that is there is the one meant. */
const OTHER_NAMES: Readonly<Record<Column, readonly string[]>> = {
  text: ["text", "sentence1", "premise", "question1", "question", "sentence", "content", "review"],
  text_b: ["text_b", "textb", "text_pair", "sentence2", "hypothesis", "question2", "sentence"],
  label: ["label", "labels", "gold_label", "coarse_label", "class", "category", "target", "intent", "y"],
};

/** The column of that name: as it is written, else the only one that differs in case alone. */
export function nameIn(columns: readonly string[], name: Column): string {
  return columns.includes(name) ? name : (likeIn(columns, name) ?? name);
}

/** The only one that is `name` but for case. */
function likeIn(columns: readonly string[], name: string): string | undefined {
  const alike = columns.filter((column) => column.toLowerCase() === name);
  return alike.length === 1 ? alike[0] : undefined;
}

/** When the header has the columns that are needed once it is split at another separator. */
export function separatorHint(columns: readonly string[], needed: readonly Column[]): string | undefined {
  const found = OTHER_SEPARATORS.find(([separator]) => {
    const cells = columns.flatMap((column) => column.split(separator));
    const names = cells.map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
    if (cells.length === columns.length) return false;
    return needed.every((column) => names.includes(nameIn(names, column)));
  });
  return found?.[1];
}

/** When a column that is missing is there under another name; with the text, its pair's too. */
export function renameHint(columns: readonly string[], missing: Column): string | undefined {
  const found = new Map<string, Column>();
  const wanted: readonly Column[] = missing === "text" ? ["text", "text_b"] : [missing];
  for (const column of wanted.filter((name) => !columns.includes(name))) {
    const candidates = OTHER_NAMES[column].map((name) => likeIn(columns, name));
    const name = candidates.find((candidate) => candidate !== undefined && !found.has(candidate));
    if (name !== undefined) found.set(name, column);
  }
  if (found.size === 0) return undefined;
  return `rename ${Array.from(found, ([name, column]) => `"${name}" to "${column}"`).join(" and ")}`;
}
