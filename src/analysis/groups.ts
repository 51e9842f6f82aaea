/** Names of parameter groups, in the order data passes them. */

/** embeddings, layer.0, layer.1, …, anything else by name, pooler, head. */
export function inNetworkOrder(groups: Iterable<string>): string[] {
  return [...new Set(groups)].sort((a, b) => {
    const [orderA, indexA] = place(a);
    const [orderB, indexB] = place(b);
    return orderA - orderB || indexA - indexB || (a < b ? -1 : a > b ? 1 : 0);
  });
}

function place(group: string): readonly [order: number, index: number] {
  if (group === "embeddings") return [0, 0];
  const layer = /^layer\.(\d+)$/.exec(group);
  if (layer) return [1, Number(layer[1])];
  if (group === "pooler") return [3, 0];
  if (group === "head") return [4, 0];
  return [2, 0];
}
