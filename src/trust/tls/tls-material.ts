import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { sha256Hex } from "../../base/digest.ts";
import { SeamError, errorMessage } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Random, jittered } from "../../base/random.ts";

/** Certificate, key and trusted CAs of one side of mutual TLS. */
export interface TlsMaterial {
  /** PEM chain, leaf first. */
  readonly certificatePem: string;
  /** PKCS#8 PEM. */
  readonly privateKeyPem: string;
  /** PEM bundle that the peer's certificate must chain to; several roots allow rotation. */
  readonly caPem: string;
}

/** Where the material comes from; it may change while the program runs. */
export interface TlsSource {
  current(): TlsMaterial;
  /** Calls `listener` after the material changed. Returns the way to stop. */
  subscribe(listener: (material: TlsMaterial) => void): () => void;
}

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  readonly caFile: string;
}

/** Material that never changes; for tests and one-shot programs. */
export function fixedTls(material: TlsMaterial): TlsSource {
  return { current: () => material, subscribe: () => () => {} };
}

/**
 * Reads the files and checks that they make a usable TLS context.
 *
 * @throws SeamError `TlsMaterialUnreadable` or `TlsMaterialInvalid`, naming the file
 */
export async function loadTlsFiles(files: TlsFiles): Promise<TlsMaterial> {
  const [certificatePem, privateKeyPem, caPem] = await Promise.all([
    readPem(files.certificateFile),
    readPem(files.privateKeyFile),
    readPem(files.caFile),
  ]);
  const material = { certificatePem, privateKeyPem, caPem };
  try {
    createSecureContext({ cert: certificatePem, key: privateKeyPem, ca: caPem });
  } catch (cause) {
    throw new SeamError(
      {
        reason: "TlsMaterialInvalid",
        object: `${files.certificateFile}, ${files.privateKeyFile}, ${files.caFile}`,
        expected: `a PEM certificate, its private key and a CA bundle: ${errorMessage(cause)}`,
        remedy: "check that certificate and key belong together",
      },
      { cause },
    );
  }
  return material;
}

/** Interval at which files are read again, milliseconds, ±10 %. Polling content sees the symlink swap of a mounted Secret. */
export const TLS_RELOAD_INTERVAL_MS = 5_000;

/** Options of {@link watchTlsFiles}. */
export interface WatchTlsFilesOptions {
  readonly files: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
}

/** Material from files, read again on change. Files that cannot be used keep the last good material in force. */
export interface WatchedTls extends TlsSource {
  /** Reads the files now. */
  reload(): Promise<void>;
  /** Resolves after the signal aborted and the last read ended. */
  readonly closed: Promise<void>;
}

/** @throws SeamError when the files cannot be used at the start */
export async function watchTlsFiles(options: WatchTlsFilesOptions): Promise<WatchedTls> {
  const { files, clock, random, log, signal, intervalMs = TLS_RELOAD_INTERVAL_MS } = options;
  let material = await loadTlsFiles(files);
  const listeners = new Set<(material: TlsMaterial) => void>();
  let lastFailure = "";
  const reload = async (): Promise<void> => {
    let read: TlsMaterial;
    try {
      read = await loadTlsFiles(files);
    } catch (error) {
      const text = errorMessage(error);
      if (text !== lastFailure)
        log.warn({ err: error }, "TLS files cannot be used; the last good material stays in force");
      lastFailure = text;
      return;
    }
    lastFailure = "";
    if (fingerprint(read) === fingerprint(material)) return;
    material = read;
    log.info({ certificateFile: files.certificateFile }, "TLS material reloaded");
    for (const listener of listeners) listener(read);
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await clock.sleep(jittered(random, intervalMs), signal);
      } catch {
        return; // aborted: that is the way to stop
      }
      await reload();
    }
  };
  return {
    current: () => material,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    reload,
    closed: run(),
  };
}

function fingerprint(material: TlsMaterial): string {
  return sha256Hex(`${material.certificatePem}\0${material.privateKeyPem}\0${material.caPem}`);
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new SeamError(
      { reason: "TlsMaterialUnreadable", object: path, expected: `a readable PEM file: ${errorMessage(cause)}` },
      { cause },
    );
  }
}
