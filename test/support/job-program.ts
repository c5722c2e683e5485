import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/**
 * What Jobs of tests run. Arguments, one after the other: `print TEXT`, `env NAME`, `cat FILE`, `touch FILE` (adds its pid), `until FILE` (waits for it), `once FILE` (fails the first time),
 * `flood LINES`, `child` (starts a process that would run for ever), `stubborn` (ignores SIGTERM), `wait`, `exit CODE`.
 */
const words = process.argv.slice(2);
const next = (): string => words.shift() ?? "";
for (let word = words.shift(); word !== undefined; word = words.shift()) {
  switch (word) {
    case "print":
      console.log(next());
      break;
    case "env": {
      const name = next();
      console.log(`${name}=${process.env[name] ?? ""}`);
      break;
    }
    case "cat":
      console.log(readFileSync(next(), "utf8"));
      break;
    case "touch":
      writeFileSync(next(), `${process.pid}\n`, { flag: "a" });
      break;
    case "until":
      for (const file = next(); !existsSync(file);) await new Promise((resolve) => setTimeout(resolve, 20));
      break;
    case "once": {
      const file = next();
      if (existsSync(file)) break;
      writeFileSync(file, "");
      console.error("not the first time");
      process.exit(3);
      break;
    }
    case "flood": {
      const lines = Number(next());
      for (let i = 0; i < lines; i++) process.stdout.write(`${i} ${"x".repeat(1_000)}\n`);
      break;
    }
    case "child": {
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
      console.log(`child ${child.pid}`);
      break;
    }
    case "stubborn":
      process.on("SIGTERM", () => console.log("no"));
      break;
    case "wait":
      console.log(`waiting ${process.pid}`);
      await new Promise(() => setInterval(() => undefined, 1_000));
      break;
    case "exit":
      process.exit(Number(next()));
      break;
    default:
      console.error(`unknown word ${word}`);
      process.exit(64);
  }
}
