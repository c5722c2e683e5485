import { join, relative, sep } from "node:path";
import type { InputOptions, OutputOptions } from "rolldown";

/** Where a bundled program goes, and where its modules stand otherwise. */
export interface BundlePlaces {
  readonly output: string;
  /** Holds `src/`: what a module finds by its own place (workers, `crds/`, `package.json`) it finds there. */
  readonly root: string;
  /** Of the files there. */
  readonly extension: ".ts" | ".js";
}

const SOURCE = join(import.meta.dirname, "src");

/**
 * `conductor` as one file for what a role needs at its start and one for each part that it loads later: reading, linking and looking up
 * hundreds of files is most of the time in which a tenant comes back. Names and lines stay as they are, so that a stack trace can be read;
 * source maps lie beside the files, for `--enable-source-maps`.
 */
export function conductorBundle({
  output,
  root,
  extension,
}: BundlePlaces): InputOptions & { readonly output: OutputOptions } {
  const placeOf = (id: string): string =>
    relative(output, join(root, "src", relative(SOURCE, id).replace(/\.ts$/, extension)))
      .split(sep)
      .join("/");
  return {
    input: { conductor: join(SOURCE, "bin/conductor.ts") },
    platform: "node",
    // Native code for PostgreSQL, which `pg` does without.
    external: ["pg-native"],
    logLevel: "warn",
    output: {
      dir: output,
      format: "esm",
      sourcemap: true,
      entryFileNames: "[name].js",
      chunkFileNames: "conductor-[name]-[hash].js",
    },
    plugins: [
      {
        name: "place-of-each-module",
        transform(code, id) {
          if (!id.startsWith(SOURCE) || !code.includes("import.meta")) return undefined;
          const place = `new URL(${JSON.stringify(placeOf(id))}, import.meta.url).href`;
          const placed = code.replaceAll("import.meta.url", place);
          if (placed.replaceAll(place, "").includes("import.meta"))
            throw new Error(`${id}: only import.meta.url is known to the bundle; find the place from it`);
          return placed;
        },
      },
    ],
  };
}

/** `npm run build`: takes the place of what `tsc` made of the same program. */
export default conductorBundle({
  output: join(import.meta.dirname, "dist/src/bin"),
  root: join(import.meta.dirname, "dist"),
  extension: ".js",
});
