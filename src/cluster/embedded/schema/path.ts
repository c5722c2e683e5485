/** Path of a member in field errors: `spec.replicas`. */
export function fieldPath(parent: string, name: string): string {
  return parent === "" ? name : `${parent}.${name}`;
}

/** Path of a list item: `spec.ports[0]`. */
export function itemPath(parent: string, index: number): string {
  return `${parent}[${index}]`;
}

/** Path of a map entry: `metadata.labels[a]`. */
export function keyPath(parent: string, key: string): string {
  return `${parent}[${key}]`;
}
