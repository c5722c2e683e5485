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
  const slash = key.indexOf("/");
  const name = key.slice(slash + 1);
  if (slash === 0) return "prefix part must be non-empty";
  if (slash > 0) {
    if (name.includes("/")) return QUALIFIED_NAME_TEXT.replace("name part", "a qualified name");
    const problem = subdomainProblem(key.slice(0, slash));
    if (problem) return `prefix part ${problem}`;
  }
  if (name === "") return "name part must be non-empty";
  if (name.length > 63) return "name part must be no more than 63 characters";
  return QUALIFIED_NAME.test(name) ? undefined : QUALIFIED_NAME_TEXT;
}

/** What is wrong with a label value, or undefined. */
export function labelValueProblem(value: string): string | undefined {
  if (value.length > 63) return "must be no more than 63 characters";
  return LABEL_VALUE.test(value) ? undefined : LABEL_VALUE_TEXT;
}

/** True for an IP address. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}
