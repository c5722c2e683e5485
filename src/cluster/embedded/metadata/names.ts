import { isIP } from "node:net";

const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an " +
  "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an " +
  "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_NAME_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. " +
  "'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
  "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Which rule the names of a kind follow. */
export type NameRule = "subdomain" | "label" | "label1035" | "path";

/** What is wrong with a name, or undefined (apimachinery `validation`). */
export function nameProblem(rule: NameRule, name: string): string | undefined {
  switch (rule) {
    case "subdomain":
      return subdomainProblem(name);
    case "label":
      if (name.length > 63) return "must be no more than 63 characters";
      if (name.includes(".")) return "must not contain dots";
      return LABEL.test(name) ? undefined : LABEL_TEXT;
    case "label1035":
      if (name.length > 63) return "must be no more than 63 characters";
      return LABEL_1035.test(name) ? undefined : LABEL_1035_TEXT;
    case "path":
      if (name === "." || name === "..") return `may not be '${name}'`;
      if (name.includes("/")) return "may not contain '/'";
      return name.includes("%") ? "may not contain '%'" : undefined;
  }
}

export function subdomainProblem(name: string): string | undefined {
  if (name.length > 253) return "must be no more than 253 characters";
  return SUBDOMAIN.test(name) ? undefined : SUBDOMAIN_TEXT;
}

/** What is wrong with the key of a label or annotation, or undefined. */
export function qualifiedNameProblem(key: string): string | undefined {
  return qualifiedNameProblems(key)[0];
}

/** Everything that is wrong with the key of a label or annotation. */
export function qualifiedNameProblems(key: string, what = "qualified name"): readonly string[] {
  const parts = key.split("/");
  if (parts.length > 2) {
    return [
      `a valid ${what} must consist of ${QUALIFIED_NAME_TEXT.slice("name part must consist of ".length)} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const [prefix, name] = parts.length === 2 ? parts : [undefined, key];
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined) {
    const problem =
      prefix.length > 253 ? "must be no more than 253 bytes" : SUBDOMAIN.test(prefix) ? undefined : SUBDOMAIN_TEXT;
    if (problem !== undefined) problems.push(`prefix part ${problem}`);
  }
  if (name === "") problems.push("name part must be non-empty");
  else if ((name ?? "").length > 63) problems.push("name part must be no more than 63 bytes");
  if (!QUALIFIED_NAME.test(name ?? "")) problems.push(QUALIFIED_NAME_TEXT);
  return problems;
}

/** What is wrong with a label value, or undefined. */
export function labelValueProblem(value: string): string | undefined {
  return labelValueProblems(value)[0];
}

/** Everything that is wrong with a label value. */
export function labelValueProblems(value: string): readonly string[] {
  return [
    ...(value.length > 63 ? ["must be no more than 63 bytes"] : []),
    ...(LABEL_VALUE.test(value) ? [] : [LABEL_VALUE_TEXT]),
  ];
}

/** True for an IP address. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}
