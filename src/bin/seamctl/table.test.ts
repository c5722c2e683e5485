import { describe, expect, it } from "vitest";
import { TableStream, age, renderTable } from "./table.ts";

describe("renderTable", () => {
  it("aligns columns by what a terminal shows", () => {
    const text = renderTable(
      [
        { header: "cluster", value: (row: { name: string; n: number }) => row.name },
        { header: "items", value: (row) => String(row.n), align: "right" },
      ],
      [
        { name: "\u001b[32mtenant-1\u001b[0m", n: 7 },
        { name: "edge", n: 1200 },
      ],
    );
    expect(text).toBe("CLUSTER    ITEMS\n\u001b[32mtenant-1\u001b[0m       7\nedge        1200");
  });

  it("keeps one row on one line", () => {
    expect(renderTable([{ header: "a", value: (row: string) => row }], ["x\ny"])).toBe("A\nx y");
  });
});

describe("age", () => {
  it("is as short as kubectl's", () => {
    expect([500, 119_000, 120_000, 7_200_000, 172_800_000].map(age)).toEqual(["0s", "119s", "2m", "2h", "2d"]);
  });
});

describe("TableStream", () => {
  it("prints the header once and again where columns had to grow", () => {
    const table = new TableStream();
    const columns = [{ header: "name", value: (row: string) => row }];
    expect(table.print(columns, ["tenant-1"])).toBe("NAME\ntenant-1");
    expect(table.print(columns, ["edge"])).toBe("edge");
    expect(table.print(columns, ["a-longer-name"])).toBe("NAME\na-longer-name");
  });
});
