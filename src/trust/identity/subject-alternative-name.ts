/** One general name of a certificate, as Node prints it: type before the colon, value after it. */
export interface SubjectAlternativeName {
  /** For example `DNS`, `IP Address`, `URI`, `email`. */
  readonly type: string;
  readonly value: string;
}

/**
 * Splits `X509Certificate.subjectAltName`. Node quotes a name that holds a comma or a quote as a JSON string, so that a crafted
 * name cannot look like two; an unreadable list is an answer (undefined), and the caller refuses it.
 */
export function parseSubjectAlternativeNames(text: string | undefined): readonly SubjectAlternativeName[] | undefined {
  if (text === undefined || text === "") return [];
  const names: SubjectAlternativeName[] = [];
  let rest = text;
  for (;;) {
    const head = /^([A-Za-z ]+):/.exec(rest);
    if (head === null) return undefined;
    rest = rest.slice(head[0].length);
    const type = head[1] ?? "";
    let value: string;
    if (rest.startsWith('"')) {
      const quoted = /^"(?:[^"\\]|\\.)*"/.exec(rest);
      if (quoted === null) return undefined;
      rest = rest.slice(quoted[0].length);
      try {
        value = String(JSON.parse(quoted[0]));
      } catch {
        return undefined; // not the quoting Node writes: unreadable is the answer
      }
    } else {
      const end = rest.indexOf(", ");
      value = end < 0 ? rest : rest.slice(0, end);
      rest = end < 0 ? "" : rest.slice(end);
    }
    names.push({ type, value });
    if (rest === "") return names;
    if (!rest.startsWith(", ")) return undefined;
    rest = rest.slice(2);
  }
}
