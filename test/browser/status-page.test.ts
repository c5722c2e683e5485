import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningCommand, freeOffset, meshUp, seamctl } from "../e2e/run-seamctl.ts";
import { BrowserPage, chromium } from "./browser.ts";

const offset = await freeOffset();
const ADDRESS = `http://127.0.0.1:${8080 + offset}/`;
/** Least contrast of text with its background (WCAG 2.2, 1.4.3). */
const LEAST_CONTRAST = 4.5;

/** In the page: every piece of text with too little contrast, with the ratio. */
const WEAK_TEXT = `(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (text) => {
    const [r, g, b] = channels(text).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const weak = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "") || !element.offsetParent) continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < ${LEAST_CONTRAST}) weak.push(element.textContent + " " + ratio.toFixed(2));
  }
  return weak;
})()`;

describe.skipIf(chromium === undefined)(`the status page${chromium === undefined ? ": no Chromium here" : ""}`, () => {
  const directory = mkdtempSync(join(tmpdir(), "seam-page-"));
  let up: RunningCommand;
  let page: BrowserPage;

  beforeAll(async () => {
    up = await meshUp(directory, offset, "--tenants", "2");
    page = await BrowserPage.open(chromium ?? "");
    await page.send("Page.navigate", { url: ADDRESS });
  }, 150_000);

  afterAll(async () => {
    await page.close();
    await up.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it("shows the fleet, and that its nodes are simulated", async () => {
    await expect.poll(() => page.text(), { timeout: 20_000 }).toContain("2 of 2 agents connected");
    const text = await page.text();
    expect(text).toMatch(/tenant-1\s+connected\s+\S+\s+(\d+) of \1 healthy\s+InSync\s+none/);
    expect(text).toContain("nodes simulated");
    expect(text).toMatch(/tenant-2\s+hello-v1\.0\.0\s+v1\.0\.0\s+1\s+verified\s+healthy/);
    expect(text).toContain("Nothing is on the way.");
    expect(page.complaints).toEqual([]);
  });

  it.each(["light", "dark"])("has enough contrast in %s", async (scheme) => {
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const background = String(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
    expect(background).toBe(scheme === "light" ? "rgb(255, 255, 255)" : "rgb(13, 17, 23)");
    expect(await page.evaluate(WEAK_TEXT)).toEqual([]);
  });

  it("never scrolls sideways as a whole; wide tables do, by keyboard too", async () => {
    await page.send("Emulation.setDeviceMetricsOverride", {
      width: 320,
      height: 640,
      deviceScaleFactor: 1,
      mobile: true,
    });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(320);
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to agents");
    await page.press("Tab");
    expect(await page.evaluate("document.activeElement.getAttribute('aria-labelledby')")).toBe("agents-title");
    expect(await page.evaluate("document.activeElement.scrollWidth > document.activeElement.clientWidth")).toBe(true);
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    await page.send("Emulation.clearDeviceMetricsOverride");
  });

  it("shows by itself that a tenant is gone, and that the hub is", async () => {
    await seamctl("process", "hold", "tenant-2", "--dir", directory);
    await expect.poll(() => page.text(), { timeout: 30_000 }).toMatch(/tenant-2\s+not connected/);
    expect(await page.text()).toContain("1 of 2 agents connected");
    await seamctl("process", "hold", "management", "--dir", directory);
    await expect.poll(() => page.text(), { timeout: 30_000 }).toContain("The hub does not answer");
    await seamctl("process", "release", "tenant-2", "--dir", directory);
    await seamctl("process", "release", "management", "--dir", directory);
    await expect.poll(() => page.text(), { timeout: 60_000 }).toContain("2 of 2 agents connected");
  });
});
