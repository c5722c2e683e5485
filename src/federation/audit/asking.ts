/** A computation that asks its store questions: one rule, for a store that answers at once and for one that answers later. */
export type Asking<Question, Answer, Result> = Generator<Question, Result, Answer>;

/** Runs it over a store that answers at once. */
export function answered<Question, Answer, Result>(
  asking: Asking<Question, Answer, Result>,
  answer: (question: Question) => Answer,
): Result {
  let step = asking.next();
  while (step.done !== true) step = asking.next(answer(step.value));
  return step.value;
}

/** Runs it over a store that answers later. */
export async function answeredLater<Question, Answer, Result>(
  asking: Asking<Question, Answer, Result>,
  answer: (question: Question) => Promise<Answer>,
): Promise<Result> {
  let step = asking.next();
  while (step.done !== true) step = asking.next(await answer(step.value));
  return step.value;
}
