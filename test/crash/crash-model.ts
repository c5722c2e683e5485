/** Every so many steps a key is deleted; the next step creates it again. */
const DELETE_EVERY = 7;

/** Whether the object exists after this step. Step 0 is before the first. */
export function isPresent(step: number): boolean {
  return step % DELETE_EVERY !== 0;
}

/** What the object of a key is after a step: two places say the step, so that half an object shows. */
export function stepBody(key: string, step: number) {
  return {
    metadata: { name: key, namespace: "default", labels: { step: String(step) } },
    data: { step: String(step), filler: `${step} `.repeat(1 + (step % 5) * 100) },
  };
}
