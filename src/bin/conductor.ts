#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { compileCacheDirectory } from "./compile-cache-directory.ts";

// Before anything else is loaded: what is compiled from here on comes from the cache, or goes there.
const directory = compileCacheDirectory(process.env);
if (directory !== undefined) enableCompileCache(directory);
const { runConductor } = await import("./conductor-program.ts");
await runConductor(process.argv.slice(2));
