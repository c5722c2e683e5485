/** Entries that are sorted or merged between two turns: some hundred microseconds. */
const SLICE = 1_024;

/** Sorts by key, by UTF-16 code units, in slices; equal keys stay in their order. Yields where others may have their turn. */
export function* sortSteps<T extends { readonly key: string }>(list: readonly T[]): Generator<void, T[]> {
  let runs: T[][] = [];
  for (let start = 0; start < list.length; start += SLICE) {
    runs.push(list.slice(start, start + SLICE).sort(byKey));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* mergeSteps(runs[i] ?? [], runs[i + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeSteps<T extends { readonly key: string }>(first: T[], second: T[]): Generator<void, T[]> {
  if (second.length === 0) return first;
  const merged: T[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const a = first[i];
    const b = second[j];
    if (a === undefined && b === undefined) return merged;
    if (b === undefined || (a !== undefined && a.key <= b.key)) {
      if (a !== undefined) merged.push(a);
      i++;
    } else {
      merged.push(b);
      j++;
    }
    if (merged.length % SLICE === 0) yield;
  }
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
