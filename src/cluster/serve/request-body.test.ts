import { describe, expect, it } from "vitest";
import { ProtobufDecoder } from "./protobuf/decode.ts";
import { decodeBody, decodeYaml } from "./request-body.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("decodeYaml", () => {
  it("reads YAML as Kubernetes does: yes is true, dates stay text", () => {
    expect(decodeYaml(bytes("a: yes\nb: 2026-01-01\nc: 0x10\nd: ~\n"), "Pod").value).toEqual({
      a: true,
      b: "2026-01-01",
      c: 16,
      d: null,
    });
  });

  it("keeps the last of two equal keys and says so", () => {
    expect(decodeYaml(bytes("a: 1\nb: 2\na: 3\n"), "Pod")).toEqual({
      value: { a: 3, b: 2 },
      strictErrors: ["line 3: key already set in map"],
    });
  });

  it("refuses alias bombs, broken text and values that JSON does not have", () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
    for (const [name, of] of [
      ["b", "a"],
      ["c", "b"],
      ["d", "c"],
      ["e", "d"],
    ])
      bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${of}`).join(",")}]`);
    expect(() => decodeYaml(bytes(bomb.join("\n")), "Pod")).toThrow(/yaml parse error: .*alias/i);
    expect(() => decodeYaml(bytes("a: [1"), "Pod")).toThrow(
      "must be of type Pod): couldn't get version/kind; yaml parse error",
    );
  });
});

describe("decodeBody", () => {
  const decoder = new ProtobufDecoder();

  it("takes JSON when nothing is said, and ignores parameters of the type", () => {
    expect(decodeBody(bytes('{"a":1}'), undefined, "Pod", decoder).value).toEqual({ a: 1 });
    expect(decodeBody(bytes('{"a":1}'), "Application/JSON; charset=utf-8", "Pod", decoder).value).toEqual({ a: 1 });
    expect(() => decodeBody(bytes(""), "application/cbor", "Pod", decoder)).toThrow("accepted media types include");
  });

  it("refuses protobuf that is none", () => {
    expect(() => decodeBody(bytes("garbage"), "application/vnd.kubernetes.protobuf", "Pod", decoder)).toThrow(
      "does not begin with k8s",
    );
  });
});
