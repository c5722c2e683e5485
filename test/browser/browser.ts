import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isJsonObject, type JsonObject } from "../../src/base/json.ts";
import { findProgram } from "../support/find-program.ts";

/** A Chromium of this machine; undefined when there is none. */
export const chromium = findProgram(
  "chromium",
  "chromium-headless-shell",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
);

/** It starts nothing of its own accord and talks to nobody but the page under test. */
const FLAGS =
  "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0";
/** Longest wait for one answer of the browser, milliseconds. */
const ANSWER_MS = 20_000;

/** Time it has to end by itself, milliseconds. */
const CLOSE_MS = 5_000;

/** One page of a headless Chromium, driven over the DevTools protocol. */
export class BrowserPage {
  /** What the page complained about: script errors, refused resources, broken policies. */
  readonly complaints: string[] = [];
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: JsonObject) => void>();
  #next = 1;
  #session = "";

  private constructor(child: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = child;
    this.#folder = folder;
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#receive(String(event.data)));
  }

  /** Starts the browser with one empty page. */
  static async open(program: string): Promise<BrowserPage> {
    const folder = mkdtempSync(join(tmpdir(), "seam-browser-"));
    const child = spawn(program, [...FLAGS.split(" "), `--user-data-dir=${folder}`, "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const socket = new WebSocket(await debuggerOf(child));
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error("no connection to the browser")), { once: true });
    });
    const page = new BrowserPage(child, folder, socket);
    const { targetId } = await page.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await page.send("Target.attachToTarget", { targetId, flatten: true });
    if (typeof sessionId === "string") page.#session = sessionId;
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    return page;
  }

  /** One command of the DevTools protocol. */
  async send(method: string, params: JsonObject = {}): Promise<JsonObject> {
    const id = this.#next++;
    const answer = await new Promise<JsonObject>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
      this.#waiting.set(id, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      const session = this.#session === "" ? {} : { sessionId: this.#session };
      this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    });
    if (isJsonObject(answer["error"])) throw new Error(`${method}: ${JSON.stringify(answer["error"])}`);
    return isJsonObject(answer["result"]) ? answer["result"] : {};
  }

  /** Value of an expression in the page; promises are waited for. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer["exceptionDetails"] !== undefined) throw new Error(JSON.stringify(answer["exceptionDetails"]));
    return isJsonObject(answer["result"]) ? answer["result"]["value"] : undefined;
  }

  /** All the page's text as a person reads it. */
  async text(): Promise<string> {
    return String(await this.evaluate("document.body.innerText"));
  }

  /** Presses and releases a key without text, for example `Tab`. */
  async press(key: string): Promise<void> {
    for (const type of ["rawKeyDown", "keyUp"])
      await this.send("Input.dispatchKeyEvent", {
        type,
        key,
        code: key,
        windowsVirtualKeyCode: key === "Tab" ? 9 : 13,
      });
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.#session = "";
    const asked = this.send("Browser.close").catch(() => undefined); // it may be gone before it answers
    const last = setTimeout(() => this.#process.kill("SIGKILL"), CLOSE_MS);
    await ended;
    clearTimeout(last);
    for (const answer of this.#waiting.values()) answer({});
    await asked;
    this.#socket.close();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #receive(text: string): void {
    const message: unknown = JSON.parse(text);
    if (!isJsonObject(message)) return;
    const { id, method, params } = message;
    if (typeof id === "number") {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    } else if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") {
      this.complaints.push(JSON.stringify(params));
    }
  }
}

/** Address of the protocol, which the browser prints. */
function debuggerOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      const found = /DevTools listening on (ws:\S+)/.exec(printed);
      if (found?.[1] !== undefined) resolve(found[1]);
    });
    child.once("exit", () => reject(new Error(`the browser ended: ${printed}`)));
    child.once("error", reject);
  });
}
