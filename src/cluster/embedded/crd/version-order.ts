const KUBE_VERSION = /^v(?<major>\d+)(?:(?<stage>alpha|beta)(?<minor>\d+))?$/;

function rank(version: string): readonly number[] {
  const parts = KUBE_VERSION.exec(version)?.groups;
  if (!parts) return [0];
  const stage = parts["stage"] === undefined ? 3 : parts["stage"] === "beta" ? 2 : 1;
  return [1, stage, Number(parts["major"]), Number(parts["minor"] ?? 0)];
}

/** Orders versions by Kubernetes' priority, best first: v2, v1, v1beta1, v1alpha1, then others by name. */
export function compareVersions(a: string, b: string): number {
  const left = rank(a);
  const right = rank(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (right[i] ?? 0) - (left[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
