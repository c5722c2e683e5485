/** The lines of a generated table (`built-in-messages.ts`): a name, and after a space what it stands for. */
export function messagePairs(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .trim()
      .split("\n")
      .map((line) => {
        const space = line.indexOf(" ");
        return space < 0 ? ([line, ""] as const) : ([line.slice(0, space), line.slice(space + 1)] as const);
      }),
  );
}
