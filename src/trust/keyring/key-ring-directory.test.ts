import { createPublicKey } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ManualClock, systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { SeededRandom } from "../../base/random.ts";
import { keyIdOf } from "../dsse.ts";
import { type SigningKeyPair, generateSigningKeyPair } from "./ed25519-keys.ts";
import { KeyRing, MAX_RING_KEYS } from "./key-ring.ts";
import { type KeyRingDirectory, startKeyRingDirectory } from "./key-ring-directory.ts";
import { loadSigner } from "./signing-key.ts";

let directory: string;
let stop: AbortController;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seam-ring-"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(directory, { recursive: true, force: true });
});

const idOf = (pair: SigningKeyPair): string => keyIdOf(createPublicKey(pair.publicKeyPem));

function start(clock: ManualClock | typeof systemClock = systemClock): Promise<KeyRingDirectory> {
  return startKeyRingDirectory({
    paths: [directory],
    clock,
    random: new SeededRandom(1),
    log: silentLog,
    signal: stop.signal,
  });
}

describe("key ring directory (R-5.10)", () => {
  it("follows its files: a new key is trusted and a removed one is not, without a restart", async () => {
    const [first, second] = [await generateSigningKeyPair(), await generateSigningKeyPair()];
    await writeFile(join(directory, "a.pem"), first.publicKeyPem);
    const { ring, closed } = await start();
    expect(ring.keyIds).toEqual([idOf(first)]);
    await writeFile(join(directory, ".b.tmp"), second.publicKeyPem);
    await rename(join(directory, ".b.tmp"), join(directory, "b.pem"));
    await rm(join(directory, "a.pem"));
    await vi.waitFor(() => expect(ring.keyIds).toEqual([idOf(second)]), { timeout: 5000, interval: 10 });
    expect(ring.key(idOf(first))).toBeUndefined();
    stop.abort();
    await closed;
  });

  it("notices a projected volume's swap of its link by polling alone", async () => {
    const clock = new ManualClock();
    const [first, second] = [await generateSigningKeyPair(), await generateSigningKeyPair()];
    for (const [name, pair] of [
      ["one", first],
      ["two", second],
    ] as const) {
      await mkdir(join(directory, `..${name}`));
      await writeFile(join(directory, `..${name}`, "k.pem"), pair.publicKeyPem);
    }
    await symlink("..one", join(directory, "..data"));
    await symlink("..data/k.pem", join(directory, "k.pem"));
    const { ring, reload } = await start(clock);
    expect(ring.keyIds).toEqual([idOf(first)]);
    await symlink("..two", join(directory, "..data_tmp"));
    await rename(join(directory, "..data_tmp"), join(directory, "..data"));
    await reload();
    expect(ring.keyIds).toEqual([idOf(second)]);
  });

  it("keeps the last good ring when a file becomes unreadable as a key", async () => {
    const pair = await generateSigningKeyPair();
    await writeFile(join(directory, "a.pem"), pair.publicKeyPem);
    const { ring, reload } = await start();
    await writeFile(join(directory, "b.pem"), "half a fi");
    await expect(reload()).rejects.toThrow(/signing key file .*b\.pem: expected an SPKI PEM public key/);
    expect(ring.keyIds).toEqual([idOf(pair)]);
  });

  it("refuses a private key among the public ones and a key of another algorithm", async () => {
    const pair = await generateSigningKeyPair();
    await writeFile(join(directory, "a.pem"), pair.privateKeyPem);
    await expect(start()).rejects.toThrow("expected a public key, found a private key");
    const { generateKeyPairSync } = await import("node:crypto");
    const rsa = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "pem" });
    await writeFile(join(directory, "a.pem"), rsa);
    await expect(start()).rejects.toThrow("expected an Ed25519 key, found ec");
  });

  it("is empty, and says so, for a folder that does not exist", async () => {
    const { ring } = await startKeyRingDirectory({
      paths: [join(directory, "absent")],
      clock: systemClock,
      random: new SeededRandom(1),
      log: silentLog,
      signal: stop.signal,
    });
    expect(ring.empty).toBe(true);
  });
});

describe("signing key", () => {
  it("loads a pair and refuses halves of different pairs", async () => {
    const [first, second] = [await generateSigningKeyPair(), await generateSigningKeyPair()];
    const files = { privateKeyPath: join(directory, "private.pem"), publicKeyPath: join(directory, "public.pem") };
    await writeFile(files.privateKeyPath, first.privateKeyPem);
    await writeFile(files.publicKeyPath, first.publicKeyPem);
    expect((await loadSigner(files)).keyId).toBe(idOf(first));
    await writeFile(files.publicKeyPath, second.publicKeyPem);
    await expect(loadSigner(files)).rejects.toThrow(/expected the public half of/);
  });
});

it("a ring refuses more keys than it may hold and stays as it was", async () => {
  const one = createPublicKey((await generateSigningKeyPair()).publicKeyPem);
  const ring = new KeyRing([one]);
  const many = await Promise.all(Array.from({ length: MAX_RING_KEYS + 1 }, generateSigningKeyPair));
  expect(() => ring.replace(many.map((pair) => createPublicKey(pair.publicKeyPem)))).toThrow(
    `at most ${MAX_RING_KEYS} public keys`,
  );
  expect(ring.keyIds).toEqual([keyIdOf(one)]);
});
