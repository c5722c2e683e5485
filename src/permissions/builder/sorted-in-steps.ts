/** Elements sorted or merged between two yields. */
const RUN = 512;

/**
 * The same elements in order, by merging sorted runs: a long list is sorted without holding anybody up. Stable.
 *
 * @param compare as for `Array.prototype.sort`
 */
export function* sortedInSteps<T>(list: readonly T[], compare: (a: T, b: T) => number): Generator<void, readonly T[]> {
  if (list.length <= RUN) return [...list].sort(compare);
  let runs: (readonly T[])[] = [];
  for (let at = 0; at < list.length; at += RUN) {
    runs.push(list.slice(at, at + RUN).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* merge(runs[i] ?? [], runs[i + 1] ?? [], compare));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<void, readonly T[]> {
  if (right.length === 0) return left;
  const out: T[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const fromLeft = j >= right.length || (i < left.length && compare(left[i] as T, right[j] as T) <= 0);
    out.push((fromLeft ? left[i++] : right[j++]) as T);
    if (out.length % RUN === 0) yield;
  }
  return out;
}
