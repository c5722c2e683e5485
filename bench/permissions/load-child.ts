import { Client, Metadata } from "@grpc/grpc-js";
import { clientCredentials } from "../../src/trust/tls/client-credentials.ts";
import type { TlsMaterial } from "../../src/trust/tls/tls-material.ts";

/** What a load child is told to send. */
export interface LoadCommand {
  readonly port: number;
  readonly path: string;
  readonly tls: TlsMaterial;
  /** Encoded requests, sent in turn. */
  readonly requests: readonly Uint8Array[];
  readonly calls: number;
  readonly inFlight: number;
}

/** What it saw. */
export interface LoadResult {
  readonly seconds: number;
  /** Of every call, milliseconds. */
  readonly latenciesMs: readonly number[];
  readonly failed: number;
}

const raw = (bytes: Buffer): Buffer => bytes;
const clients = new Map<number, Client>();

function clientOf({ port, tls }: LoadCommand): Client {
  let client = clients.get(port);
  if (client === undefined) {
    client = new Client(`127.0.0.1:${port}`, clientCredentials(tls), { "grpc.use_local_subchannel_pool": 1 });
    clients.set(port, client);
  }
  return client;
}

/** Sends bytes and drops the answers' bytes: a load generator's own encoding is no work of the server. */
function load(command: LoadCommand): Promise<LoadResult> {
  const { calls, inFlight, path } = command;
  const client = clientOf(command);
  const requests = command.requests.map((bytes) => Buffer.from(bytes));
  const latenciesMs: number[] = [];
  let sent = 0;
  let failed = 0;
  return new Promise((resolve) => {
    const started = performance.now();
    const next = (): void => {
      if (sent >= calls) return;
      const request = requests[sent++ % requests.length];
      if (request === undefined) return;
      const at = performance.now();
      client.makeUnaryRequest(path, raw, raw, request, new Metadata(), {}, (error) => {
        latenciesMs.push(performance.now() - at);
        if (error !== null) failed++;
        if (latenciesMs.length === calls)
          resolve({ seconds: (performance.now() - started) / 1000, latenciesMs, failed });
        else next();
      });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
}

process.on("message", (command: LoadCommand) => {
  void load(command).then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit());
