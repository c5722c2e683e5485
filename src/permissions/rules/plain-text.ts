/** True for text that may stand in a snapshot: no control characters, no halves of characters (RFC 8785 §3.2.2.2). */
export function isPlainText(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}
