import { type TlsFiles, type TlsSource, watchTlsFiles } from "../trust/tls/tls-material.ts";
import type { AgentOptions } from "./agent-options.ts";
import type { ClosingOrder } from "./closing.ts";

/** TLS material that follows its files and closes with the newest stage. @throws SeamError for files that cannot be used */
export async function watchedTls(
  options: AgentOptions,
  closing: ClosingOrder,
  signal: AbortSignal,
  files: TlsFiles,
): Promise<TlsSource> {
  const { clock, random, log } = options;
  const watched = await watchTlsFiles({ files, clock, random, log, signal });
  closing.add(watched.closed);
  return watched;
}
