import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import type { CustomResourceDefinitionObject } from "../builtin.ts";

/** Folder of the CRD sources, beside `src/`. */
const CRDS = new URL("../../../crds/", import.meta.url);

/** Every CRD of the system, from `crds/`, sorted by file name. About 25 ms; a process calls it once. */
export function loadCrds(): readonly CustomResourceDefinitionObject[] {
  return readdirSync(fileURLToPath(CRDS))
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
    .map((name) => load(readFileSync(new URL(name, CRDS), "utf8")) as CustomResourceDefinitionObject);
}
