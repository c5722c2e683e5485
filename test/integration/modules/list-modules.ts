import { registerHooks } from "node:module";

/**
 * Preloaded into a child (`node --import`): prints every package that the program loads, one a line, at the moment it is loaded. A
 * package is named as in package.json; our own files are left out.
 */
const seen = new Set<string>();

registerHooks({
  load(url, context, nextLoad) {
    const [, name] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url) ?? [];
    if (name !== undefined && !seen.has(name)) {
      seen.add(name);
      process.stdout.write(`${name}\n`);
    }
    return nextLoad(url, context);
  },
});
