import { registerHooks } from "node:module";
import { appendFileSync } from "node:fs";

// Preloaded into a process (`--import`): notes every file that is loaded, in order, in the file LOADED_MODULES names.
const list = process.env["LOADED_MODULES"];
if (list === undefined) throw new Error("LOADED_MODULES names a file");
registerHooks({
  load(url, context, nextLoad) {
    if (url.startsWith("file:")) appendFileSync(list, `${url}\n`);
    return nextLoad(url, context);
  },
});
