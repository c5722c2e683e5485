/** Serial number as Node prints it: upper-case hex without separators or leading zeros. Deny lists are compared in this form. */
export function normalizeSerial(text: string): string {
  const hex = text.replaceAll(/[:\s]/g, "").replace(/^0x/i, "").toUpperCase().replace(/^0+/, "");
  return hex === "" ? "0" : hex;
}
