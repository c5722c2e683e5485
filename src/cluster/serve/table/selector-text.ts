import { isJsonObject, type JsonValue } from "../../../base/json.ts";
import { at, listAt, orNone, textAt } from "./table-column.ts";

/** A map of labels as `a=1,b=2`, sorted; `<none>` when empty. */
export function labelsText(labels: JsonValue | undefined): string {
  if (!isJsonObject(labels)) return "<none>";
  return orNone(
    Object.keys(labels)
      .sort()
      .map((key) => `${key}=${textAt(labels, key)}`)
      .join(","),
  );
}

/** A `LabelSelector` in the syntax of `-l`; `<none>` when it selects everything. */
export function selectorText(selector: JsonValue | undefined): string {
  const matchLabels = at(selector, "matchLabels");
  const parts = isJsonObject(matchLabels)
    ? Object.keys(matchLabels).map((key) => ({ key, text: `${key}=${textAt(matchLabels, key)}` }))
    : [];
  for (const expression of listAt(selector, "matchExpressions")) {
    const key = textAt(expression, "key");
    const values = listAt(expression, "values").map(String).sort().join(",");
    switch (textAt(expression, "operator")) {
      case "In":
        parts.push({ key, text: `${key} in (${values})` });
        break;
      case "NotIn":
        parts.push({ key, text: `${key} notin (${values})` });
        break;
      case "Exists":
        parts.push({ key, text: key });
        break;
      case "DoesNotExist":
        parts.push({ key, text: `!${key}` });
        break;
      default:
    }
  }
  parts.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return orNone(parts.map((part) => part.text).join(","));
}
