/** Texts of `Warning` headers (`299 - "text"`, RFC 7234 §5.5), also of several in one header. */
export function warningTexts(headers: readonly string[]): readonly string[] {
  return headers.flatMap((header) =>
    Array.from(header.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g), (found) =>
      (found[1] ?? "").replaceAll(/\\(.)/g, "$1"),
    ),
  );
}
